import { describe, expect, test } from '@jest/globals'
import { readAlternativeNames } from '../../../src/tls-cert-utils/alternative-names.ts'
import { DerError } from '../../../src/tls-cert-utils/der.ts'
import { element, oid, sequence } from '../../../src/tls-cert-utils/der-writer.ts'
import { createAuthority, encodeName, extension } from '../../../src/tls-cert-utils/development-pki.ts'
import fc from '../../support/random.ts'

const text = (tag: number, value: string | number[]) => element(tag, Buffer.from(value as string))
const otherName = (type: string, value: Uint8Array) => element(0xa0, oid(type), element(0xa0, value))
const UPN = '1.3.6.1.4.1.311.20.2.3'
const utf8 = (value: string | number[]) => text(0x0c, value)

describe('readAlternativeNames', () => {
  test('decodes every type that identity can rest on', () => {
    const name = encodeName([
      [{ oid: '2.5.4.6', tag: 19, value: Buffer.from('DE') }],
      [{ oid: '2.5.4.3', tag: 12, value: Buffer.from('a,b') }],
    ])
    const extensionValue = sequence(
      text(0x82, 'API.acme.test'),
      text(0x81, 'ada@acme.test'),
      text(0x86, 'spiffe://acme.test/ada'),
      text(0x87, [127, 0, 0, 1]),
      text(0x87, [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
      otherName(UPN, utf8('ada@corp')),
      otherName('1.2.3', utf8('x')),
      element(0xa4, name),
      element(0x88, oid('1.2.3.4').subarray(2)),
    )
    expect(readAlternativeNames(extensionValue)).toEqual([
      { type: 'dns', value: 'API.acme.test' },
      { type: 'email', value: 'ada@acme.test' },
      { type: 'uri', value: 'spiffe://acme.test/ada' },
      { type: 'ip', value: '127.0.0.1' },
      { type: 'ip', value: '2001:db8::1' },
      { type: 'upn', value: 'ada@corp' },
      { type: 'othername', value: '0c0178', oid: '1.2.3' },
      { type: 'dirname', value: 'CN=a\\,b,C=DE' },
      { type: 'rid', value: '1.2.3.4' },
    ])
  })

  test('a URI that looks like two names stays one name', () => {
    const value = 'spiffe://td/x, DNS:admin.internal'
    expect(readAlternativeNames(sequence(text(0x86, value)))).toEqual([{ type: 'uri', value }])
  })

  test.each([
    ['a NUL', text(0x82, 'admin\0.evil.test')],
    ['a line feed', text(0x86, 'spiffe://td/x\r\nVERIFIED: SUCCESS')],
    ['bytes that are not ASCII', text(0x81, [0x61, 0xe9])],
    ['nothing', text(0x82, '')],
    ['an address of five bytes', text(0x87, [1, 2, 3, 4, 5])],
    ['a principal name with a control character', otherName(UPN, utf8('ada\0@corp'))],
    ['a principal name that is not UTF-8', otherName(UPN, utf8([0xff]))],
    ['a principal name of another type', otherName(UPN, text(0x16, 'ada@corp'))],
  ])('leaves out a name that holds %s', (_, name) => {
    expect(readAlternativeNames(sequence(name, text(0x82, 'good.test')))).toEqual([{ type: 'dns', value: 'good.test' }])
  })

  test('throws for an extension that is malformed as a whole', () => {
    for (const value of [Buffer.alloc(0), Buffer.from('3003820561', 'hex'), text(0x82, 'a'), sequence(element(0xa0))]) {
      expect(() => readAlternativeNames(value)).toThrow(DerError)
    }
  })

  test('throws nothing but DerError for garbage, and gives no control character', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.constantFrom(0x81, 0x82, 0x86, 0x87, 0x88, 0xa0, 0xa4, 0x0c, 0x30),
            fc.uint8Array({ maxLength: 20 }),
          ),
        ),
        (parts) => {
          try {
            const names = readAlternativeNames(sequence(...parts.map(([tag, content]) => element(tag, content))))
            for (const { value } of names) expect(value).not.toMatch(/[\x00-\x1f\x7f]/)
          } catch (error) {
            if (!(error instanceof DerError)) throw error
          }
        },
      ),
      { numRuns: 1000 },
    )
  })

  test('a certificate whose extension is malformed, or there twice, has no names', async () => {
    const authority = await createAuthority()
    const broken = extension('2.5.29.17', false, Buffer.from('3003820561', 'hex'))
    const one = extension('2.5.29.17', false, sequence(text(0x82, 'a.test')))
    expect((await authority.issue({ subject: 'ada', extensions: [broken] })).certificate.alternativeNames).toEqual([])
    expect((await authority.issue({ subject: 'ada', extensions: [one, one] })).certificate.alternativeNames).toEqual([])
    expect((await authority.issue({ subject: 'ada', extensions: [one] })).certificate.alternativeNames).toHaveLength(1)
  })
})
