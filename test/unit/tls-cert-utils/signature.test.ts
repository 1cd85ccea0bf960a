import { constants, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { readWhole } from '../../../src/tls-cert-utils/der.ts'
import { signatureCheck } from '../../../src/tls-cert-utils/signature.ts'
import { explicit, objectIdentifier, rawInteger, sequence, tlv } from '../../support/der.ts'

const NULL = tlv(0x05)
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-384' })
const ed25519 = generateKeyPairSync('ed25519')
const ed448 = generateKeyPairSync('ed448')
const content = Buffer.from('what is signed')
const identifier = (oid: string, ...parameters: Buffer[]) => sequence(objectIdentifier(oid), ...parameters)
const sha2 = (number: number) => identifier(`2.16.840.1.101.3.4.2.${number}`, NULL)
const pss = (hash: Buffer, mask: Buffer, salt: number) =>
  identifier(
    '1.2.840.113549.1.1.10',
    sequence(
      explicit(0, hash),
      explicit(1, identifier('1.2.840.113549.1.1.8', mask)),
      explicit(2, rawInteger(Buffer.from([salt]))),
    ),
  )
const padded = (key: KeyObject, saltLength: number) => ({ key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength })

describe('a signature is checked as its algorithm says', () => {
  test.each([
    ['RSA with SHA-256', identifier('1.2.840.113549.1.1.11', NULL), rsa, sign('sha256', content, rsa.privateKey)],
    ['RSA with SHA-512', identifier('1.2.840.113549.1.1.13', NULL), rsa, sign('sha512', content, rsa.privateKey)],
    ['RSASSA-PSS with SHA-256', pss(sha2(1), sha2(1), 32), rsa, sign('sha256', content, padded(rsa.privateKey, 32))],
    ['RSASSA-PSS with SHA-384', pss(sha2(2), sha2(2), 48), rsa, sign('sha384', content, padded(rsa.privateKey, 48))],
    ['ECDSA with SHA-256', identifier('1.2.840.10045.4.3.2'), ec, sign('sha256', content, ec.privateKey)],
    ['ECDSA with SHA-384', identifier('1.2.840.10045.4.3.3'), ec, sign('sha384', content, ec.privateKey)],
    ['Ed25519', identifier('1.3.101.112'), ed25519, sign(null, content, ed25519.privateKey)],
    ['Ed448', identifier('1.3.101.113'), ed448, sign(null, content, ed448.privateKey)],
  ])('%s', (_name, algorithm, { publicKey }, signature) => {
    const check = signatureCheck(readWhole(algorithm))
    expect(check(content, signature, publicKey)).toBe(true)
    expect(check(Buffer.from('something else'), signature, publicKey)).toBe(false)
    expect(check(content, signature.subarray(1), publicKey)).toBe(false)
    for (const other of [rsa, ec, ed25519, ed448]) {
      if (other.publicKey !== publicKey) expect(check(content, signature, other.publicKey)).toBe(false)
    }
  })

  test('the salt of RSASSA-PSS is as long as it says', () => {
    const signature = sign('sha256', content, padded(rsa.privateKey, 20))
    expect(signatureCheck(readWhole(pss(sha2(1), sha2(1), 32)))(content, signature, rsa.publicKey)).toBe(false)
    expect(signatureCheck(readWhole(pss(sha2(1), sha2(1), 20)))(content, signature, rsa.publicKey)).toBe(true)
  })
})

test.each([
  ['RSA with SHA-1', identifier('1.2.840.113549.1.1.5', NULL), /SHA-1, which is not safe/],
  ['RSA with MD5', identifier('1.2.840.113549.1.1.4', NULL), /MD5, which is not safe/],
  ['ECDSA with SHA-1', identifier('1.2.840.10045.4.1'), /SHA-1, which is not safe/],
  ['RSASSA-PSS with its defaults, which are SHA-1', identifier('1.2.840.113549.1.1.10', sequence()), /SHA-1/],
  ['RSASSA-PSS with two digests', pss(sha2(1), sha2(3), 32), /two different digests/],
  ['an unknown algorithm', identifier('1.2.3.4'), /1\.2\.3\.4, which is not known/],
])('%s is refused by name', (_name, algorithm, message) => {
  expect(() => signatureCheck(readWhole(algorithm))).toThrow(message)
})
