/** The tokens that the gateway issues: signed, revocable, and bound to the certificate that they were issued to. */
import { hash, randomUUID } from 'node:crypto'
import type { JWTPayload } from 'jose'
import type { Connection } from '../types.ts'
import { thumbprintOf } from './binding.ts'
import { readSigned, signed } from './compact-jwt.ts'
import type { Revocations } from './revocations.ts'
import type { SigningKeys } from './signing-keys.ts'

/** The verified claims of a token. Times are JWT's: seconds since the epoch, with fractions. */
export interface Claims extends JWTPayload {
  readonly sub: string
  readonly jti: string
  readonly iat: number
  readonly exp: number
  /** RFC 7800: the only certificate that may use the token. */
  readonly cnf?: { readonly 'x5t#S256': string }
}

/** `reason` is for the log. What could not be decided throws. */
export type Verified =
  | { readonly status: 'valid'; readonly claims: Claims }
  | { readonly status: 'invalid'; readonly reason: string }

export interface TokensOptions {
  readonly keys: SigningKeys
  readonly issuer: string
  readonly revocations: Revocations
  /** How many verified tokens are remembered, so that their signatures are checked only once. */
  readonly cacheEntries: number
  /** For how many milliseconds an expired token can still be inspected. */
  readonly expiredWindow: number
  readonly now?: () => number
}

/** Longer ones are none of ours. */
const LONGEST = 8192

export class Tokens {
  readonly #options: TokensOptions
  readonly #now: () => number
  /** By the token's hash. */
  readonly #verified = new Map<string, Claims>()
  /** The last token of each connection: most clients use only one. */
  readonly #last = new WeakMap<Connection, { readonly token: string; readonly claims: Claims }>()

  constructor(options: TokensOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
  }

  /**
   * Issues a token for `sub`, with its own id, issuer and start. Where the connection showed a certificate, the token works only with that one.
   * @param expiresAt in milliseconds since the epoch
   */
  async issue(
    claims: JWTPayload & { readonly sub: string },
    expiresAt: number,
    connection: Connection,
  ): Promise<{ readonly token: string; readonly claims: Claims }> {
    const { keys, issuer, revocations } = this.#options
    const epoch = await revocations.begin()
    const thumbprint = thumbprintOf(connection)
    const complete: Claims = {
      jti: newTokenId(),
      ...claims,
      iss: issuer,
      // A clock that was set back since, here or at another gateway, must not make it look older than the epoch.
      iat: Math.max(this.#now(), Number.isSafeInteger(epoch) ? epoch : 0) / 1000,
      exp: expiresAt / 1000,
      ...(thumbprint === undefined ? {} : { cnf: { 'x5t#S256': thumbprint } }),
    }
    return { token: signed(complete, keys.current), claims: complete }
  }

  /** Whether this client may use the token. Returns a promise only where the store must be waited for. */
  verify(token: string, connection: Connection): Verified | Promise<Verified> {
    const last = this.#last.get(connection)
    if (last?.token === token) return this.#judge(last.claims, connection)
    const found = this.#issued(token)
    if (found.status === 'invalid') return found
    this.#last.set(connection, { token, claims: found.claims })
    return this.#judge(found.claims, connection)
  }

  /**
   * The claims of somebody else's token, for those who may see them: it need not be bound to the client that asks.
   * @param expiredFor how many milliseconds ago it may have expired, at most `expiredWindow`
   */
  inspect(token: string, expiredFor = 0): Verified | Promise<Verified> {
    const found = this.#issued(token)
    return found.status === 'invalid' ? found : this.#judge(found.claims, undefined, expiredFor)
  }

  /** Revokes the token everywhere. */
  revoke({ jti, exp }: Claims): void | Promise<void> {
    return this.#options.revocations.revoke(jti, exp * 1000 + this.#options.expiredWindow)
  }

  /** Checks that it was issued here, whatever has happened to it since. */
  #issued(token: string): Verified {
    if (token.length > LONGEST) return { status: 'invalid', reason: `a token of more than ${LONGEST} characters` }
    const key = hash('sha256', token, 'base64')
    const known = this.#verified.get(key)
    return known ? { status: 'valid', claims: known } : this.#checkSignature(token, key)
  }

  #checkSignature(token: string, key: string): Verified {
    const { keys, issuer, expiredWindow } = this.#options
    const read = readSigned(token, (header) => keys.find(header))
    if (read === undefined) return { status: 'invalid', reason: 'no token that a key of ours has signed' }
    if (!areClaims(read) || read.iss !== issuer) return { status: 'invalid', reason: 'claims that are none of ours' }
    // Not remembered: nobody may even inspect it any more.
    if (read.exp * 1000 + expiredWindow <= this.#now()) return { status: 'invalid', reason: 'the token has expired' }
    this.#remember(key, read)
    return { status: 'valid', claims: read }
  }

  /** Checks what may have changed since the signature was verified. Without a connection the token may be anybody's. */
  #judge(claims: Claims, connection: Connection | undefined, expiredFor = 0): Verified | Promise<Verified> {
    if (claims.exp * 1000 + expiredFor <= this.#now()) return { status: 'invalid', reason: 'the token has expired' }
    if (connection && claims.cnf && claims.cnf['x5t#S256'] !== thumbprintOf(connection)) {
      return { status: 'invalid', reason: 'the token was issued to another certificate' }
    }
    // Rounded: some times after 2038 are less once they have been divided and multiplied by 1000.
    const revoked = this.#options.revocations.isRevoked(claims.jti, Math.round(claims.iat * 1000))
    return revoked instanceof Promise ? revoked.then((known) => verdict(known, claims)) : verdict(revoked, claims)
  }

  #remember(key: string, claims: Claims): void {
    const oldest = this.#verified.size >= this.#options.cacheEntries ? this.#verified.keys().next() : undefined
    if (oldest && !oldest.done) this.#verified.delete(oldest.value)
    if (this.#options.cacheEntries > 0) this.#verified.set(key, claims)
  }
}

/** The same keys may sign for other issuers, or may have signed for an older version. */
function areClaims(read: unknown): read is Claims {
  const { sub, jti, iat, exp, nbf, cnf } = (read ?? {}) as Readonly<Record<string, unknown>>
  const isBound = cnf === undefined || typeof (cnf as Claims['cnf'] | null)?.['x5t#S256'] === 'string'
  return isText(sub) && isText(jti) && isTime(iat) && isTime(exp) && nbf === undefined && isBound
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

function verdict(revoked: boolean, claims: Claims): Verified {
  return revoked ? { status: 'invalid', reason: 'the token was revoked' } : { status: 'valid', claims }
}

/** Keystone's audit ids: a UUID in 22 characters. */
export function newTokenId(): string {
  return Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64url')
}
