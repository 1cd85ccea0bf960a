import { choice } from './scalars.ts'

/** TLS 1.0 and 1.1 are not spoken (RFC 8996). */
export const tlsProtocol = choice('TLSv1.2', 'TLSv1.3')

/** Forward secrecy and authenticated encryption only: RFC 9325 4.2, Mozilla's "intermediate" without the finite-field groups. */
export const SOUND_CIPHERS = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_GCM_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':')
