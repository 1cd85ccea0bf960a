import { expect, test } from '@jest/globals'
import type { Shown } from '../../../src/listener/demand.ts'
import { allOf, createRequirements, type RequirementOptions, tooDeep } from '../../../src/listener/requirements.ts'
import type { CertificateFacts } from '../../../src/tls-cert-utils/certificate.ts'
import { EXTENDED_KEY_USAGE, extendedKeyUsageIdentifier } from '../../../src/tls-cert-utils/extensions.ts'
import { objectIdentifier, octetString, sequence } from '../../support/der.ts'
import { factsOf } from '../../support/facts.ts'
import { authority, type CertificateOptions, type Issued } from '../../support/pki.ts'

const POLICY = '1.3.6.1.4.1.99999.1'
const CLIENT_AUTH = extendedKeyUsageIdentifier('clientAuth')
const root = authority('root')
const extension = (oid: string, value: Buffer) => sequence(objectIdentifier(oid), octetString(value))
const underPolicy = { extensions: [extension('2.5.29.32', sequence(sequence(objectIdentifier(POLICY))))] }

/** The code of what is wrong with a certificate; undefined for nothing. */
function judge(demanded: Partial<RequirementOptions>, options: CertificateOptions = {}, error?: string) {
  const certificate = factsOf(root.client('ada', options))
  const nothing = { pins: [], extendedKeyUsage: [], policies: [], isAllowed: undefined }
  const requirement = allOf(createRequirements({ ...nothing, ...demanded }))
  return requirement({ certificate, chain: error === undefined ? [factsOf(root)] : [], error })?.code
}

test('nothing is demanded where nothing is written', () => {
  expect(judge({})).toBeUndefined()
})

test('a certificate must have one of the pinned keys', () => {
  const ada = root.client('ada')
  const other = '0'.repeat(64)
  const pins = [other, factsOf(ada).publicKeySha256]
  const [pin] = createRequirements({ pins, extendedKeyUsage: [], policies: [], isAllowed: undefined })
  expect(pin?.({ certificate: factsOf(ada), chain: [], error: undefined })).toBeUndefined()
  expect(judge({ pins: [other] })).toBe('CERT_NOT_PINNED')
})

test('a certificate without the extension lacks every usage, and so does one whose extension cannot be read', () => {
  const demanded = { extendedKeyUsage: [CLIENT_AUTH] }
  expect(judge(demanded)).toBeUndefined()
  expect(judge(demanded, { purposes: [] })).toBe('EXTENDED_KEY_USAGE_MISSING')
  const broken = { purposes: [], extensions: [extension(EXTENDED_KEY_USAGE, Buffer.from([0x30, 0x7f, 0x06]))] }
  expect(judge(demanded, broken)).toBe('EXTENDED_KEY_USAGE_MISSING')
})

test('the policies of a chain that was not verified say nothing', () => {
  const demanded = { policies: [POLICY] }
  expect(judge(demanded, underPolicy)).toBeUndefined()
  expect(judge(demanded, {})).toBe('NO_EXPLICIT_POLICY')
  expect(judge(demanded, underPolicy, 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY')).toBe('NO_EXPLICIT_POLICY')
})

test('the first demand that is not met is what is told', () => {
  const isAllowed = () => false
  expect(judge({ isAllowed })).toBe('CERT_NAME_NOT_ALLOWED')
  expect(judge({ isAllowed, policies: [POLICY] })).toBe('NO_EXPLICIT_POLICY')
  expect(judge({ isAllowed, extendedKeyUsage: [CLIENT_AUTH] })).toBe('CERT_NAME_NOT_ALLOWED')
})

test('authorities on the way must have been issued under the policy too', () => {
  const middle = root.authority('middle')
  const certificate = factsOf(middle.client('ada', underPolicy))
  const nothing = { pins: [], extendedKeyUsage: [], isAllowed: undefined }
  const [policy] = createRequirements({ ...nothing, policies: [POLICY] })
  expect(policy?.({ certificate, chain: [middle, root].map(factsOf), error: undefined })?.code).toBe(
    'NO_EXPLICIT_POLICY',
  )
})

test('a chain may have as many intermediates as ssl_verify_depth says, and not one more', () => {
  const one = root.authority('one')
  const two = one.authority('two')
  const shown = (...all: readonly Issued[]): Shown => {
    const [certificate, ...chain] = all.map(factsOf) as [CertificateFacts, ...CertificateFacts[]]
    return { certificate, chain, error: undefined }
  }
  const deep = shown(two.client('deep'), two, one, root)
  const { fingerprintSha256 } = factsOf(root)
  const isRoot = (issuer: CertificateFacts) => issuer.fingerprintSha256 === fingerprintSha256
  expect(tooDeep(deep, 2, isRoot)).toBeUndefined()
  expect(tooDeep(deep, 1, isRoot)).toMatchObject({
    code: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    hint: 'the chain has 2 intermediates, ssl_verify_depth allows 1',
  })
  expect(tooDeep(shown(root.client('flat'), root), 0, isRoot)).toBeUndefined()
})
