import { describe, expect, test } from '@jest/globals'
import { SHORT_NAMES } from '../../../src/tls-cert-utils/attribute-names.ts'
import { DerError } from '../../../src/tls-cert-utils/der.ts'
import { createAuthority, encodeName, type RawAttribute } from '../../../src/tls-cert-utils/development-pki.ts'
import { formatOneline, formatRfc2253, readName } from '../../../src/tls-cert-utils/distinguished-name.ts'
import fc from '../../support/random.ts'
import { AWKWARD_NAMES, REFUSED_NAMES } from './awkward-names.ts'
import { onelineSubjects, printedSubjects } from './openssl.ts'

const PRINTABLE = /^[\x20-\x7e]*$/

const attribute: fc.Arbitrary<RawAttribute> = fc.oneof(
  fc.record({
    oid: fc.oneof(fc.constantFrom(...SHORT_NAMES.keys()), fc.constant('1.2.3.4'), fc.constant('1.3.6.1.4.1.99999.1')),
    tag: fc.constant(0x0c),
    value: fc
      .string({
        unit: fc.oneof(
          fc.constantFrom(...' #,+"\\<>;=/\0\n'),
          fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }),
        ),
      })
      .map((text) => Buffer.from(text.toWellFormed())),
  }),
  fc.record({
    oid: fc.constantFrom('2.5.4.3', '2.5.4.10', '1.2.3.4'),
    tag: fc.constantFrom(18, 19, 20, 22, 13, 9),
    value: fc.uint8Array({ maxLength: 12 }),
  }),
)
const names = fc.array(fc.array(attribute, { minLength: 1, maxLength: 3 }), { maxLength: 5 }).map(encodeName)

describe('formatRfc2253', () => {
  test("prints awkward subjects byte for byte as OpenSSL's RFC2253 does", async () => {
    const titles = Object.keys(AWKWARD_NAMES)
    const printed = await printedSubjects(Object.values(AWKWARD_NAMES))
    const ours = Object.values(AWKWARD_NAMES).map(formatRfc2253)
    expect(Object.fromEntries(titles.map((title, index) => [title, ours[index]]))).toEqual(
      Object.fromEntries(titles.map((title, index) => [title, printed[index]])),
    )
    expect(titles.length).toBeGreaterThan(50)
  })

  test("prints random subjects byte for byte as OpenSSL's RFC2253 does", async () => {
    const subjects = fc.sample(names, 200)
    const printed = await printedSubjects(subjects)
    expect(subjects.map(formatRfc2253)).toEqual(printed)
  })

  test('prints every attribute type that it knows by the short name that OpenSSL has', async () => {
    const subject = encodeName([...SHORT_NAMES.keys()].map((oid) => [{ oid, tag: 0x0c, value: Buffer.from('x') }]))
    expect([formatRfc2253(subject)]).toEqual(await printedSubjects([subject]))
    expect(formatRfc2253(subject)).not.toContain('#')
  })

  test('gives printable ASCII only, whatever the name', () => {
    fc.assert(fc.property(names, (name) => PRINTABLE.test(formatRfc2253(name)) && PRINTABLE.test(formatOneline(name))))
  })

  test('throws for names that OpenSSL refuses too', async () => {
    const refused = Object.values(REFUSED_NAMES)
    expect(await printedSubjects(refused)).toEqual(refused.map(() => undefined))
    for (const name of refused) expect(() => formatRfc2253(name)).toThrow(DerError)
  })

  test('throws nothing but DerError for garbage', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), mutated()), (bytes) => {
        for (const read of [formatRfc2253, formatOneline, readName]) {
          try {
            read(bytes)
          } catch (error) {
            if (!(error instanceof DerError)) throw error
          }
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe('formatOneline', () => {
  test("prints awkward subjects byte for byte as OpenSSL's X509_NAME_oneline does", async () => {
    const authority = await createAuthority()
    const short = Object.entries(AWKWARD_NAMES).filter(([, name]) => name.length < 10_000)
    const issued = await Promise.all(short.map(([, subject]) => authority.issue({ subject })))
    const printed = await onelineSubjects(issued.map(({ pem }) => pem))
    expect(short.map(([title, name]) => [title, formatOneline(name)])).toEqual(
      short.map(([title], index) => [title, printed[index]]),
    )
  })
})

describe('readName', () => {
  test('gives attributes in stored order with decoded values', () => {
    const name = encodeName([
      [{ oid: '2.5.4.6', tag: 19, value: Buffer.from('DE') }],
      [
        { oid: '2.5.4.3', tag: 30, value: Buffer.from('日', 'utf16le').swap16() },
        { oid: '1.2.3.4', tag: 20, value: Buffer.from([0xe9]) },
      ],
    ])
    expect(readName(name)).toEqual([
      [{ oid: '2.5.4.6', shortName: 'C', value: 'DE', isText: true, raw: Buffer.from('13024445', 'hex') }],
      [
        { oid: '1.2.3.4', shortName: undefined, value: 'é', isText: true, raw: Buffer.from('1401e9', 'hex') },
        { oid: '2.5.4.3', shortName: 'CN', value: '日', isText: true, raw: Buffer.from('1e0265e5', 'hex') },
      ],
    ])
  })

  test('gives the hex of a value that is no string', () => {
    const [[attribute] = []] = readName(AWKWARD_NAMES['BIT STRING'] as Uint8Array)
    expect(attribute).toMatchObject({ value: '#03020061', isText: false })
  })

  test('has no RDN for an empty subject', () => {
    expect(readName(encodeName([]))).toEqual([])
  })
})

/** Awkward names with one byte changed. */
function mutated(): fc.Arbitrary<Uint8Array> {
  const originals = Object.values(AWKWARD_NAMES).filter((name) => name.length < 300)
  return fc.tuple(fc.constantFrom(...originals), fc.nat(), fc.nat(255)).map(([name, position, byte]) => {
    const copy = Uint8Array.from(name)
    copy[position % copy.length] = byte
    return copy
  })
}
