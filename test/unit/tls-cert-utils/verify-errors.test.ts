import { describe, expect, test } from '@jest/globals'
import { createAuthority, type Issued, selfSigned } from '../../../src/tls-cert-utils/development-pki.ts'
import {
  FORGIVEN_BY_OPTIONAL_NO_CA,
  opensslReason,
  VERIFY_ERROR_CODES,
} from '../../../src/tls-cert-utils/verify-errors.ts'
import { handshake } from './handshake.ts'
import { opensslVerify } from './openssl.ts'

describe('opensslReason', () => {
  test('gives the sentence that openssl verify gives for the code that Node gives', async () => {
    const authority = await createAuthority()
    const unknown = await createAuthority({ subject: 'unknown' })
    const past = new Date(Date.now() - 86_400_000)
    const future = new Date(Date.now() + 86_400_000)
    const cases: [string, Issued][] = [
      ['CERT_HAS_EXPIRED', await authority.issue({ subject: 'a', notBefore: new Date(0), notAfter: past })],
      ['CERT_NOT_YET_VALID', await authority.issue({ subject: 'a', notBefore: future })],
      ['INVALID_PURPOSE', await authority.issue({ subject: 'a', usages: ['server'] })],
      ['DEPTH_ZERO_SELF_SIGNED_CERT', await selfSigned({ subject: 'a' })],
      ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', await unknown.issue({ subject: 'a' })],
    ]
    for (const [code, client] of cases) {
      const { socket, close } = await handshake(authority, client)
      expect(socket.authorizationError).toBe(code)
      close()
      // The program stops at its first error, 20; a handshake goes on and ends with 21, which is what nginx and Node tell.
      const first = code === 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' ? 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY' : code
      expect(await opensslVerify(authority.pem, client.pem)).toContain(`: ${opensslReason(first)}`)
    }
  })

  test('has a sentence for every code, and words for one that is not known', () => {
    expect(VERIFY_ERROR_CODES).toHaveLength(30)
    for (const code of VERIFY_ERROR_CODES) expect(opensslReason(code)).toMatch(/^[A-Za-z' -]+$/)
    expect(opensslReason('SOMETHING_NEW')).toBe('something new')
    expect(opensslReason('toString')).toBe('tostring')
  })

  test('optional_no_ca forgives five known codes, and neither expiry nor revocation', () => {
    expect([...FORGIVEN_BY_OPTIONAL_NO_CA].every((code) => VERIFY_ERROR_CODES.includes(code))).toBe(true)
    expect(FORGIVEN_BY_OPTIONAL_NO_CA.size).toBe(5)
    for (const code of [
      'CERT_HAS_EXPIRED',
      'CERT_REVOKED',
      'INVALID_PURPOSE',
      'CERT_SIGNATURE_FAILURE',
      'UNABLE_TO_GET_ISSUER_CERT',
    ]) {
      expect(FORGIVEN_BY_OPTIONAL_NO_CA.has(code)).toBe(false)
    }
  })
})
