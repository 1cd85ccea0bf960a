// Lists that a reader of complete lists would misread, and bytes that are no list at all: each is refused, and the message says why.
import { describe, expect, test } from '@jest/globals'
import { readCertificate } from '../../../src/tls-cert-utils/certificate.ts'
import { CertificateError } from '../../../src/tls-cert-utils/certificate-error.ts'
import { Revocation } from '../../../src/tls-cert-utils/revocation.ts'
import { readRevocationLists } from '../../../src/tls-cert-utils/revocation-list.ts'
import {
  boolean,
  explicit,
  ia5String,
  implicit,
  objectIdentifier,
  octetString,
  rawInteger,
  sequence,
  tlv,
  utcTime,
} from '../../support/der.ts'
import { authority, extension, revokedEntry } from '../../support/pki.ts'
import fc from '../../support/random.ts'

const root = authority('root')
const ada = root.client('ada')
const derOf = (pem: string) => Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64')
const good = derOf(root.crl([ada]))
const reason = (code: number) => extension('2.5.29.21', tlv(0x0a, Buffer.from([code])))
const point = (...fields: readonly Buffer[]) => extension('2.5.29.28', sequence(...fields), true)
const entry = revokedEntry(ada.serial)
/** An element that says that it has one byte more. */
function longer(element: Buffer): Buffer {
  element[1] = (element[1] as number) + 1
  return element
}
const url = (text: string) => implicit(6, Buffer.from(text))

describe('a list is refused by the name of its kind', () => {
  test.each([
    [
      'a delta list',
      root.crl([], { extensions: [extension('2.5.29.27', rawInteger(Buffer.from([1])), true)] }),
      /delta list/,
    ],
    ['an indirect list', root.crl([], { extensions: [point(implicit(4, Buffer.from([0xff])))] }), /indirect list/],
    [
      'an indirect list, by its entries',
      root.crl([], { entries: [revokedEntry(ada.serial, -1, extension('2.5.29.29', sequence(url('x')), true))] }),
      /indirect list/,
    ],
    [
      'a list for some reasons',
      root.crl([], { extensions: [point(implicit(3, Buffer.from([1, 2])))] }),
      /some reasons/,
    ],
    [
      'a list of attribute certificates',
      root.crl([], { extensions: [point(implicit(5, Buffer.from([0xff])))] }),
      /attribute/,
    ],
    [
      'a list of a million distribution points',
      root.crl([], { extensions: [point(explicit(0, explicit(0, ...Array<Buffer>(1001).fill(url('')))))] }),
      /more than 1000 names/,
    ],
    ['an issuer of a name that takes long to compare', authority('a'.repeat(20_000)).crl(), /name has more than/],
    [
      'an unknown critical extension',
      root.crl([], { extensions: [extension('1.2.3.4', octetString(Buffer.alloc(1)), true)] }),
      /unknown critical extension 1\.2\.3\.4/,
    ],
    [
      'an unknown critical extension of an entry',
      root.crl([], { entries: [revokedEntry(ada.serial, -1, extension('1.2.3.4', boolean(true), true))] }),
      /unknown critical extension 1\.2\.3\.4/,
    ],
    [
      'an unknown critical extension of an entry that has a long name',
      root.crl([], { entries: [revokedEntry(ada.serial, -1, extension('1.3.6.1.4.1.99999.7', boolean(true), true))] }),
      /unknown critical extension 1\.3\.6\.1\.4\.1\.99999\.7/,
    ],
    ['an empty serial number', root.crl([], { entries: [revokedEntry(Buffer.alloc(0))] }), /serial number .* is empty/],
    [
      'a serial number of 300 bytes',
      root.crl([], { entries: [revokedEntry(Buffer.alloc(300, 1))] }),
      /longer than 255 bytes/,
    ],
    [
      'a serial number of one byte more than can be kept',
      root.crl([], { entries: [revokedEntry(Buffer.alloc(256, 1))] }),
      /longer than 255 bytes/,
    ],
    [
      'a field behind the extensions of an entry',
      root.crl([], {
        entries: [sequence(rawInteger(ada.serial), utcTime('200101000000Z'), sequence(reason(1)), boolean(true))],
      }),
      /malformed/,
    ],
    [
      'a reason with something behind it',
      root.crl([], {
        entries: [revokedEntry(ada.serial, -1, extension('2.5.29.21', Buffer.from('0a0108050000', 'hex')))],
      }),
      /reason of an entry is malformed/,
    ],
    [
      'two reasons of an entry, of which one would take it off the list',
      root.crl([], { entries: [revokedEntry(ada.serial, -1, reason(8), reason(1))] }),
      /two reasons/,
    ],
    [
      'an extension that goes past its entry',
      root.crl([ada], { entries: [revokedEntry(ada.serial, -1, longer(extension('1.2.3.4', boolean(true)))), entry] }),
      /goes past its entry/,
    ],
    [
      'an entry without a date',
      root.crl([], { entries: [sequence(rawInteger(ada.serial))] }),
      /lacks its date|malformed/,
    ],
    [
      'a field before the entries, which would hide them',
      root.crl([ada], { dates: [utcTime('200101000000Z'), implicit(9, Buffer.alloc(1))] }),
      /field that it should not have/,
    ],
    [
      'a date in a form that certificates and lists do not have',
      root.crl([ada], { dates: [utcTime('2001010000Z')] }),
      /not written as RFC 5280 demands/,
    ],
    ['an entry that is none', root.crl([], { entries: [ia5String('x')] }), /malformed/],
  ])('%s', (_name, pem, message) => {
    expect(() => readRevocationLists(pem)).toThrow(
      expect.objectContaining({ code: 'BAD_CRL', message: expect.stringMatching(message) }),
    )
  })

  test('SHA-1, and an algorithm outside that is not the one inside', () => {
    const sha1 = Buffer.from(
      good.toString('latin1').replaceAll('\x2a\x86\x48\xce\x3d\x04\x03\x02', '\x2a\x86\x48\xce\x3d\x04\x01\x02'),
      'latin1',
    )
    expect(() => readRevocationLists(sha1)).toThrow(/not known|not safe/)
    const at = good.lastIndexOf(Buffer.from('2a8648ce3d040302', 'hex'))
    const other = Buffer.from(good)
    other[at + 7] = 3
    expect(() => readRevocationLists(other)).toThrow(/two different signature algorithms/)
  })
})

test('harmless extensions are read over: a reason, an invalidity date, one that is unknown and not critical', () => {
  const extensions = [
    reason(1),
    extension('2.5.29.24', tlv(0x18, Buffer.from('20200101000000Z'))),
    extension('1.2.3.4', boolean(true)),
  ]
  const [list] = readRevocationLists(
    root.crl([], {
      entries: [revokedEntry(ada.serial, -1, ...extensions)],
      extensions: [extension('1.2.3.4', boolean(true))],
    }),
  )
  expect(list?.revokes(ada.serial)).toBe(true)
})

describe('an entry', () => {
  test.each([
    ['that takes itself off the list revokes nobody', revokedEntry(ada.serial, -1, reason(8)), false],
    [
      'that takes itself off, and says more behind that, revokes nobody',
      revokedEntry(ada.serial, -1, reason(8), extension('1.2.3.4', boolean(true))),
      false,
    ],
    [
      'with an unknown extension that is written as not critical revokes',
      revokedEntry(ada.serial, -1, sequence(objectIdentifier('1.2.3.4'), boolean(false), octetString(Buffer.alloc(1)))),
      true,
    ],
    [
      'whose reason only begins like one that takes it off revokes',
      revokedEntry(ada.serial, -1, extension('2.5.29.21', tlv(0x0a, Buffer.from([8, 0])))),
      true,
    ],
    ['on hold revokes', revokedEntry(ada.serial, -1, reason(6)), true],
    ['whose date is to come revokes now, as with OpenSSL', revokedEntry(ada.serial, 5), true],
  ])('%s', (_name, entry, revokes) => {
    expect(readRevocationLists(root.crl([], { entries: [entry] }))[0]?.revokes(ada.serial)).toBe(revokes)
  })
})

test('a serial number of as many bytes as can be kept is found', () => {
  const serial = Buffer.alloc(255, 1)
  const [list] = readRevocationLists(root.crl([], { entries: [revokedEntry(serial)] }))
  expect([list?.revokes(serial), list?.revokes(serial.subarray(1))]).toEqual([true, false])
})

describe('the scope of a list', () => {
  const middle = root.authority('middle')
  const chain = [middle.client('eve'), middle, root].map(({ der }) => readCertificate(der))
  const codes = (...pems: string[]) => {
    const lists = pems.flatMap((pem) => readRevocationLists(pem))
    return new Revocation(lists, { certificates: 'chain', mode: 'STRICT' })
      .judge(chain, Date.now())
      .findings.map(({ code, at }) => `${code} ${at}`)
  }
  const only = (tag: number) => ({ extensions: [point(implicit(tag, Buffer.from([0xff])))] })

  test('for authorities only does not speak of users, and the other way round', () => {
    expect(codes(root.crl(), middle.crl([], only(1)))).toEqual([])
    expect(codes(root.crl(), middle.crl([], only(2)))).toEqual(['UNABLE_TO_GET_CRL 0'])
    expect(codes(root.crl([], only(1)), middle.crl())).toEqual(['UNABLE_TO_GET_CRL 1', 'UNABLE_TO_GET_CRL 2'])
    expect(codes(root.crl([middle], only(2)), root.crl([], only(1)), middle.crl())).toEqual(['CERT_REVOKED 1'])
  })

  test('of one distribution point speaks of the certificates that name it', () => {
    const issuing = (name: string) => ({ extensions: [point(explicit(0, explicit(0, url(name))))] })
    const named = extension('2.5.29.31', sequence(sequence(explicit(0, explicit(0, url('http://a.test/1.crl'))))))
    const eve = readCertificate(root.client('eve', { extensions: [named] }).der)
    const judge = (...pems: string[]) =>
      new Revocation(
        pems.flatMap((pem) => readRevocationLists(pem)),
        { certificates: 'leaf', mode: 'STRICT' },
      )
        .judge([eve, readCertificate(root.der)], Date.now())
        .findings.map(({ code }) => code)
    expect(judge(root.crl([], issuing('http://a.test/1.crl')))).toEqual([])
    expect(judge(root.crl([], issuing('http://a.test/2.crl')))).toEqual(['UNABLE_TO_GET_CRL'])
    expect(judge(root.crl([], issuing('http://a.test/2.crl')), root.crl())).toEqual([])
  })

  test('of one distribution point does not speak of certificates that name none', () => {
    const one = { extensions: [point(explicit(0, explicit(0, url('http://a.test/1.crl'))))] }
    expect(codes(root.crl(), middle.crl([], one))).toEqual(['UNABLE_TO_GET_CRL 0'])
  })

  test('is a part of what the list states', () => {
    const issuing = (name: string) => ({ extensions: [point(explicit(0, explicit(0, url(name))))] })
    const statements = [{}, only(1), only(2), issuing('http://a.test/1.crl'), issuing('http://a.test/2.crl')].map(
      (options) => readRevocationLists(root.crl([ada], options))[0]?.statement,
    )
    expect(new Set(statements).size).toBe(5)
  })

  test('is that of its issuer, also where the list does not name the key', () => {
    const [one, other] = [root, authority('other')].map((issuer) => readRevocationLists(issuer.crl([], { version: 1 })))
    expect(one?.[0]?.statement).not.toBe(other?.[0]?.statement)
  })
})

describe('bytes', () => {
  const rejected = (bytes: Buffer) => {
    try {
      return readRevocationLists(bytes).every((list) => !list.isSignedBy(readCertificate(root.der)))
    } catch (error) {
      if (!(error instanceof CertificateError)) throw error
      return true
    }
  }

  test('cut off anywhere are refused', () => {
    for (let length = 0; length < good.length; length++) expect(rejected(good.subarray(0, length))).toBe(true)
  })

  test('with any one byte changed are refused, at the latest by the signature', () => {
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const bytes = Buffer.from(good)
        bytes[at] = (bytes[at] as number) ^ change
        return rejected(bytes)
      }),
      // Of an ECDSA signature the padding of the bit string and leading zeros could be spelled otherwise: none of them is looked for here.
      {
        examples: [
          [0, 1],
          [1, 0x7f],
          [good.length - 1, 1],
        ],
        numRuns: 500,
      },
    )
  })

  test.each([
    ['a length that goes past the end', Buffer.from('3084ffffffff30', 'hex')],
    ['a length of 126 bytes', Buffer.concat([Buffer.from([0x30, 0xfe]), Buffer.alloc(130, 0xff)])],
    ['ten thousand lists in one another', Buffer.alloc(20_000, Buffer.from('3080', 'hex'))],
    [
      'an entry whose length goes past the list',
      derOf(root.crl([], { entries: [Buffer.from('3084ffffffff', 'hex')] })),
    ],
    [
      'a serial number whose length goes past its entry',
      derOf(root.crl([], { entries: [Buffer.from('300402847fff', 'hex')] })),
    ],
  ])('%s are refused', (_name, bytes) => {
    expect(rejected(bytes)).toBe(true)
  })
})
