import { createSecureContext } from 'node:tls'
import { type Kind, Unfit } from './field.ts'
import { choice, text } from './scalars.ts'

/** TLS 1.0 and 1.1 are not spoken (RFC 8996). */
export const tlsProtocol = choice('TLSv1.2', 'TLSv1.3')

/**
 * Forward secrecy and authenticated encryption only: RFC 9325 4.2, Mozilla's "intermediate" without the finite-field groups, and its order: 128 bits
 * are beyond any attack and cost less.
 */
export const SOUND_CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':')

/** Asking OpenSSL takes too long to repeat it for each of ten thousand servers. */
const understood = new Set([SOUND_CIPHERS])

export const cipherList: Kind<string> = {
  ...text,
  expected: "cipher suites in OpenSSL's format, such as ECDHE-ECDSA-AES128-GCM-SHA256:TLS_AES_128_GCM_SHA256",
  parse(value) {
    const ciphers = text.parse(value)
    if (understood.has(ciphers)) return ciphers
    try {
      createSecureContext({ ciphers })
    } catch {
      throw new Unfit('')
    }
    understood.add(ciphers)
    return ciphers
  },
}
