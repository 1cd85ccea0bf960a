import { createDecipheriv } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { alertRecord, type Unanswered } from '../../../src/listener/alerts.ts'
import type { Verification } from '../../../src/types.ts'

const NONE: Verification = { result: 'NONE' }
const failed = (code: string): Verification => ({ result: 'FAILED', code, reason: '' })
const tls12: Unanswered = {
  protocol: 'TLSv1.2',
  cipher: 'ECDHE-ECDSA-AES128-GCM-SHA256',
  resumed: false,
  trafficSecret: undefined,
}
const tls13: Unanswered = { ...tls12, protocol: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256' }

const numberOf = (refused: Verification) => alertRecord(refused, tls12)?.at(-1)

test.each([
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 48],
  ['CERT_HAS_EXPIRED', 45],
  ['CERT_REVOKED', 44],
  ['INVALID_PURPOSE', 43],
  ['CERT_NOT_YET_VALID', 42],
  ['CRL_NOT_YET_VALID', 42],
  ['CERT_SIGNATURE_FAILURE', 51],
  ['CERT_NOT_PINNED', 49],
  ['UNSPECIFIED', 46],
  ['whatever comes later', 46],
])('%s is alert %i', (code, alert) => {
  expect(numberOf(failed(code))).toBe(alert)
})

test('a missing certificate is handshake_failure in TLS 1.2, in plain text', () => {
  expect(alertRecord(NONE, tls12)).toEqual(Buffer.from([21, 3, 3, 0, 2, 2, 40]))
})

describe('in TLS 1.3', () => {
  test('it is encrypted as the first record: the keys of RFC 8448 3, whose server has sent one record more', () => {
    const secret = 'a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643'
    const record = alertRecord(NONE, { ...tls13, trafficSecret: Buffer.from(secret, 'hex') })
    expect(record?.subarray(0, 5).toString('hex')).toBe('1703030013')
    // Opened with key and IV as they stand there.
    expect(opened(record as Buffer, '9f02283b6c9c07efc26bb9f2ac92e356', 'cf782b88dd83549aadf1e984')).toEqual(
      Buffer.from([2, 116, 21]),
    )
  })
  test('none is made without the secret, or for a suite that is not known', () => {
    expect(alertRecord(NONE, tls13)).toBeUndefined()
    const trafficSecret = Buffer.alloc(32)
    expect(alertRecord(NONE, { ...tls13, cipher: 'TLS_AES_128_CCM_SHA256', trafficSecret })).toBeUndefined()
  })
})

test('none is made for a resumed session of TLS 1.2, whose keys nobody tells', () => {
  expect(alertRecord(failed('CERT_REVOKED'), { ...tls12, resumed: true })).toBeUndefined()
})

function opened(record: Buffer, key: string, iv: string): Buffer {
  const decipher = createDecipheriv('aes-128-gcm', Buffer.from(key, 'hex'), Buffer.from(iv, 'hex'))
  decipher.setAAD(record.subarray(0, 5))
  decipher.setAuthTag(record.subarray(-16))
  return Buffer.concat([decipher.update(record.subarray(5, -16)), decipher.final()])
}
