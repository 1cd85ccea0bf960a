/** The methods by which callers identify themselves. Their names, and much of their meaning, are Keystone's. */
import type * as z from 'zod'
import type { Problem } from '../../errors.ts'
import { didYouMean } from '../nearest.ts'
import { secret } from '../secret.ts'
import { networkOrUnix } from './addresses.ts'
import { block, field, type Kind, list, Unfit } from './field.ts'
import { type JwtIssuerConfig, jwtIssuers } from './jwt-issuers.ts'
import { duration, integer, matching, onOff, positiveDuration } from './scalars.ts'

/** Those that Sallyport brings. */
export const AUTH_METHODS = [
  'certificate',
  'external',
  'password',
  'totp',
  'application_credential',
  'api-key',
  'token',
] as const

/** Methods that only confirm a user whom another method has found. */
const SECOND_STEPS: readonly string[] = ['totp']

export const methodName = matching(/^[A-Za-z][\w-]{0,63}$/, 'the name of a method')
export const headerName = matching(/^[A-Za-z0-9-]{1,64}$/, 'the name of a header')

/** One rule: the methods that must all succeed. Without its brackets `[certificate, password]` would be two rules, each of which is enough. */
export const rule: Kind<readonly string[]> = {
  expected: 'a list of methods that must all succeed, such as [password, totp]',
  json: { type: 'array', items: { type: 'string' }, minItems: 1, uniqueItems: true },
  parse(names) {
    if (!Array.isArray(names) || names.length === 0) throw new Unfit('')
    const parsed = names.map((name) => methodName.parse(name))
    if (new Set(parsed).size < parsed.length) throw new Unfit('names a method twice; keep one')
    return parsed
  },
}

const lockout = block('Against guessing: who fails too often must wait, and each time longer.', {
  attempts: field(integer(0, 1000), {
    default: 5,
    about: 'How many failed attempts in a row cost a user nothing; 0 turns the lock-out off.',
  }),
  window: field(positiveDuration, { default: '15m', about: 'After this time failed attempts are forgotten.' }),
  backoff: field(positiveDuration, { default: '1s', about: 'The first wait; each further failure doubles it.' }),
  max_backoff: field(positiveDuration, { default: '5m', about: 'The longest wait.' }),
})

const password = block('password: Authorization: Basic, against basicauth_credentials.', {
  remember: field(duration, {
    default: '60s',
    about:
      'For how long a password that was right need not be hashed again, per process; 0 for never. What is kept is a keyed digest in memory.',
  }),
  threads: field(integer(1, 64), {
    default: 1,
    about: 'How many threads hash passwords. None of them serves requests.',
  }),
  queue: field(integer(1, 10_000), {
    default: 64,
    about: 'How many passwords may wait to be hashed; more are answered with 503.',
  }),
})

const totp = block('totp: the codes of authenticator apps (RFC 6238), against totp_credentials.', {
  header: field(headerName, { default: 'X-OTP', about: 'The header that holds the code.' }),
  included_previous_windows: field(integer(0, 10), {
    default: 1,
    about: 'How many codes before the present one still count, for slow typists and clocks. No code counts twice.',
  }),
})

const apiKey = block("api-key: Kong's key-auth, against keyauth_credentials.", {
  key_names: list(headerName, {
    default: ['apikey'],
    about: 'The headers and query parameters that may hold the key.',
  }),
  key_in_header: field(onOff, { default: 'on', about: 'Whether headers are looked at.' }),
  key_in_query: field(onOff, {
    default: 'on',
    about:
      'Whether the query is looked at. Queries end in the logs and histories of others: turn it off where you can.',
  }),
})

const external = block('external: a user name that a server in front of the gateway has found out, as REMOTE_USER.', {
  header: field(headerName, { default: 'Remote-User', about: 'The header that holds the name.' }),
  trusted_ips: list(networkOrUnix, {
    default: [],
    about: 'The servers whose word counts, as addresses and networks. From anybody else the header means nothing.',
  }),
})

export const auth = block('How callers say who they are; the rules of services and routes name these methods.', {
  methods: list(methodName, {
    otherwise: `all: ${AUTH_METHODS.join(', ')}, and those of method_plugins`,
    about: 'The methods that rules may name.',
  }),
  realm: field(matching(/^[\w .:/-]{1,64}$/, 'letters, digits, spaces and _ . : / -'), {
    default: 'sallyport',
    about: 'The name that WWW-Authenticate gives to what is protected.',
  }),
  receipt_ttl: field(positiveDuration, {
    default: '5m',
    about: 'How long a client may take from one step of a rule to the last (Openstack-Auth-Receipt).',
  }),
  receipt_secret: field(secret, {
    env: 'SALLYPORT_AUTH_RECEIPT_SECRET',
    secret: true,
    otherwise: 'random, so that a restart forgets all receipts',
    about: 'What receipts are signed with, where several gateways shall accept the same ones; at least 32 characters.',
  }),
  lockout: lockout.prefault({}),
  password: password.prefault({}),
  totp: totp.prefault({}),
  'api-key': apiKey.prefault({}),
  external: external.prefault({}),
  jwt_issuers: jwtIssuers,
})

/** As it is used: `methods` are all that rules may name. */
export type AuthConfig = Omit<z.output<typeof auth>, 'methods' | 'jwt_issuers'> & {
  readonly methods: readonly string[]
  readonly jwt_issuers: readonly JwtIssuerConfig[]
}

/** `known`: those that Sallyport brings, and those of plugins. */
export function checkAuth(
  { methods, receipt_secret: receipts }: z.output<typeof auth>,
  known: readonly string[],
): Problem[] {
  const problems: Problem[] = []
  for (const [index, name] of (methods ?? []).entries()) {
    if (known.includes(name)) continue
    const message = `no method is named "${name}"${didYouMean(name, known)}; known: ${known.join(', ')}`
    problems.push({ path: `auth.methods[${index}]`, message })
  }
  if (receipts && receipts.reveal().length < 32) {
    problems.push({ path: 'auth.receipt_secret', message: 'is too short; expected at least 32 characters, random' })
  }
  return problems
}

/** The demands of a service or a route on its callers. */
export interface Demands {
  readonly at: string
  readonly rules?: readonly (readonly string[])[] | undefined
  readonly anonymous?: boolean | undefined
}

/** `methods`: those that are set up. `isTrusting`: whether auth.external has trusted_ips. */
export function checkDemands(
  { at, rules, anonymous }: Demands,
  { methods, isTrusting }: { readonly methods: readonly string[]; readonly isTrusting: boolean },
): Problem[] {
  const problems = (rules ?? []).flatMap((names, index) => {
    const path = `${at}.rules[${index}]`
    const [first = '', ...others] = names
    const unknown = names.filter((name) => !methods.includes(name))
    return [
      ...unknown.map((name) => ({
        path,
        message: `auth.methods has no "${name}"${didYouMean(name, methods)}; known: ${methods.join(', ')}`,
      })),
      ...(SECOND_STEPS.includes(first)
        ? [{ path, message: `begins with ${first}, which only adds to a user; write [password, ${first}]` }]
        : []),
      ...(names.includes('external') && !isTrusting
        ? [{ path, message: 'lets nobody in by external: name the server in front in auth.external.trusted_ips' }]
        : []),
      ...(others.length > 15 ? [{ path, message: 'has more than 16 methods' }] : []),
    ]
  })
  if (rules?.length === 0)
    problems.push({ path: `${at}.rules`, message: 'is empty; write rules: [[certificate]], or remove it' })
  if (anonymous && !rules) {
    problems.push({ path: `${at}.anonymous`, message: 'has no meaning without rules; add rules, or remove it' })
  }
  return problems
}

/** The settings by which services and routes make demands. */
export const demands = {
  rules: list(rule, {
    otherwise: 'nobody is asked; for a route, what its service asks',
    about:
      'Who may come in: of these rules one must be satisfied, which is so when all of its methods succeed and agree on the user, as in [[certificate], [password, totp]].',
  }),
  anonymous: field(onOff, {
    otherwise: 'off; for a route, what its service says',
    about:
      'Whether callers who say nothing at all may pass, without a user. Whoever says something wrong is refused all the same.',
  }),
  hide_credentials: field(onOff, {
    otherwise: 'on; for a route, what its service says',
    about:
      'Whether what the methods of the rules read (Authorization: Basic, the API key, the code) is kept from the backend.',
  }),
}
