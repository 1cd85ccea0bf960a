import { type UserClaims, userOfClaims } from '../../tokens/token-user.ts'
import type { Claims, Tokens, Verified } from '../../tokens/tokens.ts'
import type { AuthMethod, Caller, Outcome, User, Users } from '../../types.ts'
import { userOfCertificate } from '../certificate-user.ts'
import type { JwtIssuers } from '../jwt-issuers.ts'
import { textAt } from './payload.ts'

export interface TokenMethodOptions {
  readonly tokens: Tokens
  /** Other issuers whose tokens are accepted. */
  readonly issuers: JwtIssuers
  readonly users: Users
  readonly realm: string
  /** Finds the current user of the certificate that a token was issued with. */
  readonly certificate: AuthMethod
  /** What backends are told about a token besides its user; undefined where its project, domain or roles are gone. */
  describe(claims: Claims, user: User): Readonly<Record<string, string>> | undefined
}

/** What the Identity API writes into tokens; others leave it out. */
type GivenClaims = Claims &
  Partial<UserClaims> & { readonly methods?: readonly string[]; readonly audit_ids?: readonly string[] }

type Accepted = Outcome & { readonly status: 'accepted' }

/** A token of ours: from X-Auth-Token or after `Bearer` on routes, from Keystone's `{"id"}` otherwise. */
export function createTokenMethod(options: TokenMethodOptions): AuthMethod {
  const { tokens, issuers, users, realm, certificate, describe } = options
  // The same outcome for the same claims, so that what is derived from it is made once.
  const known = new WeakMap<Claims, Accepted>()
  const accept = (token: string, claims: GivenClaims, user: User | undefined): Outcome => {
    const found = known.get(claims)
    if (found && found.user === user) return found
    const outcome = outcomeOf(claims, user, describe)
    if (outcome.status !== 'accepted') return outcome
    const accepted = { ...outcome, proof: token }
    known.set(claims, accepted)
    return accepted
  }
  const judge = (token: string, verified: Verified, caller: Caller): Outcome | Promise<Outcome> => {
    if (verified.status === 'invalid') return { status: 'denied', reason: verified.reason }
    const claims: GivenClaims = verified.claims
    const { methods = [] } = claims
    const issuedTo = known.get(claims)?.user ?? userOfClaims(claims, users)
    const user = issuedTo && userOfCertificate({ user: issuedTo, methods }, caller, certificate)
    return user instanceof Promise
      ? user.then((settled) => accept(token, claims, settled))
      : accept(token, claims, user)
  }
  const check = (token: string, caller: Caller): Outcome | Promise<Outcome> => {
    const ofOthers = issuers.verify(token, caller.connection)
    if (ofOthers) return ofOthers
    const verified = tokens.verify(token, caller.connection)
    return verified instanceof Promise
      ? verified.then((settled) => judge(token, settled, caller))
      : judge(token, verified, caller)
  }
  const ownerOf = (verified: Verified, user: User): User | undefined => {
    if (verified.status === 'invalid') return undefined
    const claims: GivenClaims = verified.claims
    const issuedTo = userOfClaims(claims, users)
    // The current user of a certificate is looked up for the connection that shows it.
    const owner = claims.methods?.includes('certificate') && issuedTo?.id === user.id ? user : issuedTo
    return owner && describe(claims, owner) && owner
  }
  return {
    name: 'token',
    challenge: `Bearer realm="${realm}"`,
    credential: { isHeader: (name, value) => name === 'x-auth-token' || (name === 'authorization' && isBearer(value)) },
    ownerOf(token, user) {
      const ofOthers = issuers.verify(token, undefined)
      if (ofOthers instanceof Promise) return ofOthers.then(userOfOutcome)
      if (ofOthers) return userOfOutcome(ofOthers)
      const verified = tokens.inspect(token)
      return verified instanceof Promise ? verified.then((settled) => ownerOf(settled, user)) : ownerOf(verified, user)
    },
    authenticate(caller, payload) {
      if (payload !== undefined) {
        const id = textAt(payload, 'id')
        return id === undefined ? { status: 'denied', reason: 'no id' } : check(id, caller)
      }
      const given = tokensIn(caller.request.rawHeaders)
      const [token] = given
      if (token === undefined) return { status: 'absent' }
      return given.length > 1 ? { status: 'denied', reason: 'more than one token' } : check(token, caller)
    },
  }
}

function outcomeOf(claims: GivenClaims, user: User | undefined, describe: TokenMethodOptions['describe']): Outcome {
  const described = user && describe(claims, user)
  if (!user || !described) return { status: 'denied', reason: 'the user of the token, or what it is good for, is gone' }
  const { methods = [], audit_ids: [own, parent] = [claims.jti] } = claims
  const first = parent ?? own
  return {
    status: 'accepted',
    user,
    credential: claims.jti,
    expiresAt: claims.exp * 1000,
    methods,
    attributes: { ...described, ...(first !== undefined && { audit_id: first }) },
  }
}

function userOfOutcome(outcome: Outcome): User | undefined {
  return outcome.status === 'accepted' ? outcome.user : undefined
}

const BEARER = /^bearer +/i

function isBearer(value: string): boolean {
  return BEARER.test(value)
}

const [OWN, USUAL] = ['x-auth-token', 'authorization'] as const

/** In one pass: every request of a route with tokens comes here. */
function tokensIn(rawHeaders: readonly string[]): string[] {
  const tokens: string[] = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (name.length !== OWN.length && name.length !== USUAL.length) continue
    const value = rawHeaders[i + 1] as string
    const lowerCase = name.toLowerCase()
    if (lowerCase === OWN) tokens.push(value)
    else if (lowerCase === USUAL && isBearer(value)) tokens.push(value.replace(BEARER, ''))
  }
  return tokens
}
