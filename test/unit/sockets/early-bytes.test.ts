import { expect, test } from '@jest/globals'
import { EarlyBytes } from '../../../src/sockets/early-bytes.ts'

test('keeps what comes, in its order', () => {
  const early = new EarlyBytes()
  expect(early.isEmpty).toBe(true)
  expect([early.keep(Buffer.from('to')), early.keep(Buffer.from('day'))]).toEqual([true, true])
  expect([early.isEmpty, early.all().toString()]).toEqual([false, 'today'])
})

test('has room for less than 64 KiB, and for fewer reads of one byte each', () => {
  const large = new EarlyBytes()
  expect([large.keep(Buffer.alloc(65_023)), large.keep(Buffer.alloc(1))]).toEqual([true, false])
  const small = new EarlyBytes()
  let reads = 1
  while (small.keep(Buffer.alloc(1))) reads += 1
  expect(reads).toBe(256)
})
