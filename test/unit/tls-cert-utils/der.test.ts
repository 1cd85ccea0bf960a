import { describe, expect, test } from '@jest/globals'
import { type DerElement, DerError, readElement, readOid, readWhole, TAG } from '../../../src/tls-cert-utils/der.ts'
import { element, octetString, oid, sequence } from '../../../src/tls-cert-utils/der-writer.ts'
import fc from '../../support/random.ts'

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')

describe('readElement', () => {
  test('gives tag, content and raw bytes, and leaves alone what follows', () => {
    const read = readElement(hex('04 02 61 62 ff'))
    expect([read.tag, read.content.toString(), read.raw.length]).toEqual([TAG.OCTET_STRING, 'ab', 4])
    expect(() => readWhole(hex('04 02 61 62 ff'))).toThrow('1 bytes follow the end')
  })

  test('iterates the elements inside', () => {
    const children = [...readElement(sequence(octetString(hex('01')), oid('1.2.3'))).children()]
    expect(children.map(({ tag }) => tag)).toEqual([TAG.OCTET_STRING, TAG.OID])
  })

  test('reads long-form and indefinite lengths as OpenSSL does', () => {
    expect(readElement(hex('04 82 00 02 61 62')).content.toString()).toBe('ab')
    const indefinite = readElement(hex('30 80 04 01 61 00 00 ff'))
    expect([indefinite.content.length, indefinite.raw.length]).toEqual([3, 7])
  })

  test.each([
    ['nothing', ''],
    ['a tag alone', '30'],
    ['a length past the end', '04 03 61 62'],
    ['a long length past the end', '04 84 ff ff ff ff'],
    ['a length of 127 bytes', `04 ff ${'ff'.repeat(127)}`],
    ['a length that is cut off', '04 82 01'],
    ['an indefinite length without end', '30 80 04 01 61'],
    ['an indefinite primitive', '04 80 00 00'],
    ['a tag number without end', '1f ff ff ff ff ff ff ff ff'],
  ])('refuses %s', (_, bytes) => {
    expect(() => readElement(hex(bytes))).toThrow(DerError)
  })

  test('refuses a child that is longer than its parent', () => {
    expect(() => [...readElement(hex('30 03 04 05 61 61 61 61 61')).children()]).toThrow(DerError)
  })

  test('refuses to look inside a primitive', () => {
    expect(() => [...readElement(hex('04 01 61')).children()]).toThrow(DerError)
  })

  test('refuses nesting without bound', () => {
    expect(() => readElement(Buffer.from('3080'.repeat(10_000), 'hex'))).toThrow(/levels deep/)
    let nested = element(0x2c)
    for (let level = 0; level < 40; level++) nested = element(0x2c, nested)
    expect(() => readElement(nested).stringContent()).toThrow(/levels deep/)
  })

  test('stays within bounds and throws nothing but DerError, whatever the bytes', () => {
    const walk = (node: DerElement): void => {
      expect(node.end).toBeLessThanOrEqual(node.bytes.length)
      if (node.isConstructed) for (const child of node.children()) walk(child)
    }
    const structured = fc.array(
      fc.constantFrom(0x30, 0x31, 0x80, 0x00, 0x01, 0x02, 0x04, 0x0c, 0x1f, 0x24, 0x81, 0xff),
      { maxLength: 60 },
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 60 }),
          structured.map((bytes) => Uint8Array.from(bytes)),
        ),
        (bytes) => {
          try {
            walk(readElement(bytes))
          } catch (error) {
            if (!(error instanceof DerError)) throw error
          }
        },
      ),
      { numRuns: 2000 },
    )
  })
})

describe('readOid', () => {
  test('undoes what the writer did', () => {
    for (const dotted of [
      '2.5.4.3',
      '0.9.2342.19200300.100.1.1',
      '1.39.0',
      '2.999.1',
      '2.25.340282366920938463463374607431768211455',
    ]) {
      expect(readOid(readElement(oid(dotted)).content)).toBe(dotted)
    }
  })

  test('refuses an empty and a cut-off identifier', () => {
    expect(() => readOid(hex(''))).toThrow(DerError)
    expect(() => readOid(hex('55 84'))).toThrow(DerError)
  })

  test.each([45n, 46n, 51n, 52n, 53n, 54n, 63n, 64n, 128n])(
    'reads arcs around the %sth power of two exactly',
    (power) => {
      for (const arc of [2n ** power - 1n, 2n ** power, 2n ** power + 1n]) {
        expect(readOid(Buffer.concat([hex('55'), arcOf(arc)]))).toBe(`2.5.${arc}`)
        expect(readOid(arcOf(arc))).toBe(`2.${arc - 80n}`)
      }
    },
  )

  test('gives no text to a longer one than OpenSSL prints, which would take minutes', () => {
    const ofLength = (length: number) => Buffer.alloc(length, 0x81).fill(1, length - 1)
    const start = performance.now()
    expect([586, 587, 100_000].map((length) => readOid(ofLength(length)) !== '')).toEqual([true, false, false])
    expect(performance.now() - start).toBeLessThan(1000)
  })
})

/** As X.690 8.19.2 writes it. */
function arcOf(arc: bigint): Buffer {
  const bytes = [Number(arc & 0x7fn)]
  for (let rest = arc >> 7n; rest > 0n; rest >>= 7n) bytes.unshift(Number(rest & 0x7fn) | 0x80)
  return Buffer.from(bytes)
}
