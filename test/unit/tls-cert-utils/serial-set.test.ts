import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { SerialSet } from '../../../src/tls-cert-utils/serial-set.ts'

const serial = fc.uint8Array({ minLength: 1, maxLength: 21 })
/** Many that differ in one byte, and many that are the same. */
const crowded = fc
  .tuple(fc.constantFrom(0x00, 0x7f, 0x80, 0xff), fc.integer({ min: 0, max: 3 }))
  .map((bytes) => Uint8Array.from(bytes))

function setOf(serials: readonly Uint8Array[]): SerialSet {
  const set = SerialSet.withRoomFor(
    serials.length,
    serials.reduce((sum, { length }) => sum + length, 0),
  )
  for (const each of serials) set.add(each, 0, each.length)
  return set
}

const numberIn = (bytes: Uint8Array) =>
  BigInt.asIntN(bytes.length * 8, BigInt(`0x${Buffer.from(bytes).toString('hex')}`))

describe('a set of serial numbers', () => {
  test.each([
    ['of any kind', serial],
    ['that are much alike', crowded],
  ])('%s knows what a plain Set of their values knows', (_kind, arbitrary) => {
    fc.assert(
      fc.property(
        fc.array(arbitrary, { maxLength: 200 }),
        fc.array(arbitrary, { maxLength: 50 }),
        (members, others) => {
          const set = setOf(members)
          const plain = new Set(members.map(numberIn))
          expect(set.size).toBe(plain.size)
          for (const each of [...members, ...others]) expect(set.has(each)).toBe(plain.has(numberIn(each)))
        },
      ),
    )
  })

  test.each([
    ['00007b', '7b', true],
    ['fffb', 'fb', true],
    ['ffff80', '80', true],
    ['0080', '80', false],
    ['ff7b', '7b', false],
  ])('takes %s and %s for one number as is right (%s)', (one, other, isSame) => {
    for (const [added, asked] of [
      [one, other],
      [other, one],
    ])
      expect(setOf([Buffer.from(added as string, 'hex')]).has(Buffer.from(asked as string, 'hex'))).toBe(isSame)
  })

  test('takes a number in the middle of other bytes', () => {
    const set = SerialSet.withRoomFor(1, 2)
    set.add(Buffer.from('aa0102bb', 'hex'), 1, 3)
    expect(set.has(Buffer.from('0102', 'hex'))).toBe(true)
    expect(set.has(Buffer.from('aa0102bb', 'hex'))).toBe(false)
  })

  test('of a million numbers of 20 bytes takes less than 40 MB', () => {
    const bytes = Buffer.alloc(20)
    const set = SerialSet.withRoomFor(1_000_000, 20_000_000)
    for (let i = 0; i < 1_000_000; i++) {
      bytes.writeUInt32BE(0x40000000 + i)
      bytes.writeUInt32BE(i, 16)
      set.add(bytes, 0, 20)
    }
    const { bytes: kept, slots } = set.parts
    expect(set.size).toBe(1_000_000)
    expect(kept.byteLength + slots.byteLength).toBeLessThan(40_000_000)
    expect(set.has(bytes)).toBe(true)
    bytes[10] = 1
    expect(set.has(bytes)).toBe(false)
  })
})
