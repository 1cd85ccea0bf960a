/** The two names of a public key by which registries find it in their `rootcertbundle`. */
import { createHash, type KeyObject } from 'node:crypto'

/** `libtrust` for registry 2.x, `rfc7638` for 3.x. */
export type KeyIdForm = 'libtrust' | 'rfc7638'

export function keyId(key: KeyObject, form: KeyIdForm): string {
  return form === 'libtrust' ? libtrust(key) : thumbprint(key)
}

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** SHA-256 of the SubjectPublicKeyInfo, its first 240 bits in base32 (RFC 4648), in twelve groups of four. */
function libtrust(key: KeyObject): string {
  const digest = createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest()
  let characters = ''
  for (let bit = 0; bit < 240; bit += 5) {
    const pair = ((digest[bit >> 3] as number) << 8) | (digest[(bit >> 3) + 1] as number)
    characters += BASE32[(pair >> (11 - (bit & 7))) & 31]
  }
  return (characters.match(/.{4}/g) as string[]).join(':')
}

/** RFC 7638: SHA-256 of the required members of the JWK in lexicographic order. */
function thumbprint(key: KeyObject): string {
  const { e, n, crv, x, y, kty } = key.export({ format: 'jwk' })
  const members = kty === 'EC' ? { crv, kty, x, y } : { e, kty, n }
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url')
}
