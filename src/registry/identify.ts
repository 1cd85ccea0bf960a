/** Finds out who asks a token server for a token, or a gate for something of a registry. */
import { GatewayError } from '../errors.ts'
import type { Call, Identity, User } from '../types.ts'
import type { Credentials } from './credentials.ts'
import type { Realm } from './realm.ts'
import type { Subject } from './rights.ts'
import { proofOfRobot, secretMatches } from './robots.ts'

/** `reason` is for the log. */
export type Identified =
  | { readonly status: 'identified'; readonly identity: Identity }
  /** The client sent no credential. */
  | { readonly status: 'anonymous' }
  | {
      readonly status: 'denied'
      readonly reason: string
      /** Flat; for the client, as Retry-After. */
      readonly headers?: readonly string[] | undefined
    }

/**
 * The route's user (by certificate) and the request's own credential (a password, a refresh token) must agree.
 * @throws GatewayError GW_UNDECIDED where it cannot be decided
 */
export async function identify(realm: Realm, call: Call, service: string, said: Credentials): Promise<Identified> {
  const identified = await identityOf(realm, call, service, said)
  if (identified.status !== 'identified' || realm.isEnough(identified.identity)) return identified
  const { user, methods } = identified.identity
  return denied(`${nameOf(user)} needs more than ${methods.join(', ')} (multi_factor_auth_rules)`)
}

async function identityOf(realm: Realm, call: Call, service: string, said: Credentials): Promise<Identified> {
  const shown = call.identity.user ? call.identity : undefined
  switch (said.kind) {
    case 'none':
      if (isNamedAsRobot(realm, shown?.user)) return denied(`${nameOf(shown?.user)} is a robot, which has a secret`)
      return shown ? { status: 'identified', identity: shown } : { status: 'anonymous' }
    case 'unusable':
      return denied('neither Basic credentials nor a form that can be read')
    case 'password':
      return byPassword(realm, call, shown, said)
    case 'refresh':
      return byRefreshToken(realm, service, shown, said.token)
  }
}

/** Certificates, plugins and other issuers choose names: only the secret makes one a robot's, or a consumer of the same name. */
export function isNamedAsRobot({ robots, users }: Realm, user: User | undefined): boolean {
  return user !== undefined && robots.has(user.name) && !users.byName(user.name)
}

function denied(reason: string, headers?: readonly string[]): Identified {
  return { status: 'denied', reason, headers }
}

async function byPassword(
  realm: Realm,
  call: Call,
  shown: Identity | undefined,
  { name, password }: Extract<Credentials, { kind: 'password' }>,
): Promise<Identified> {
  if (realm.robots.has(name)) {
    const robot = byRobot(realm, shown, name, password)
    if (robot.status === 'identified') return robot
    // Takes as long as a name that is not there, and is told to wait as often: nobody shall find out which robots there are.
    const decoy = await realm.password?.authenticate(call, { user: { name, password } })
    return { ...robot, ...(decoy?.status === 'denied' && { headers: decoy.headers }) }
  }
  if (shown && realm.certificateReplacesPassword && shown.user?.name === name) {
    return { status: 'identified', identity: shown }
  }
  const outcome = await realm.password?.authenticate(call, { user: { name, password } })
  if (outcome?.status === 'denied') return denied(outcome.reason, outcome.headers)
  if (outcome?.status !== 'accepted') return denied('no password says who that is')
  const { user, credential, expiresAt = Number.POSITIVE_INFINITY, proof } = outcome
  const proofs = proof === undefined ? [] : [{ method: 'password', of: proof, user }]
  return agreed(shown, { user, methods: ['password'], credential, expiresAt, proofs })
}

function byRobot({ robots }: Realm, shown: Identity | undefined, name: string, secret: string): Identified {
  const robot = robots.find(name, Date.now())
  if (!robot) return denied(`the robot ${name} has expired`)
  if (!secretMatches(robot, secret)) return denied(`wrong secret for the robot ${name}`)
  const { user, expiresAt } = robot
  const proofs = [{ method: 'robot', of: proofOfRobot(robot), user }]
  return agreed(shown, { user, methods: ['robot'], credential: undefined, expiresAt, proofs })
}

/** A refresh token stands for these: it ends with the secret, and a code counts only once. */
const KEPT: ReadonlySet<string> = new Set(['password', 'robot', 'application_credential', 'totp'])

async function byRefreshToken(
  realm: Realm,
  service: string,
  shown: Identity | undefined,
  token: string,
): Promise<Identified> {
  const grant = await realm.refreshTokens.find(token)
  if (!grant) return denied('unknown, expired or revoked refresh token')
  if (grant.service !== service) return denied(`a refresh token for ${grant.service}`)
  const robot = realm.robots.find(grant.user, Date.now())
  if (realm.robots.has(grant.user) && !robot) return denied(`the robot ${grant.user} has expired`)
  // A log-in with a certificate needs it again now: the refresh token alone would survive its revocation, and the end of a token or key.
  const lacking = grant.methods.filter((method) => !KEPT.has(method) && !shown?.methods.includes(method))
  if (lacking.length > 0) return denied(`a refresh token that wants its ${lacking.join(', ')}`)
  const user = robot?.user ?? (shown?.user?.name === grant.user ? shown.user : realm.users.byName(grant.user))
  if (!user) return denied(`the user ${grant.user} is gone`)
  const secrets = realm.secretsOf(user)
  if (grant.secrets?.some((secret) => !secrets.includes(secret)))
    return denied(`a refresh token from before the password of ${grant.user} was changed`)
  const expiresAt = robot?.expiresAt ?? Number.POSITIVE_INFINITY
  return agreed(shown, { user, methods: [...grant.methods, 'refresh_token'], credential: undefined, expiresAt })
}

/** A certificate and a password of different users are refused: choosing one would be a guess. */
function agreed(shown: Identity | undefined, said: Identity): Identified {
  if (!shown) return { status: 'identified', identity: said }
  if (nameOf(shown.user) !== nameOf(said.user)) {
    return denied(
      `${shown.methods.join(', ')} found ${nameOf(shown.user)}, but ${said.methods.join(', ')} ${nameOf(said.user)}`,
    )
  }
  return {
    status: 'identified',
    identity: {
      ...said,
      methods: [...new Set([...shown.methods, ...said.methods])],
      expiresAt: Math.min(shown.expiresAt, said.expiresAt),
    },
  }
}

function nameOf(user: User | undefined): string {
  return user?.name ?? ''
}

/** Whom the rules judge. The certificate of a connection counts beside whoever the caller is. */
export function subjectOf(realm: Realm, call: Call, service: string, identity: Identity | undefined): Subject {
  const { certificate, verification } = call.connection
  return {
    user: identity?.user,
    certificate: verification.result === 'SUCCESS' ? certificate : undefined,
    address: realm.addressOf(call),
    service,
  }
}

/** No token for a session whose certificate has expired. */
export function assertCurrent({ expiresAt }: Identity, now: number): void {
  if (expiresAt <= now) throw new GatewayError('GW_UNAUTHENTICATED', 'what proved the identity has expired')
}
