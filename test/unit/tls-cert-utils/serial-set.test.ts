import { describe, expect, test } from '@jest/globals'
import { SerialSet } from '../../../src/tls-cert-utils/serial-set.ts'
import fc from '../../support/random.ts'

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

  test('is looked into no oftener for numbers that were chosen so that FNV-1a is the same for all of them, with one seed in 256', () => {
    const pairs = [
      ['82bb9aa642', '1061c162b1'],
      ['795325196c', 'cb13e75346'],
      ['2204d66a47', '17457bd84e'],
      ['e9d3292e58', 'f4d54f6580'],
      ['50247c9e5b', '58209a9bea'],
      ['0eb6ead22a', 'd640b68c96'],
      ['585603406c', '378db0b07d'],
      ['9e7e2c9f59', '6b19d2ec02'],
      ['6745c1e1d5', '36e2f225a2'],
    ] as const
    const numbers = Array.from({ length: 2 ** pairs.length }, (_, n) =>
      Buffer.from(pairs.map((pair, i) => pair[((n >> i) & 1) as 0 | 1]).join(''), 'hex'),
    )
    const { parts } = SerialSet.withRoomFor(numbers.length, numbers.length * 5 * pairs.length)
    let looks = 0
    const slots = new Proxy(parts.slots, {
      get(target, key) {
        looks++
        return Reflect.get(target, key)
      },
    })
    const set = new SerialSet({ ...parts, slots, seed: 0x12345641 })
    for (const each of numbers) set.add(each, 0, each.length)
    expect(set.size).toBe(numbers.length)
    expect(looks).toBeLessThan(20 * numbers.length)
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
