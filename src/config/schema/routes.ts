/** Kong's routes: which requests go to which service. */
import type * as z from 'zod'
import type { Problem } from '../../errors.ts'
import { type AccessRulesConfig, accessRules } from './access-rules.ts'
import { authority, wildcardName } from './addresses.ts'
import { demands } from './auth.ts'
import { type CertificateDemands, certificateDemands } from './certificate-demands.ts'
import { entity, field, type Kind, type Located, list, mapOfLists, Unfit } from './field.ts'
import { foreignKey } from './foreign-key.ts'
import { choice, integer, matching, oneOfNumbers, onOff, text } from './scalars.ts'
import type { ServiceConfig } from './services.ts'

/** The expression of a `~` path, anchored at its start only, as Kong does. `path` includes the `~`. @throws SyntaxError */
function pathExpression(path: string): RegExp {
  return new RegExp(`^(?:${path.slice(1)})`)
}

const routePath: Kind<string> = {
  expected: 'a path that begins with /, or an expression that begins with ~',
  json: { type: 'string', pattern: '^[/~]|\\$\\{.+\\}' },
  parse(value) {
    if (typeof value !== 'string') throw new Unfit('')
    if (value.startsWith('~')) return checkedExpression(value)
    if (!value.startsWith('/')) throw new Unfit('')
    if (value.includes('//')) throw new Unfit('has an empty segment (//); expected a path as it looks once normalised')
    if (value.includes('\\'))
      throw new Unfit('holds a backslash, which no path has; before a regular expression write ~')
    if (!/^[\x21-\x7e]+$/.test(value) || /[?#]/.test(value)) {
      throw new Unfit('holds characters that no path has; expected percent-escapes, and neither query nor fragment')
    }
    return value
  },
}

function checkedExpression(value: string): string {
  if (value === '~') throw new Unfit('is an empty expression, which would match every path; write / instead')
  try {
    pathExpression(value)
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^.*: /, '') : 'not understood'
    throw new Unfit(
      `is no valid regular expression (${reason}); expected JavaScript's syntax, which has named groups as (?<name>…)`,
    )
  }
  return value
}

/** A host that a route matches: a name, a name with one `*` as first or last label, either with a port. */
const routeHost: Kind<string> = {
  expected: 'a host such as api.example.com, *.example.com or api.example.com:8443',
  json: { type: 'string' },
  parse(value) {
    if (typeof value !== 'string') throw new Unfit('')
    if (/[/@]/.test(value)) throw new Unfit('')
    if (!value.includes('*')) return authority.parse(value).toLowerCase()
    const [name, port] = value.split(/:(?=\d{1,5}$)/)
    return `${wildcardName.parse(name)}${port === undefined ? '' : `:${port}`}`
  },
}

const routeFields = {
  name: field(text, { about: 'Its name, for logs and metrics.' }),
  protocols: list(choice('http', 'https'), {
    default: ['http', 'https'],
    about:
      'A route for http alone takes no request: listeners speak TLS, and plain HTTP gets 400 whatever stands here.',
  }),
  https_redirect_status_code: field(oneOfNumbers(426, 301, 302, 307, 308), {
    default: 426,
    about: 'Accepted and not used: plain HTTP gets 400.',
  }),
  methods: list(matching(/^[A-Z]+$/, 'a method in upper case, such as GET'), {
    about: 'The methods that it takes; without it, all.',
  }),
  hosts: list(routeHost, { about: 'The hosts that it takes, *.example.com and www.example.* too; without it, all.' }),
  paths: list(routePath, {
    about: 'The prefixes of the paths that it takes, or ~ and a regular expression; without it, all.',
  }),
  headers: mapOfLists(text, {
    about: 'Header names, each with the values one of which must be there; ~* and an expression too.',
  }),
  snis: list(wildcardName, { about: 'The TLS server names that it takes; without it, all.' }),
  strip_path: field(onOff, {
    default: true,
    about: 'Whether the matched prefix is removed from the path for the service.',
  }),
  preserve_host: field(onOff, { default: false, about: "Whether the service gets the client's Host." }),
  regex_priority: field(integer(0, 2 ** 19 - 1), {
    default: 0,
    about: 'Of two ~ paths that match, the higher priority wins.',
  }),
  path_handling: field(
    {
      ...choice('v0'),
      expected: 'v0, the default of Kong (v1, which joins paths without the slash between them, is not supported)',
    },
    { default: 'v0', about: 'How paths are joined; v1 is not supported.' },
  ),
  ...demands,
  ...certificateDemands,
  ...accessRules,
  request_buffering: field(onOff, { default: true, about: 'Accepted and not used: bodies always stream.' }),
  response_buffering: field(onOff, { default: true, about: 'Accepted and not used: bodies always stream.' }),
}

/** As it nests in a service. */
export const nestedRoute = entity('A route to this service.', routeFields)

export const route = entity('A route to a service.', {
  ...routeFields,
  service: field(foreignKey('a service'), { required: true, about: 'The service that it leads to.' }),
})

export type WrittenRoute = z.output<typeof nestedRoute> & Located

/** A route as it is used. At least one of methods, hosts, paths, headers and snis is there; those that are, are not empty. */
export interface RouteConfig extends Located, CertificateDemands {
  readonly id: string | undefined
  /** Its name, else its id, else where it stands. */
  readonly name: string
  readonly service: ServiceConfig
  readonly protocols: readonly ('http' | 'https')[]
  readonly methods: readonly string[] | undefined
  /** Lower case; may hold a `*` label and a port. */
  readonly hosts: readonly string[] | undefined
  /** As written: `/prefix`, or `~expression` (see `pathExpression`). */
  readonly paths: readonly string[] | undefined
  /** Names in lower case; values as written, `~*expression` among them. */
  readonly headers: Readonly<Record<string, readonly string[]>> | undefined
  readonly snis: readonly string[] | undefined
  readonly strip_path: boolean
  readonly preserve_host: boolean
  readonly regex_priority: number
  /** Seconds since 1970; 0 where none is written. Ties go to the older route, then to the one that stands first. */
  readonly created_at: number
  /** Its own, else its service's; undefined where nobody is asked who he is. Not empty. */
  readonly rules: readonly (readonly string[])[] | undefined
  readonly anonymous: boolean
  readonly hide_credentials: boolean
  /** Its service's `allow` and `deny`, then its own; places without either are left out. */
  readonly access_rules: readonly AccessRulesConfig[]
  /** Its own, else its service's: the name or id of a consumer. */
  readonly default_consumer: string | undefined
  readonly authorization_plugins: readonly string[]
}

const MATCHERS = ['methods', 'hosts', 'paths', 'headers', 'snis'] as const

export function checkRoute(given: WrittenRoute): Problem[] {
  const { at, protocols, headers = {} } = given
  const problems: Problem[] = []
  const isEmpty = (value: object | undefined) => value === undefined || Object.keys(value).length === 0
  if (MATCHERS.every((name) => isEmpty(given[name]))) {
    problems.push({
      path: at,
      message: "must set one of 'methods', 'hosts', 'headers', 'paths', 'snis'; paths: [/] takes everything",
    })
  }
  if (protocols.length === 0)
    problems.push({ path: `${at}.protocols`, message: 'is empty; expected http, https or both' })
  // As in Kong, one protocol that has server names is enough.
  if (!isEmpty(given.snis) && !protocols.includes('https')) {
    problems.push({ path: `${at}.snis`, message: "can only be set where 'protocols' has https" })
  }
  for (const name of Object.keys(headers))
    problems.push(...checkHeader(name, headers[name] ?? [], `${at}.headers.${name}`))
  return problems
}

function checkHeader(name: string, values: readonly string[], path: string): Problem[] {
  if (name.toLowerCase() === 'host')
    return [{ path, message: "cannot contain 'host' header, which must be specified in 'hosts'" }]
  if (!/^[A-Za-z0-9_-]+$/.test(name))
    return [{ path, message: 'is no header name; expected letters, digits and hyphens' }]
  if (values.length === 0) return [{ path, message: 'has no value; expected a list of values' }]
  const expression = values.find((value) => value.startsWith('~*'))
  if (expression === undefined) return []
  if (values.length > 1)
    return [{ path, message: 'has an expression (~*) among several values; expected the expression alone' }]
  try {
    new RegExp(expression.slice(2), 'i')
    return []
  } catch {
    return [{ path, message: "is no valid regular expression; expected JavaScript's syntax after ~*" }]
  }
}
