import { createHash, createPublicKey } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { type CertificateFacts, readCertificate } from '../../../src/tls-cert-utils/certificate.ts'
import { OcspError, ocspRequest, readOcspResponse, responderOf } from '../../../src/tls-cert-utils/ocsp.ts'
import { implicit, objectIdentifier, sequence } from '../../support/der.ts'
import { type OcspAnswer, ocspAnswer } from '../../support/ocsp-answers.ts'
import { type Authority, authority, type CertificateOptions, extension, type Issued } from '../../support/pki.ts'
import { inFolder, openssl } from './openssl.ts'

const ca = authority('ca')
const ada = ca.client('ada')
const bob = ca.client('bob')
const stranger = ca.client('stranger')
const NOW = Date.now()
const HOUR = 3_600_000
const OCSP_SIGNING = extension('2.5.29.37', sequence(objectIdentifier('1.3.6.1.5.5.7.3.9')))
const responder = ca.client('responder', { purposes: [], extensions: [OCSP_SIGNING] })

const facts = (issued: Issued): CertificateFacts => readCertificate(issued.der)

interface Answering {
  readonly signer?: Issued
  readonly nonce?: Buffer
  readonly args?: readonly string[]
  readonly issuer?: Authority
}

/** What openssl answers about a certificate; bob is revoked, and nobody has issued the stranger's. */
function answer(subject: Issued, { signer = ca, nonce, args = ['-nmin', '60'], issuer = ca }: Answering = {}) {
  return inFolder((folder) => {
    const file = (name: string, content: string | Uint8Array) => {
      writeFileSync(join(folder, name), content)
      return join(folder, name)
    }
    const index = [ada, bob].map(
      ({ serial, name }) =>
        `${name === 'bob' ? 'R' : 'V'}\t350101000000Z\t${name === 'bob' ? '240101000000Z' : ''}\t${serial
          .toString('hex')
          .toUpperCase()
          .replace(/^00(?=.)/, '')}\tunknown\t/CN=${name}\n`,
    )
    openssl([
      'ocsp',
      ...['-index', file('index.txt', index.join(''))],
      ...['-CA', file('ca.pem', issuer.certificate)],
      ...['-rsigner', file('signer.pem', signer.certificate), '-rkey', file('key.pem', signer.key)],
      ...['-reqin', file('request.der', ocspRequest(facts(subject), facts(issuer), nonce))],
      ...['-respout', join(folder, 'response.der'), ...args],
    ])
    return readFileSync(join(folder, 'response.der'))
  })
}

const read = (der: Uint8Array, subject: Issued, { nonce, now = NOW }: { nonce?: Buffer; now?: number } = {}) =>
  readOcspResponse(der, { certificate: facts(subject), issuer: facts(ca), nonce }, now, 0)

describe('an answer of openssl', () => {
  test.each([
    ['good', ada],
    ['revoked', bob],
    ['unknown', stranger],
  ])('says %s', async (status, subject) => {
    const found = read(await answer(subject), subject, { now: Date.now() + 1000 })
    expect(found.status).toBe(status)
    expect(found.until).toBeGreaterThan(NOW + HOUR - 60_000)
    expect(found.until).toBeLessThan(NOW + HOUR + 60_000)
  })

  test('without a next update is valid for an hour', async () => {
    const found = read(await answer(ada, { args: [] }), ada, { now: Date.now() + 1000 })
    expect(found.until).toBeGreaterThan(NOW + HOUR - 60_000)
    expect(found.until).toBeLessThan(Date.now() + HOUR)
  })

  test("is believed of a responder that the issuer certified for it, and by the key's digest too", async () => {
    for (const args of [
      ['-nmin', '60'],
      ['-nmin', '60', '-resp_key_id'],
    ]) {
      expect(read(await answer(ada, { signer: responder, args }), ada, { now: Date.now() + 1000 }).status).toBe('good')
    }
  })

  test.each([
    ['a certificate of the same issuer that is not for OCSP', () => bob],
    ['a responder of another issuer', () => authority('ca').client('x', { purposes: [], extensions: [OCSP_SIGNING] })],
    ['another authority of the same name', () => authority('ca')],
    [
      'a responder whose certificate has ended',
      () => ca.client('late', { purposes: [], extensions: [OCSP_SIGNING], validUntil: -0.5, validFrom: -2 }),
    ],
  ])('is not believed of %s', async (_who, signer) => {
    const der = await answer(ada, { signer: signer() })
    expect(() => read(der, ada, { now: Date.now() + 1000 })).toThrow(/not signed by the issuer or by its responder/)
  })

  test('is not believed where a byte was changed', async () => {
    const der = Buffer.from(await answer(ada))
    const at = der.indexOf(createHash('sha1').update(facts(ca).rawSubject).digest())
    der[at] = (der[at] as number) ^ 1
    expect(() => read(der, ada, { now: Date.now() + 1000 })).toThrow(OcspError)
  })

  test('about somebody else says nothing', async () => {
    const der = await answer(bob)
    expect(() => read(der, ada, { now: Date.now() + 1000 })).toThrow(/about another certificate/)
  })

  test('is believed neither before its time nor after it', async () => {
    const der = await answer(ada)
    expect(() => read(der, ada, { now: NOW - HOUR })).toThrow(/of the future/)
    expect(() => read(der, ada, { now: NOW + 2 * HOUR })).toThrow(/out of date/)
  })

  test('that names no end is believed for an hour after its beginning', async () => {
    const der = await answer(ada, { args: [] })
    expect(read(der, ada, { now: NOW + HOUR - 60_000 }).status).toBe('good')
    expect(() => read(der, ada, { now: NOW + HOUR + 60_000 })).toThrow(/out of date/)
  })

  test('must have our nonce where it has one, and may have none', async () => {
    const nonce = Buffer.from('0123456789abcdef')
    const der = await answer(ada, { nonce })
    expect(read(der, ada, { nonce, now: Date.now() + 1000 }).status).toBe('good')
    expect(() => read(der, ada, { nonce: Buffer.alloc(16), now: Date.now() + 1000 })).toThrow(/another nonce/)
    expect(read(await answer(ada), ada, { nonce, now: Date.now() + 1000 }).status).toBe('good')
  })
})

test.each([
  ['nothing', Buffer.alloc(0)],
  ['text', Buffer.from('<html>busy</html>')],
  ['half an answer', Buffer.from('3003', 'hex')],
  ['another type of answer', sequence(Buffer.from('0a0100', 'hex'))],
])('%s is no answer', (_what, der) => {
  expect(() => read(der, ada)).toThrow(OcspError)
})

describe('an answer is not believed', () => {
  const namesake = authority('ca')
  const renamed = authority('renamed', {
    keys: { privateKey: ca.privateKey, publicKey: createPublicKey(ca.privateKey) },
  })
  const critical = extension('1.2.3.4', Buffer.from([5, 0]), true)
  const delegate = (options: CertificateOptions) =>
    ca.client('responder', { purposes: [], ...options, extensions: [OCSP_SIGNING, ...(options.extensions ?? [])] })

  test.each<[string, Partial<OcspAnswer>, RegExp]>([
    ['with a status that nobody knows', { status: implicit(3, Buffer.alloc(0)) }, /no known status/],
    ['with a critical extension that nobody knows', { extensions: [critical] }, /unknown critical extension, 1.2.3.4/],
    [
      "about the same number of a namesake's key",
      { issuer: namesake, signer: ca, certificates: [] },
      /about another certificate/,
    ],
    [
      'about the same number of an authority with the same key',
      { issuer: renamed, signer: ca, certificates: [] },
      /about another certificate/,
    ],
    ['of a responder that is not valid yet', { signer: delegate({ validFrom: 1 }) }, /is not signed by/],
    [
      'of a responder with a critical extension that nobody knows',
      { signer: delegate({ extensions: [critical] }) },
      /is not signed by/,
    ],
    ['that a responder has signed in the name of the issuer', { signer: delegate({}), named: ca }, /is not signed by/],
  ])('%s', (_which, parts, reason) => {
    expect(() => read(ocspAnswer({ about: ada, issuer: ca, ...parts }), ada)).toThrow(reason)
  })

  test('while one of a responder without any of that is', () => {
    const { status } = read(ocspAnswer({ about: ada, issuer: ca, signer: delegate({}) }), ada)
    expect(status).toBe('good')
  })
})

test('a refusal is told by its name', () => {
  expect(() => read(sequence(Buffer.from('0a0106', 'hex')), ada)).toThrow('the responder refuses: unauthorized')
})

test('no cut of a real answer is read as one', async () => {
  const der = await answer(ada)
  for (let end = 0; end < der.length; end++) expect(() => read(der.subarray(0, end), ada)).toThrow(OcspError)
})

test('the responder is the first that a certificate names over http', () => {
  const description = (url: string) =>
    sequence(objectIdentifier('1.3.6.1.5.5.7.48.1'), implicit(6, Buffer.from(url, 'latin1')))
  const issuers = sequence(objectIdentifier('1.3.6.1.5.5.7.48.2'), implicit(6, Buffer.from('http://ca.test/ca.crt')))
  const access = sequence(issuers, description('https://safe.test/'), description('http://ocsp.test/x'))
  const certificate = ca.client('x', { extensions: [extension('1.3.6.1.5.5.7.1.1', access)] })
  expect(responderOf(facts(certificate))).toBe('http://ocsp.test/x')
  expect(responderOf(facts(ada))).toBeUndefined()
})
