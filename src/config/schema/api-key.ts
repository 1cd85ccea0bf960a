/** API keys as they are written: in clear, or by their digest. */
import { hash } from 'node:crypto'
import { Secret, secret } from '../secret.ts'
import { type Kind, Unfit } from './field.ts'

const BY_DIGEST = 'sha256:'

/** Both become the digest: one key has one spelling, and what is in clear is not kept. */
export const apiKey: Kind<Secret> = {
  ...secret,
  expected: 'a key, or sha256: and its digest in hexadecimal, in quotes',
  parse(value) {
    const key = secret.parse(value).reveal()
    if (!key.startsWith(BY_DIGEST)) return new Secret(BY_DIGEST + hash('sha256', key, 'hex'))
    // Taken for a key in clear, a digest would open what only its key shall open.
    if (!/^[0-9a-fA-F]{64}$/.test(key.slice(BY_DIGEST.length)))
      throw new Unfit('begins with sha256:, but 64 hexadecimal digits do not follow')
    return new Secret(key.toLowerCase())
  },
}
