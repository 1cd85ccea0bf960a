/** Who may pass: `allow` and `deny` of a service and its route. A denial wins. Where anything is allowed, everything else is denied. */
import { GatewayError } from '../errors.ts'
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import type { Caller, Connection, Identity } from '../types.ts'

/** All parts that are written must hold. A condition without any part holds for nobody in `allow`, and for everybody in `deny`. */
export interface Condition {
  /** Where it stands, as `services[0].deny[1]`. */
  readonly at: string
  readonly users?: ReadonlySet<string> | undefined
  readonly groups?: ReadonlySet<string> | undefined
  /** Only a verified certificate can meet it. */
  readonly certificate?: ((certificate: CertificateFacts) => boolean) | undefined
  readonly addresses?: { has(address: string): boolean } | undefined
  readonly methods?: ReadonlySet<string> | undefined
  readonly times?: ((now: number) => boolean) | undefined
}

/** The conditions of one service or route. */
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
  authorize(caller: Caller, identity: Identity): void
  /** Whether it asks for users or groups: then a caller without a user must not pass. */
  readonly needsUser: boolean
  /** Whether the decision may change as time passes. */
  readonly hasTimes: boolean
}

interface Remembered {
  readonly identity: Identity
  readonly decision: Decision
}

export function createAuthorization({ limits, addressOf }: AuthorizationOptions): Authorization {
  const conditions = limits.flatMap(({ allow = [], deny }) => [...allow, ...deny])
  // Conditions that do not look at the request are decided once per connection and user.
  const isLasting = !conditions.some(({ addresses, methods, times }) => addresses || methods || times)
  const known = new WeakMap<Connection, Remembered>()

  const judge = (caller: Caller, identity: Identity): Decision => {
    const holds = (condition: Condition) => isMet(condition, caller, identity, addressOf)
    for (const { deny } of limits) {
      const denial = deny.find(holds)
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
          `${by} does not let ${identity.user?.name ?? 'this caller, who is no user,'} pass`,
        )
    },
    needsUser: conditions.some(({ users, groups }) => users || groups),
    hasTimes: conditions.some(({ times }) => times),
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
