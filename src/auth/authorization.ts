/** Who may pass: `allow` and `deny` of a service and its route. A denial wins, and where something is allowed everything else is not. */
import { GatewayError } from '../errors.ts'
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import type { Access, Caller, Connection, Identity } from '../types.ts'

/** What is written must hold, all of it. Without anything it holds for nobody where it allows, and for everybody where it denies. */
export interface Condition {
  /** Where it stands, as `services[0].deny[1]`. */
  readonly at: string
  readonly users?: ReadonlySet<string> | undefined
  readonly groups?: ReadonlySet<string> | undefined
  /** Asked of verified certificates only. */
  readonly certificate?: ((certificate: CertificateFacts) => boolean) | undefined
  readonly addresses?: { has(address: string): boolean } | undefined
  readonly methods?: ReadonlySet<string> | undefined
  readonly times?: ((now: number) => boolean) | undefined
}

/** What stands at one place, a service or a route. */
export interface Limits {
  readonly at: string
  readonly allow: readonly Condition[] | undefined
  readonly deny: readonly Condition[]
}

export interface AuthorizationOptions {
  /** All of them must let the caller pass. */
  readonly limits: readonly Limits[]
  /** The client's address, as trusted proxies may tell it. */
  addressOf(caller: Caller): string
}

/** What the decision came to, and by which setting. */
export interface Decision {
  readonly passes: boolean
  readonly by: string
}

export interface Authorization {
  decide(caller: Caller, identity: Identity): Decision
  /** @throws GatewayError GW_FORBIDDEN */
  readonly authorize: Access['authorize']
  /** Whether it asks for users or groups, so that nobody without a user can pass by it. */
  readonly needsUser: boolean
}

interface Remembered {
  readonly identity: Identity
  readonly decision: Decision
}

export function createAuthorization({ limits, addressOf }: AuthorizationOptions): Authorization {
  const conditions = limits.flatMap(({ allow = [], deny }) => [...allow, ...deny])
  // What does not look at the request is decided once per connection and user.
  const isLasting = !conditions.some(({ addresses, methods, times }) => addresses || methods || times)
  const known = new WeakMap<Connection, Remembered>()

  const judge = (caller: Caller, identity: Identity): Decision => {
    const holds = (condition: Condition) => isMet(condition, caller, identity, addressOf)
    for (const { deny } of limits) {
      const denial = deny.find((condition) => isEmpty(condition) || holds(condition))
      if (denial) return { passes: false, by: denial.at }
    }
    let by = limits.at(-1)?.at ?? ''
    for (const { at, allow } of limits) {
      if (!allow) continue
      const permission = allow.find((condition) => !isEmpty(condition) && holds(condition))
      if (!permission) return { passes: false, by: `${at}.allow` }
      by = permission.at
    }
    return { passes: true, by }
  }

  const decide = (caller: Caller, identity: Identity): Decision => {
    const { connection } = caller
    if (!isLasting) return judge(caller, identity)
    const remembered = known.get(connection)
    if (remembered?.identity === identity) return remembered.decision
    const decision = judge(caller, identity)
    known.set(connection, { identity, decision })
    return decision
  }

  return {
    decide,
    authorize(caller, identity) {
      const { passes, by } = decide(caller, identity)
      if (!passes)
        throw new GatewayError(
          'GW_FORBIDDEN',
          `${by} does not let ${identity.user?.name ?? 'nobody in particular'} pass`,
        )
    },
    needsUser: conditions.some(({ users, groups }) => users || groups),
  }
}

function isEmpty({ users, groups, certificate, addresses, methods, times }: Condition): boolean {
  return !(users || groups || certificate || addresses || methods || times)
}

function isMet(
  condition: Condition,
  caller: Caller,
  identity: Identity,
  addressOf: AuthorizationOptions['addressOf'],
): boolean {
  const { users, groups, certificate, addresses, methods, times } = condition
  const { user } = identity
  const { connection, method } = caller
  if (users && !(user && users.has(user.name))) return false
  if (groups && !user?.groups.some((group) => groups.has(group))) return false
  if (certificate && !isCalled(connection, certificate)) return false
  if (methods && !methods.has(method)) return false
  if (addresses && !addresses.has(addressOf(caller))) return false
  return !times || times(Date.now())
}

function isCalled(
  { certificate, verification }: Connection,
  fits: (certificate: CertificateFacts) => boolean,
): boolean {
  return certificate !== undefined && verification.result === 'SUCCESS' && fits(certificate)
}
