/** Finds the route of a request, with Kong's precedence (`router_flavor = traditional_compatible`). */
import { GatewayError } from '../errors.ts'
import { isNamed } from '../http-fields/field-names.ts'
import type { Slices } from '../slices.ts'
import type { Destination, Match } from '../types.ts'
import { type Candidate, compileRules, type HeaderPattern, type HostPattern, type RouteRule } from './candidate.ts'
import { withoutParameters } from './path.ts'
import { joinPath } from './path-join.ts'
import { RouteIndex } from './route-index.ts'

export type { RouteRule } from './candidate.ts'

/** What routes are matched against. */
export interface RouteQuery {
  readonly destination: Destination
  readonly method: string
  readonly rawHeaders: readonly string[]
  /** The connection's TLS server name, lower case. */
  readonly serverName?: string | undefined
}

export interface Router {
  /**
   * Undefined where no route matches, as for `OPTIONS *`. `match.route` is the RouteRule that createRouter was given.
   * @throws GatewayError GW_BAD_PATH where the parameters of the path lead past the demands of another route
   */
  match(query: RouteQuery): Match | undefined
}

/** @throws ConfigError with every rule that cannot be used as written, under `routes[NAME]` */
export function* createRouter(rules: readonly RouteRule[]): Slices<Router> {
  const candidates = (yield* compileRules(rules)).filter(
    ({ rule }) => rule.protocols === undefined || rule.protocols.includes('https'),
  )
  // Sorted once, so that the first match decides: a request needs no comparison of precedence.
  const ordered: { readonly candidate: Candidate; readonly precedence: readonly number[] }[] = []
  for (const candidate of candidates) {
    ordered.push({ candidate, precedence: precedenceOf(candidate) })
    yield
  }
  ordered.sort((a, b) => compare(a.precedence, b.precedence))
  yield
  const index = yield* RouteIndex.of(ordered.map(({ candidate }) => candidate))
  return { match: (query) => findMatch(index, query) }
}

function findMatch(index: RouteIndex, query: RouteQuery): Match | undefined {
  const { host, path } = query.destination
  if (path === '*') return undefined
  const candidate = index.find(host, path, query, matches)
  if (candidate !== undefined && path.includes(';')) refuseDisguise(index, query, candidate)
  return candidate && toMatch(candidate, path, matchPath(candidate, path))
}

/**
 * Servlet containers drop parameters before they look at a path: `/api;x/admin` is `/api/admin` to them. So it must not be let in by the route of
 * `/api` where that of `/api/admin` demands something else. A route that names a `;` itself takes it as it stands.
 */
function refuseDisguise(index: RouteIndex, query: RouteQuery, { rule, prefix, regex }: Candidate): void {
  if ((prefix ?? regex?.source ?? '').includes(';')) return
  const { destination } = query
  const path = withoutParameters(destination.path)
  const bare = { ...query, destination: { ...destination, path } }
  const other = index.find(destination.host, path, bare, matches)?.rule
  if (!other || (other.access === rule.access && other.certificate === rule.certificate)) return
  throw new GatewayError('GW_BAD_PATH', `without its parameters the path is one of the route ${other.name}`)
}

function matches(candidate: Candidate, query: RouteQuery): boolean {
  // The path first: it is the cheapest check and tells most routes apart.
  return matchPath(candidate, query.destination.path) !== -1 && matchesRest(candidate, query)
}

/** How many characters of the path the candidate's own path takes; -1 where it does not match. */
function matchPath({ prefix, regex }: Candidate, path: string): number {
  if (prefix !== undefined) return path.startsWith(prefix) ? prefix.length : -1
  if (regex === undefined) return 0
  return regex.exec(path)?.[0].length ?? -1
}

function matchesRest(candidate: Candidate, { destination, method, rawHeaders, serverName }: RouteQuery): boolean {
  const { hosts, methods, headers, snis } = candidate
  if (methods !== undefined && !methods.has(method)) return false
  if (hosts !== undefined && !matchesHost(hosts, destination.host, destination.port ?? 443)) return false
  if (snis !== undefined && !(serverName !== undefined && matchesHost(snis, serverName, undefined))) return false
  return headers === undefined || headers.every((header) => matchesHeader(header, rawHeaders))
}

function matchesHost(patterns: readonly HostPattern[], host: string, port: number | undefined): boolean {
  return patterns.some((pattern) => {
    if (pattern.port !== undefined && pattern.port !== port) return false
    if (pattern.kind === 'exact') return host === pattern.text
    if (host.length <= pattern.text.length) return false
    return pattern.kind === 'suffix' ? host.endsWith(pattern.text) : host.startsWith(pattern.text)
  })
}

function matchesHeader({ name, values, regex }: HeaderPattern, rawHeaders: readonly string[]): boolean {
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (!isNamed(rawHeaders[i] as string, name)) continue
    const value = rawHeaders[i + 1] as string
    if (regex === undefined ? values.has(value.toLowerCase()) : regex.test(value)) return true
  }
  return false
}

function toMatch({ rule, base, strip, keepsPath }: Candidate, path: string, matched: number): Match {
  return {
    route: rule,
    upstreamPath: keepsPath ? path : joinPath(base, path, strip ? matched : undefined),
    // Stripping `/` removes nothing, so there is nothing to report to the backend.
    strippedPrefix: strip && matched > 1 ? path.slice(0, matched) : '',
    preserveHost: rule.preserveHost ?? false,
  }
}

/**
 * What comes first: more kinds of condition, plain hosts, more headers, regular expressions, higher regex_priority, longer prefix, older. Smaller
 * numbers go first.
 */
function precedenceOf(candidate: Candidate): readonly number[] {
  return [
    -countKinds(candidate),
    -Number(hasPlainHosts(candidate)),
    -countHeaders(candidate),
    -Number(candidate.regex !== undefined),
    -regexPriority(candidate),
    -(candidate.prefix ?? '').length,
    candidate.rule.createdAt ?? Number.POSITIVE_INFINITY,
  ]
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < a.length; i++) {
    const [one, other] = [a[i] as number, b[i] as number]
    if (one !== other) return one < other ? -1 : 1
  }
  return 0
}

function countKinds({ hosts, headers, prefix, regex, methods, snis }: Candidate): number {
  return [hosts, headers, prefix ?? regex, methods, snis].filter((kind) => kind !== undefined).length
}

function hasPlainHosts({ hosts }: Candidate): boolean {
  return hosts?.every(({ kind }) => kind === 'exact') ?? false
}

/** Kong keeps this number in eight bits. */
function countHeaders({ headers }: Candidate): number {
  return Math.min(headers?.length ?? 0, 255)
}

function regexPriority({ rule, regex }: Candidate): number {
  return regex === undefined ? 0 : (rule.regexPriority ?? 0)
}
