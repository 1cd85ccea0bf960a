/** Tokens of other issuers: JWTs whose keys are published as a JWKS (RFC 7517). */
import { hash } from 'node:crypto'
import { createLocalJWKSet, decodeJwt, errors, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose'
import { thumbprintOf } from '../tokens/binding.ts'
import type { Connection, Outcome, User, Users } from '../types.ts'
import type { IssuerKeys } from './remote-keys.ts'

export interface JwtIssuerOptions {
  /** What `iss` must be, letter for letter. */
  readonly issuer: string
  /** One of them must be in `aud`. */
  readonly audiences: readonly string[]
  readonly algorithms: readonly string[]
  readonly keys: IssuerKeys
  readonly userClaim: string
  readonly groupsClaim: string | undefined
  /** Whether a token may name users whom the configuration does not know. */
  readonly ephemeralUsers: boolean
  /** Milliseconds that clocks may differ. */
  readonly clockTolerance: number
}

interface Verified {
  readonly outcome: Outcome
  /** RFC 8705: the thumbprint of the only certificate that may use the token. */
  readonly thumbprint: string | undefined
  /** In milliseconds since the epoch. */
  readonly until: number
}

/** Longer ones are refused unread. */
const LONGEST = 8192
const MOST_REMEMBERED = 10_000

/** Errors that mean the token itself is wrong. All others, such as keys that cannot be fetched, say nothing about the token. */
const FAULTS = [
  errors.JWTExpired,
  errors.JWTClaimValidationFailed,
  errors.JWTInvalid,
  errors.JWSInvalid,
  errors.JWSSignatureVerificationFailed,
  errors.JWKSNoMatchingKey,
  errors.JWKSMultipleMatchingKeys,
  errors.JOSEAlgNotAllowed,
  errors.JOSENotSupported,
]

export class JwtIssuers {
  readonly #users: Users
  readonly #issuers: ReadonlyMap<string, JwtIssuerOptions>
  /** By the token's hash. */
  readonly #verified = new Map<string, Verified>()

  constructor(issuers: readonly JwtIssuerOptions[], users: Users) {
    this.#users = users
    this.#issuers = new Map(issuers.map((issuer) => [issuer.issuer, issuer]))
  }

  /**
   * Undefined for a token of another issuer. Returns a promise only for a token that was not seen before.
   * @param connection undefined where the client that the token is bound to was checked already
   */
  verify(token: string, connection: Connection | undefined): Outcome | Promise<Outcome> | undefined {
    if (this.#issuers.size === 0 || token.length > LONGEST) return undefined
    const key = hash('sha256', token, 'base64')
    const known = this.#verified.get(key)
    if (known && known.until > Date.now()) return forClient(known, connection)
    const issuer = this.#issuers.get(issuerOf(token) ?? '')
    return issuer && this.#check(token, key, issuer, connection)
  }

  async #check(
    token: string,
    key: string,
    issuer: JwtIssuerOptions,
    connection: Connection | undefined,
  ): Promise<Outcome> {
    const { algorithms, audiences, clockTolerance } = issuer
    try {
      const { payload } = await jwtVerify(token, issuer.keys.getKey, {
        issuer: issuer.issuer,
        audience: [...audiences],
        algorithms: [...algorithms],
        clockTolerance: clockTolerance / 1000,
        // A token without an end could not be taken back.
        requiredClaims: ['exp', issuer.userClaim],
      })
      const verified = {
        outcome: this.#outcomeOf(payload, issuer, token),
        thumbprint: boundTo(payload),
        until: issuer.keys.goodUntil(),
      }
      if (verified.outcome.status === 'accepted') this.#remember(key, verified)
      return forClient(verified, connection)
    } catch (error) {
      if (FAULTS.some((fault) => error instanceof fault)) return denied((error as Error).message)
      throw error
    }
  }

  #remember(key: string, verified: Verified): void {
    if (this.#verified.size >= MOST_REMEMBERED) this.#verified.clear()
    this.#verified.set(key, verified)
  }

  #outcomeOf(payload: JWTPayload, issuer: JwtIssuerOptions, proof: string): Outcome {
    const user = this.#userOf(payload, issuer)
    if (typeof user === 'string') return denied(user)
    const expiresAt = (payload.exp as number) * 1000 + issuer.clockTolerance
    // RFC 7519 4.1.7 makes it a text; not every issuer does.
    const credential = typeof payload.jti === 'string' ? payload.jti : undefined
    return Object.freeze({ status: 'accepted', user, credential, expiresAt, proof })
  }

  /** Returns a sentence that says why where there is none. */
  #userOf(payload: JWTPayload, { issuer, userClaim, groupsClaim, ephemeralUsers }: JwtIssuerOptions): User | string {
    const name = payload[userClaim]
    if (!isName(name)) return `${userClaim} is no name`
    const known = this.#users.byName(name) ?? this.#users.byId(name)
    if (known) return known
    if (!ephemeralUsers || this.#users.isDisabled(name))
      return `${userClaim} is ${JSON.stringify(name.slice(0, 64))}, whom the configuration does not know`
    const groups = groupsClaim === undefined ? [] : payload[groupsClaim]
    const usable = Array.isArray(groups) ? groups.filter(isName).filter((group) => !group.includes(',')) : []
    return Object.freeze({ id: `${issuer} ${name}`, name, groups: Object.freeze(usable), customId: undefined })
  }
}

/** Those of the configuration itself. */
export function givenKeys(set: JSONWebKeySet): IssuerKeys {
  return { getKey: createLocalJWKSet(set), goodUntil: () => Number.POSITIVE_INFINITY }
}

/** Unverified: only to choose who must have signed it. */
function issuerOf(token: string): string | undefined {
  try {
    return decodeJwt(token).iss
  } catch {
    return undefined
  }
}

function boundTo({ cnf }: JWTPayload): string | undefined {
  if (cnf === undefined) return undefined
  const thumbprint = (cnf as { 'x5t#S256'?: unknown } | null)?.['x5t#S256']
  // It is bound to something that we cannot check, so no certificate of ours fits.
  return typeof thumbprint === 'string' ? thumbprint : ''
}

function forClient({ outcome, thumbprint }: Verified, connection: Connection | undefined): Outcome {
  if (!connection || thumbprint === undefined || thumbprint === thumbprintOf(connection)) return outcome
  return denied('the token is bound to another certificate or key')
}

function isName(value: unknown): value is string {
  // Halves of a surrogate pair all become the same character in UTF-8, and two users one.
  return typeof value === 'string' && value.length > 0 && value.length <= 1024 && !/[\p{Cc}\p{Cs}]/u.test(value)
}

function denied(reason: string): Outcome {
  return { status: 'denied', reason }
}
