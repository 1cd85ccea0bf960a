/**
 * JWTs with our own keys, in RFC 7515's compact form. With WebCrypto, as jose uses it, each signature would go through another thread, which costs
 * more than parsing. And what we wrote ourselves needs only one reading.
 */
import { type KeyObject, sign, verify } from 'node:crypto'

export interface JwtKey {
  readonly alg: string
  /** The header part of every token that it signs. */
  readonly header: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

/** RFC 9068: distinguishes these tokens from whatever else the same keys sign. */
const TYPE = 'at+jwt'

export function headerOf({ alg, kid }: { readonly alg: string; readonly kid: string }): string {
  return encoded({ alg, kid, typ: TYPE })
}

export function signed(claims: object, { alg, header, privateKey: key }: JwtKey): string {
  const text = `${header}.${encoded(claims)}`
  const signature = sign(HASHES[alg], Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' })
  return `${text}.${signature.toString('base64url')}`
}

/**
 * The claims of a token that one of these keys has signed; undefined for any other text. The header must be exactly as we write it: one with another
 * algorithm, type or extension (`crit`) is not ours, and nothing of it is parsed.
 */
export function readSigned(token: string, keyOf: (header: string) => JwtKey | undefined): unknown {
  const [first, second] = [token.indexOf('.'), token.lastIndexOf('.')]
  const key = first > 0 && second > first ? keyOf(token.slice(0, first)) : undefined
  if (!key) return undefined
  const given = token.slice(second + 1)
  const signature = Buffer.from(given, 'base64url')
  // Node's decoder skips invalid characters; a token must have only one spelling.
  if (signature.toString('base64url') !== given) return undefined
  const { alg, publicKey } = key
  const text = Buffer.from(token.slice(0, second))
  if (!verify(HASHES[alg], text, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature)) return undefined
  return JSON.parse(Buffer.from(token.slice(first + 1, second), 'base64url').toString('utf8'))
}

/** RFC 7518 3.1 and RFC 8037; Ed25519 hashes by itself. */
const HASHES: Readonly<Record<string, string | undefined>> = {
  ES256: 'sha256',
  ES384: 'sha384',
  ES512: 'sha512',
  RS256: 'sha256',
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
