import { createHash, X509Certificate } from 'node:crypto'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { CertificateFacts, readCertificate } from '../../../src/tls-cert-utils/certificate.ts'
import { CertificateError } from '../../../src/tls-cert-utils/certificate-error.ts'
import { readElement } from '../../../src/tls-cert-utils/der.ts'
import { element, sequence } from '../../../src/tls-cert-utils/der-writer.ts'
import { type Authority, createAuthority, encodeName, selfSigned } from '../../../src/tls-cert-utils/development-pki.ts'
import fc from '../../support/random.ts'
import { openssl } from './openssl.ts'

const SERIAL = 1
const VALIDITY = 4
const GETTERS = Object.entries(Object.getOwnPropertyDescriptors(CertificateFacts.prototype)).flatMap(
  ([name, { get }]) => (get ? [name] : []),
)

let authority: Authority

beforeAll(async () => {
  authority = await createAuthority({ subject: 'CN=Test CA,O=Acme' })
})

describe('readCertificate', () => {
  test("agrees with openssl x509 on everything that nginx's variables hold", async () => {
    const { pem, certificate } = await authority.issue({ subject: 'UID=7+CN=ada,O=Acme\\, Inc.', serial: '0a0b' })
    const lines = openssl(
      ['x509', '-noout', '-subject', '-issuer', '-serial', '-dates', '-fingerprint', '-sha1', '-nameopt', 'RFC2253'],
      pem,
    )
    expect(lines.trim().split('\n')).toEqual([
      `subject=${certificate.subject}`,
      `issuer=${certificate.issuer}`,
      `serial=${certificate.serial}`,
      `notBefore=${certificate.notBeforeText}`,
      `notAfter=${certificate.notAfterText}`,
      `sha1 Fingerprint=${certificate.fingerprintSha1.toUpperCase().replace(/..(?=.)/g, '$&:')}`,
    ])
    expect(openssl(['x509'], pem)).toBe(certificate.pem)
    expect(certificate.subject).toBe('UID=7+CN=ada,O=Acme\\, Inc.')
  })

  test('agrees with Node on dates, hashes, and the object itself', async () => {
    const { der, certificate } = await authority.issue({ subject: 'ada' })
    const x509 = new X509Certificate(der)
    expect(certificate.notBefore).toBe(x509.validFromDate.getTime())
    expect(certificate.notAfter).toBe(x509.validToDate.getTime())
    expect(certificate.notAfterText).toBe(x509.validTo)
    expect(certificate.fingerprintSha256).toBe(x509.fingerprint256.replaceAll(':', '').toLowerCase())
    expect(certificate.x509.raw.equals(der)).toBe(true)
    expect(certificate.x509).toBe(certificate.x509)
  })

  test('pins the public key as openssl does', async () => {
    const { pem, certificate } = await authority.issue({ subject: 'ada', keyAlgorithm: 'ed25519' })
    const publicKey = openssl(['x509', '-noout', '-pubkey'], pem)
    const der = Buffer.from(publicKey.replace(/-----[^-]+-----|\s/g, ''), 'base64')
    expect(certificate.publicKeySha256).toBe(createHash('sha256').update(der).digest('hex'))
  })

  test('writes the certificate for headers in three ways', async () => {
    const { certificate } = await authority.issue({ subject: 'ada' })
    expect(certificate.escapedPem).toMatch(
      /^-----BEGIN%20CERTIFICATE-----%0A[A-Za-z0-9%._~-]+-----END%20CERTIFICATE-----%0A$/,
    )
    expect(decodeURIComponent(certificate.escapedPem)).toBe(certificate.pem)
    expect(Buffer.from(certificate.rfc9440.slice(1, -1), 'base64').equals(certificate.raw)).toBe(true)
    expect(certificate.rfc9440).toMatch(/^:[A-Za-z0-9+/]+={0,2}:$/)
  })

  test('knows authorities and self-issued certificates', async () => {
    const leaf = (await authority.issue({ subject: 'ada' })).certificate
    const alone = (await selfSigned({ subject: 'ada' })).certificate
    expect([authority.certificate.isAuthority, leaf.isAuthority, alone.isAuthority]).toEqual([true, false, false])
    expect([authority.certificate.selfIssued, leaf.selfIssued, alone.selfIssued]).toEqual([true, false, true])
  })

  test('an empty subject is an empty text', async () => {
    const { certificate } = await authority.issue({ subject: encodeName([]), dnsNames: ['a.test'] })
    expect([certificate.subject, certificate.subjectOneline, certificate.subjectAttributes]).toEqual(['', '', []])
    expect(certificate.alternativeNames).toEqual([{ type: 'dns', value: 'a.test' }])
  })

  test('refuses what is no certificate, without saying what it holds', () => {
    for (const bytes of [
      Buffer.alloc(0),
      Buffer.from('secret'),
      sequence(),
      sequence(sequence()),
      authority.der.subarray(0, 300),
    ]) {
      expect(() => readCertificate(bytes)).toThrow(CertificateError)
      expect(() => readCertificate(bytes)).not.toThrow(/secret/)
    }
  })

  test.each(['rawIssuer', 'rawSubject'] as const)(
    'refuses a primitive SEQUENCE (0x10) that OpenSSL takes: %s',
    (field) => {
      const mutated = Buffer.from(authority.der)
      mutated[mutated[field === 'rawIssuer' ? 'indexOf' : 'lastIndexOf'](authority.certificate[field])] = 0x10
      expect(isAccepted(mutated)).toBe(true)
      expect(() => readCertificate(mutated)).toThrow(CertificateError)
    },
  )

  test('no getter throws, whatever Node still accepts as a certificate and is not refused as a whole', () => {
    const original = authority.der
    let accepted = 0
    fc.assert(
      fc.property(fc.nat(original.length - 1), fc.nat(255), (position, byte) => {
        const mutated = Buffer.from(original)
        mutated[position] = byte
        if (!isAccepted(mutated)) return
        const facts = readOrRefuse(mutated)
        if (!facts) return
        accepted++
        for (const getter of GETTERS) void facts[getter as keyof CertificateFacts]
      }),
      { numRuns: 1500 },
    )
    expect(accepted).toBeGreaterThan(100)
    expect(GETTERS).toContain('notAfterText')
  })
})

describe('serial', () => {
  test.each([
    ['00', '00'],
    ['01', '01'],
    ['7f', '7F'],
    ['0080', '80'],
    ['00ffffffffffffffffffffffffffffffffffffff', 'FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF'],
    ['0abc', '0ABC'],
    ['ff', '-01'],
    ['80', '-80'],
    ['ff7f', '-81'],
    ['8000', '-8000'],
  ])('content %s reads %s, as openssl prints it', (content, expected) => {
    const der = withField(SERIAL, element(0x02, Buffer.from(content, 'hex')))
    expect(readCertificate(der).serial).toBe(expected)
    expect(openssl(['x509', '-inform', 'DER', '-noout', '-serial'], der)).toBe(`serial=${expected}\n`)
  })

  test('a long one is not broken into lines', () => {
    const serial = readCertificate(withField(SERIAL, element(0x02, Buffer.alloc(80, 0x11)))).serial
    expect(serial).toBe('11'.repeat(80))
  })
})

describe('dates', () => {
  test.each([
    [0x17, '260203005552Z'],
    [0x17, '491231235959Z'],
    [0x17, '500101000000Z'],
    [0x17, '2602030055Z'],
    [0x17, '260203005552+0130'],
    [0x17, '2602030055-0130'],
    [0x17, '260230005552Z'],
    [0x17, '260203005560Z'],
    [0x17, '260203005552+1301'],
    [0x17, '260203005552'],
    [0x17, 'garbage'],
    [0x17, ''],
    [0x18, '20260203005552Z'],
    [0x18, '99991231235959Z'],
    [0x18, '00010203005552Z'],
    [0x18, '20260203005552.125Z'],
    [0x18, '20260203005552.5'],
    [0x18, '20260203005552-0200'],
    [0x18, '202602030055Z'],
    [0x18, '20240229000000Z'],
    [0x18, '20230229000000Z'],
    [0x18, '20260203245552Z'],
    [0x18, '20261303005552Z'],
  ])('a time of type %i %s prints as openssl prints it', (tag, text) => {
    const time = element(tag, Buffer.from(text))
    const der = withField(VALIDITY, sequence(time, time))
    expect(`notBefore=${readCertificate(der).notBeforeText}\n`).toBe(
      openssl(['x509', '-inform', 'DER', '-noout', '-startdate'], der),
    )
  })

  test.each([
    [0x17, 'garbage'],
    [0x17, '260203010000+0100'],
    [0x17, '2602030100Z'],
    [0x18, '20260203000000.125Z'],
    [0x18, '20260203000000+0000'],
  ])('a date that OpenSSL cannot compare is never valid: %i %s', (tag, text) => {
    const time = element(tag, Buffer.from(text))
    const facts = readCertificate(withField(VALIDITY, sequence(time, time)))
    expect([facts.notBefore, facts.notAfter]).toEqual([Number.POSITIVE_INFINITY, 0])
  })

  test('a date of either type is valid in its time', () => {
    const times = sequence(element(0x17, Buffer.from('260203000000Z')), element(0x18, Buffer.from('20260204000000Z')))
    const facts = readCertificate(withField(VALIDITY, times))
    expect([facts.notBefore, facts.notAfter]).toEqual([Date.UTC(2026, 1, 3), Date.UTC(2026, 1, 4)])
  })
})

/** The authority's certificate with one field of its content replaced; the signature no longer fits, which nothing here checks. */
function withField(index: number, replacement: Buffer): Buffer {
  const [content, ...signature] = [...readElement(authority.der).children()]
  const fields = Array.from(content?.children() ?? [], ({ raw }) => raw)
  return sequence(sequence(...fields.with(index, replacement)), ...signature.map(({ raw }) => raw))
}

function isAccepted(der: Buffer): boolean {
  try {
    return new X509Certificate(der).raw.length > 0
  } catch {
    return false
  }
}

function readOrRefuse(der: Buffer): CertificateFacts | undefined {
  try {
    return readCertificate(der)
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error
    return undefined
  }
}
