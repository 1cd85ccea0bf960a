import { rootCertificates } from 'node:tls'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { type Authority, createAuthority } from '../../../src/tls-cert-utils/development-pki.ts'
import { readTrustStore } from '../../../src/tls-cert-utils/trust-store.ts'

let one: Authority
let other: Authority

beforeAll(async () => {
  one = await createAuthority({ subject: 'one' })
  other = await createAuthority({ subject: 'other' })
})

describe('readTrustStore', () => {
  test('gives each certificate with a PEM of its own', () => {
    const store = readTrustStore(`one:\n${one.pem}other:\n${other.pem.replaceAll('\n', '\r\n')}`)
    expect(store.certificates.map(({ subject }) => subject)).toEqual(['CN=one', 'CN=other'])
    expect(store.pems).toEqual([one.pem, other.pem])
  })

  test('has one digest for one set, whatever the order, the doubles or the text around', () => {
    const { digest } = readTrustStore(one.pem + other.pem)
    expect(readTrustStore(`# CAs\n${other.pem}${one.pem}${one.pem}`).digest).toBe(digest)
    expect(readTrustStore(one.pem).digest).not.toBe(digest)
  })

  test.each([
    ['an empty text', () => ''],
    ['blanks', () => ' \n'],
    ['garbage', () => 'garbage'],
    ['a key', () => one.keyPem],
  ])('refuses %s, for which Node would trust every public authority or none', (_, make) => {
    expect(() => readTrustStore(make())).toThrow(expect.objectContaining({ code: 'NO_CERTIFICATE' }))
  })

  test('refuses a bundle of more certificates than could be read while requests wait', () => {
    expect(() => readTrustStore(one.pem.repeat(10_001))).toThrow('more than 10000 certificates')
  })

  test('refuses a bundle of which one block is damaged, wherever it stands', () => {
    const damaged = other.pem.replace(/\nMI/, '\nAI')
    for (const bundle of [damaged + one.pem, one.pem + damaged, one.pem + other.pem.slice(0, -40)]) {
      expect(() => readTrustStore(bundle)).toThrow(expect.objectContaining({ code: 'BAD_CERTIFICATE' }))
    }
    expect(() => readTrustStore(one.pem + damaged)).toThrow('Certificate 2 is damaged')
  })

  test('reads every public root that Node carries', () => {
    const store = readTrustStore(rootCertificates.join('\n'))
    expect(store.certificates).toHaveLength(new Set(rootCertificates).size)
    expect(store.certificates.every(({ isAuthority, subject }) => isAuthority && subject !== '')).toBe(true)
  })
})
