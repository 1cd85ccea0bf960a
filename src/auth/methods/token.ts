import { type UserClaims, userOfClaims } from '../../tokens/token-user.ts'
import type { Claims, Tokens, Verified } from '../../tokens/tokens.ts'
import type { AuthMethod, Caller, Outcome, Users } from '../../types.ts'
import type { JwtIssuers } from '../jwt-issuers.ts'
import { headerValues } from './header-values.ts'
import { textAt } from './payload.ts'

export interface TokenMethodOptions {
  readonly tokens: Tokens
  /** Others whose tokens count too. */
  readonly issuers: JwtIssuers
  readonly users: Users
  readonly realm: string
  /** What backends are told of a token besides its user; undefined where what it is good for is gone. */
  describe(claims: Claims): Readonly<Record<string, string>> | undefined
}

/** What the Identity API writes into tokens; others leave it out. */
type GivenClaims = Claims &
  Partial<UserClaims> & { readonly methods?: readonly string[]; readonly audit_ids?: readonly string[] }

type Accepted = Outcome & { readonly status: 'accepted' }

/** A token of ours: in X-Auth-Token or after `Bearer` at the gate, Keystone's `{"id"}` otherwise. */
export function createTokenMethod({ tokens, issuers, users, realm, describe }: TokenMethodOptions): AuthMethod {
  // The same outcome for the same claims, so that what follows from it is made once.
  const known = new WeakMap<Claims, Accepted>()
  const judge = (verified: Verified): Outcome => {
    if (verified.status === 'invalid') return { status: 'denied', reason: verified.reason }
    const { claims } = verified
    const found = known.get(claims)
    if (found) return found
    const outcome = outcomeOf(claims, users, describe)
    if (outcome.status === 'accepted') known.set(claims, outcome)
    return outcome
  }
  const check = (token: string, { connection }: Caller): Outcome | Promise<Outcome> => {
    const ofOthers = issuers.verify(token, connection)
    if (ofOthers) return ofOthers
    const verified = tokens.verify(token, connection)
    return verified instanceof Promise ? verified.then(judge) : judge(verified)
  }
  return {
    name: 'token',
    challenge: `Bearer realm="${realm}"`,
    credential: { isHeader: (name, value) => name === 'x-auth-token' || (name === 'authorization' && isBearer(value)) },
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

function outcomeOf(claims: GivenClaims, users: Users, describe: TokenMethodOptions['describe']): Outcome {
  const user = userOfClaims(claims, users)
  const described = describe(claims)
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

const BEARER = /^bearer +/i

function isBearer(value: string): boolean {
  return BEARER.test(value)
}

function tokensIn(rawHeaders: readonly string[]): string[] {
  const bearer = headerValues(rawHeaders, 'authorization').filter(isBearer)
  return [...headerValues(rawHeaders, 'x-auth-token'), ...bearer.map((value) => value.replace(BEARER, ''))]
}
