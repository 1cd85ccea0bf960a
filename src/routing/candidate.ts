/** A route as the operator writes it, and its compiled form, made once when the configuration is read. */
import { ConfigError, GatewayError, type Problem } from '../errors.ts'
import type { Slices } from '../slices.ts'
import type { Route } from '../types.ts'
import { normalizePath } from './path.ts'

/**
 * A route's fields, with Kong's names and meanings. Of every kind of condition that is given, one value must match; a kind that is undefined or empty
 * always matches. A match returns this very object as its `route`.
 */
export interface RouteRule extends Route {
  /** Of the service; `/` by default. */
  readonly servicePath?: string | undefined
  /** Lower case; `*.example.org` and `example.*` too; with a port, only on that port. */
  readonly hosts?: readonly string[] | undefined
  /**
   * A raw prefix (`/foo` matches `/foobar`), or `~` and a regular expression that is anchored at the start only and sees the normal
   * path: escapes in upper case, none of unreserved characters.
   */
  readonly paths?: readonly string[] | undefined
  readonly methods?: readonly string[] | undefined
  /** Values by name, both in any case; or one value, `~*` and a regular expression. */
  readonly headers?: Readonly<Record<string, readonly string[]>> | undefined
  readonly snis?: readonly string[] | undefined
  /** http and https by default. */
  readonly protocols?: readonly string[] | undefined
  /** True by default. */
  readonly stripPath?: boolean | undefined
  /** False by default. */
  readonly preserveHost?: boolean | undefined
  /** Among regular expressions the highest goes first; 0 by default. */
  readonly regexPriority?: number | undefined
  /** In any unit. Among equal routes the oldest goes first, then those without it, then the order of the list. */
  readonly createdAt?: number | undefined
}

export interface HostPattern {
  readonly kind: 'exact' | 'suffix' | 'prefix'
  /** Includes its dot where it is a suffix or prefix. */
  readonly text: string
  readonly port: number | undefined
}

export interface HeaderPattern {
  readonly name: string
  readonly values: ReadonlySet<string>
  readonly regex: RegExp | undefined
}

/** One path of one route: the unit that precedence orders. */
export interface Candidate {
  readonly rule: RouteRule
  readonly hosts: readonly HostPattern[] | undefined
  readonly snis: readonly HostPattern[] | undefined
  readonly methods: ReadonlySet<string> | undefined
  readonly headers: readonly HeaderPattern[] | undefined
  readonly prefix: string | undefined
  readonly regex: RegExp | undefined
  /** The service's path. */
  readonly base: string
  readonly strip: boolean
  /** Whether the service gets the request's own path unchanged. */
  readonly keepsPath: boolean
}

/** @throws ConfigError with every condition that cannot be checked as written */
export function* compileRules(rules: readonly RouteRule[]): Slices<Candidate[]> {
  const problems: Problem[] = []
  const candidates: Candidate[] = []
  for (const rule of rules) {
    candidates.push(...compileRule(rule, problems))
    yield
  }
  if (problems.length > 0) throw new ConfigError(problems)
  return candidates
}

function compileRule(rule: RouteRule, problems: Problem[]): Candidate[] {
  const attempt = <T>(field: string, value: string, compile: (value: string) => T): T | undefined => {
    try {
      return compile(value)
    } catch (caught) {
      problems.push({ path: `routes[${rule.name}].${field}`, message: `${JSON.stringify(value)} ${reason(caught)}` })
      return undefined
    }
  }
  const all = <T>(field: string, values: readonly string[] | undefined, compile: (value: string) => T) =>
    given(values)?.flatMap((value) => attempt(field, value, compile) ?? [])
  const base = attempt('service.path', rule.servicePath ?? '/', compilePrefix) ?? '/'
  const strip = rule.stripPath ?? true
  const shared = {
    rule,
    hosts: all('hosts', rule.hosts, compileHost),
    snis: all('snis', rule.snis, compileSni),
    methods: rule.methods?.length ? new Set(rule.methods) : undefined,
    headers: given(Object.entries(rule.headers ?? {}))?.flatMap(
      ([name, values]) => attempt(`headers.${name}`, values.join(', '), () => compileHeader(name, values)) ?? [],
    ),
    base,
    strip,
  }
  const paths = all('paths', rule.paths, compilePath) ?? [{ prefix: undefined, regex: undefined }]
  return paths.map((path) => ({ ...shared, ...path, keepsPath: base === '/' && keepsPath(strip, path) }))
}

function keepsPath(strip: boolean, { prefix, regex }: Pick<Candidate, 'prefix' | 'regex'>): boolean {
  return !strip || (regex === undefined && (prefix === undefined || prefix === '/'))
}

function given<T>(values: readonly T[] | undefined): readonly T[] | undefined {
  return values === undefined || values.length === 0 ? undefined : values
}

function reason(caught: unknown): string {
  if (caught instanceof GatewayError) return `can match no request: ${caught.detail}`
  return (caught as Error).message
}

function compilePath(path: string): Pick<Candidate, 'prefix' | 'regex'> {
  if (!path.startsWith('~')) return { prefix: compilePrefix(path), regex: undefined }
  return { prefix: undefined, regex: compileRegex(`^(?:${path.slice(1)})`, '') }
}

/** Spelled as a normalized request path: an escape in another letter case would evade the route. */
function compilePrefix(path: string): string {
  if (!path.startsWith('/')) throw new Error('does not begin with /; write a path, or ~ and a regular expression')
  if (path.includes('?'))
    throw new Error('holds a query, and only the path is matched; leave out the ? and what follows')
  if (!path.isWellFormed()) throw new Error('is no valid Unicode')
  return normalizePath(path.replace(/[^\0-\x7f]+/g, encodeURIComponent))
}

/**
 * JavaScript's expressions backtrack: with one like `(a+)+$`, a single request can burn seconds of CPU. Only the author of the configuration can
 * write one, and the target's length is bounded. So docs/configuration.md warns of it, and nothing is checked here.
 */
function compileRegex(source: string, flags: string): RegExp {
  try {
    return new RegExp(source, flags)
  } catch (cause) {
    throw new Error(
      `is no regular expression: ${(cause as Error).message}; write JavaScript's syntax, (?i:…) and not (?i)`,
    )
  }
}

function compileHost(text: string): HostPattern {
  const [, name = '', port] = /^(\[[^\]]*\]|[^:]*)(?::([0-9]+))?$/.exec(text.toLowerCase()) ?? []
  const host = name.replace(/\.$/, '')
  const number = port === undefined ? undefined : Number(port)
  if (number !== undefined && (number < 1 || number > 65_535)) throw new Error('has no port from 1 to 65535')
  if (/^\*\.[^*]+$/.test(host)) return { kind: 'suffix', text: host.slice(1), port: number }
  if (/^[^*]+\.\*$/.test(host)) return { kind: 'prefix', text: host.slice(0, -1), port: number }
  if (host === '' || /[*\s/@]/.test(host))
    throw new Error('is no host; write name, *.name or name.*, with :port if need be')
  return { kind: 'exact', text: host, port: number }
}

function compileSni(text: string): HostPattern {
  const pattern = compileHost(text)
  if (pattern.port !== undefined) throw new Error('has a port, and a TLS server name has none')
  return pattern
}

function compileHeader(name: string, values: readonly string[]): HeaderPattern {
  if (name.toLowerCase() === 'host') throw new Error('is a condition on Host; write hosts')
  const [first = '', ...others] = values
  if (first === '' && others.length === 0) throw new Error('names no value')
  const isRegex = first.startsWith('~*') && others.length === 0
  return {
    name: name.toLowerCase(),
    values: new Set(values.map((value) => value.toLowerCase())),
    regex: isRegex ? compileRegex(first.slice(2), 'i') : undefined,
  }
}
