import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import { Refusals, type Refused } from '../../src/refusals.ts'

beforeEach(() => {
  jest.useFakeTimers()
})
afterEach(() => {
  jest.useRealTimers()
})

test('the first refusal is told at once, a flood as a number now and then, and silence not at all', () => {
  const told: Refused<string>[] = []
  const refusals = new Refusals<string>((refused) => told.push(refused))
  for (let i = 0; i < 1000; i++) refusals.note('rate', `192.0.2.${i % 250}`)
  refusals.note('address', '::1')
  expect(told).toEqual([
    { reason: 'rate', count: 1, last: '192.0.2.0' },
    { reason: 'address', count: 1, last: '::1' },
  ])
  jest.advanceTimersByTime(10_000)
  expect(told.slice(2)).toEqual([{ reason: 'rate', count: 999, last: '192.0.2.249' }])
  jest.advanceTimersByTime(100_000)
  expect(told).toHaveLength(3)
  refusals.note('rate', undefined)
  expect(told).toHaveLength(4)
})
