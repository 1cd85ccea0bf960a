/** Registry tokens: JWTs that carry their certificate, the one form that registry 2.8 and 3.x both accept with a `rootcertbundle` alone. */
import { createPrivateKey, createPublicKey, type KeyObject, randomUUID, sign, verify } from 'node:crypto'
import type { KeyPair } from '../tls-cert-utils/key-pair.ts'
import { type KeyIdForm, keyId } from './key-id.ts'
import type { Resource } from './scope.ts'

export interface TokenClaims {
  /** Empty for an anonymous caller. */
  readonly subject: string
  /** The registry; one text, as registry 2.x refuses a list. */
  readonly audience: string
  readonly access: readonly Resource[]
  /** Seconds since the epoch. */
  readonly issuedAt: number
  /** Seconds since the epoch. */
  readonly expiresAt: number
}

export interface SignerOptions {
  readonly issuer: string
  /** The first one signs. The others have signed before, and their tokens may still be in use. Not empty. */
  readonly pairs: readonly KeyPair[]
  readonly keyIdForm: KeyIdForm
}

/** A key that registries know. */
interface SigningKey {
  readonly id: string
  readonly publicKey: KeyObject
  readonly algorithm: 'RS256' | 'ES256'
  readonly chain: readonly string[]
}

export interface TokenSigner {
  readonly issuer: string
  sign(claims: TokenClaims): string
  /** Undefined for a token that this signer did not sign. */
  verify(token: string, now: number): TokenClaims | 'expired' | undefined
  /** RFC 7517, for registry 3.x. */
  jwks(): { readonly keys: readonly object[] }
}

/** Node's hash for both algorithms; the key says which of the two it is. */
const HASH = 'sha256'

/** Which of the two algorithms a key can be used with; undefined for any other key. */
export function algorithmOf(key: KeyObject): 'RS256' | 'ES256' | undefined {
  if (key.asymmetricKeyType === 'rsa') return 'RS256'
  const isP256 = key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1'
  return isP256 ? 'ES256' : undefined
}

export function createTokenSigner({ issuer, pairs, keyIdForm }: SignerOptions): TokenSigner {
  const keys = pairs.map((pair) => signingKeyOf(pair, keyIdForm))
  const [current] = keys
  const [pair] = pairs
  if (!current || !pair) throw new Error('a realm without signing key')
  const { algorithm: alg, id: kid, chain: x5c } = current
  const privateKey = createPrivateKey(pair.keyPem)
  const header = encoded({ typ: 'JWT', alg, kid, x5c })
  return {
    issuer,
    sign({ subject, audience, access, issuedAt, expiresAt }) {
      const payload = encoded({
        iss: issuer,
        sub: subject,
        aud: audience,
        exp: expiresAt,
        nbf: issuedAt,
        iat: issuedAt,
        jti: randomUUID(),
        access,
      })
      const input = `${header}.${payload}`
      const signature = sign(HASH, Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' })
      return `${input}.${signature.toString('base64url')}`
    },
    verify: (token, now) => verified(token, keys, issuer, now),
    jwks: () => ({ keys: keys.map(jwkOf) }),
  }
}

function signingKeyOf(pair: KeyPair, form: KeyIdForm): SigningKey {
  const publicKey = createPublicKey(pair.certificatePem)
  const algorithm = algorithmOf(publicKey)
  if (!algorithm) throw new Error('a signing key that is neither RSA nor P-256 passed the check')
  const chain = pair.certificates.map(({ raw }) => raw.toString('base64'))
  return { id: keyId(publicKey, form), publicKey, algorithm, chain }
}

function jwkOf({ id, publicKey, algorithm, chain }: SigningKey): object {
  return { ...publicKey.export({ format: 'jwk' }), kid: id, use: 'sig', alg: algorithm, x5c: chain }
}

function encoded(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url')
}

/** The key is looked up by `kid` among ours; what the header says beside it is not believed. */
function verified(
  token: string,
  keys: readonly SigningKey[],
  issuer: string,
  now: number,
): TokenClaims | 'expired' | undefined {
  const [header = '', payload = '', signature = '', ...more] = token.split('.')
  if (more.length > 0) return undefined
  const { kid, alg } = decoded(header)
  const key = keys.find(({ id, algorithm }) => id === kid && algorithm === alg)
  if (!key) return undefined
  const input = Buffer.from(`${header}.${payload}`)
  const options = { key: key.publicKey, dsaEncoding: 'ieee-p1363' } as const
  if (!verify(HASH, input, options, Buffer.from(signature, 'base64url'))) return undefined
  const claims = decoded(payload)
  const { sub, aud, exp, iat, iss } = claims
  if (iss !== issuer || typeof sub !== 'string' || typeof aud !== 'string') return undefined
  if (typeof exp !== 'number' || typeof iat !== 'number') return undefined
  if (exp * 1000 <= now) return 'expired'
  // Our own signature stands under it, so it has the shape that we gave it.
  return { subject: sub, audience: aud, access: claims.access as readonly Resource[], issuedAt: iat, expiresAt: exp }
}

function decoded(part: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
