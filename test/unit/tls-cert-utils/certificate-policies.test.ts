import { expect, test } from '@jest/globals'
import { readCertificate } from '../../../src/tls-cert-utils/certificate.ts'
import { isUnderPolicy } from '../../../src/tls-cert-utils/certificate-policies.ts'
import { objectIdentifier, octetString, rawInteger, sequence } from '../../support/der.ts'
import { authority } from '../../support/pki.ts'

const root = authority('root')
const [P, OTHER, ANY] = ['1.3.6.1.4.1.99999.1', '1.3.6.1.4.1.99999.2', '2.5.29.32.0']

function extension(oid: string, value: Buffer): Buffer {
  return sequence(objectIdentifier(oid), octetString(value))
}
function policies(...oids: string[]): Buffer {
  return extension('2.5.29.32', sequence(...oids.map((oid) => sequence(objectIdentifier(oid)))))
}
const inhibitAnyPolicy = extension('2.5.29.54', rawInteger(Buffer.from([0])))

/** Of a leaf and the authorities above it, each with these extensions. */
function under(wanted: string[], ...levels: Buffer[][]): boolean {
  const chain = levels.map((extensions) => readCertificate(root.client('x', { extensions }).der))
  return isUnderPolicy(chain, wanted)
}

test('a certificate is under a policy that it and all its issuers name', () => {
  expect(under([P], [policies(P)])).toBe(true)
  expect(under([OTHER, P], [policies(P)], [policies(OTHER, P)])).toBe(true)
  expect(under([P], [policies(P)], [policies(ANY)])).toBe(true)
})

test('it is not where it names none, or another, or any', () => {
  expect(under([P], [])).toBe(false)
  expect(under([P], [policies(OTHER)])).toBe(false)
  expect(under([P], [policies(ANY)])).toBe(false)
  expect(isUnderPolicy([], [P])).toBe(false)
})

test('an issuer that was not given a policy cannot grant it', () => {
  expect(under([P], [policies(P)], [policies(OTHER)])).toBe(false)
  expect(under([P], [policies(P)], [])).toBe(false)
  expect(under([P, OTHER], [policies(P, OTHER)], [policies(P)], [policies(OTHER)])).toBe(false)
})

test('any policy counts for nothing where it is inhibited', () => {
  expect(under([P], [policies(P)], [policies(ANY)], [policies(P), inhibitAnyPolicy])).toBe(false)
})

test('what cannot be read grants nothing', () => {
  const broken = extension('2.5.29.32', Buffer.from([0x30, 0x05, 0x01]))
  expect(under([P], [broken])).toBe(false)
  expect(under([P], [policies(P)], [broken])).toBe(false)
})
