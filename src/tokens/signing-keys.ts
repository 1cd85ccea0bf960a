/** The keys that sign what the gateway issues: derived from one secret and rotated by themselves, or given in the configuration. */
import { createECDH, createHash, createPrivateKey, createPublicKey, hkdfSync, type KeyObject } from 'node:crypto'
import type { JWK } from 'jose'
import { headerOf, type JwtKey } from './compact-jwt.ts'

export interface SigningKey extends JwtKey {
  /** RFC 7638's thumbprint. */
  readonly kid: string
  /** The public part, with kid, alg and use. */
  readonly jwk: JWK
}

export interface SigningKeys {
  /** The key to sign with now. */
  readonly current: SigningKey
  /** Every key that verifies now, and the next one, so that others know it before it signs. */
  readonly published: readonly SigningKey[]
  /** The key whose tokens begin with this header. */
  find(header: string): SigningKey | undefined
}

export interface DerivedKeysOptions {
  /** At least 32 bytes that nobody can guess. Everyone with the same secret derives the same keys, so processes need not exchange them. */
  readonly secret: Buffer
  /** Milliseconds for which each key signs. */
  readonly rotation: number
  /** For how many milliseconds a key that no longer signs still verifies: the longest lifetime of what it signed. */
  readonly lifetime: number
  readonly now?: () => number
}

/** One ES256 key for each period of `rotation`. */
export function derivedKeys({ secret, rotation, lifetime, now = Date.now }: DerivedKeysOptions): SigningKeys {
  let keys = new Map<number, SigningKey>()
  let byHeader = new Map<string, SigningKey>()
  let first = 0
  let period = -1

  const refresh = (): void => {
    const time = now()
    const oldest = Math.floor((time - lifetime - CLOCK_SKEW) / rotation)
    if (oldest === first && Math.floor(time / rotation) === period) return
    first = oldest
    period = Math.floor(time / rotation)
    const numbers = Array.from({ length: period + 1 - oldest + 1 }, (_, i) => oldest + i)
    keys = new Map(numbers.map((number) => [number, keys.get(number) ?? derive(secret, number)]))
    byHeader = new Map([...keys.values()].map((key) => [key.header, key]))
  }
  return {
    get current() {
      refresh()
      return keys.get(period) as SigningKey
    },
    get published() {
      refresh()
      return [...keys.values()]
    },
    find(header) {
      refresh()
      return byHeader.get(header)
    },
  }
}

/** How far the clocks of gateways with the same secret may differ. */
const CLOCK_SKEW = 60_000

/** The order of P-256's group (SEC 2). */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

/** FIPS 186-5 A.2.1: more bits than the order has, so that the remainder is nearly uniform. */
function derive(secret: Buffer, number: number): SigningKey {
  const bytes = Buffer.from(hkdfSync('sha256', secret, '', `sallyport signing key ${number}`, 48))
  const scalar = (BigInt(`0x${bytes.toString('hex')}`) % (ORDER - 1n)) + 1n
  const d = Buffer.from(scalar.toString(16).padStart(64, '0'), 'hex')
  const ecdh = createECDH('prime256v1')
  ecdh.setPrivateKey(d)
  const point = ecdh.getPublicKey()
  const part = (from: number, to: number) => point.subarray(from, to).toString('base64url')
  const jwk = { kty: 'EC', crv: 'P-256', x: part(1, 33), y: part(33, 65), d: d.toString('base64url') }
  return signingKey(createPrivateKey({ key: jwk, format: 'jwk' }))
}

/** The first signs, all verify. */
export function givenKeys(keys: readonly [SigningKey, ...SigningKey[]]): SigningKeys {
  const byHeader = new Map(keys.map((key) => [key.header, key]))
  return { current: keys[0], published: [...byHeader.values()], find: (header) => byHeader.get(header) }
}

/** @throws Error that says what is wrong with the key, without repeating any of it */
export function signingKey(privateKey: KeyObject): SigningKey {
  const publicKey = createPublicKey(privateKey)
  const alg = algorithmOf(publicKey)
  const jwk = publicKey.export({ format: 'jwk' })
  const kid = thumbprint(jwk as JWK)
  return {
    kid,
    alg,
    header: headerOf({ alg, kid }),
    privateKey,
    publicKey,
    jwk: { ...jwk, kid, alg, use: 'sig' } as JWK,
  }
}

const CURVES: Readonly<Record<string, string>> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' }
const LEAST_RSA_BITS = 2048

function algorithmOf({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): string {
  const curve = CURVES[details?.namedCurve ?? '']
  if (type === 'ec' && curve !== undefined) return curve
  if (type === 'ed25519') return 'EdDSA'
  if (type === 'rsa' && (details?.modulusLength ?? 0) >= LEAST_RSA_BITS) return 'RS256'
  throw new Error(
    `cannot sign tokens; expected EC (P-256, P-384 or P-521), Ed25519, or RSA with ${LEAST_RSA_BITS} bits`,
  )
}

/** RFC 7638: the required members in lexical order. */
function thumbprint(jwk: JWK): string {
  const members = (['crv', 'e', 'kty', 'n', 'x', 'y'] as const).filter((name) => jwk[name] !== undefined)
  return createHash('sha256')
    .update(JSON.stringify(Object.fromEntries(members.map((name) => [name, jwk[name]]))))
    .digest('base64url')
}
