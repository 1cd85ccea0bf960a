import { expect, test } from '@jest/globals'
import { LogThrottle } from '../../../src/runtime/log-throttle.ts'

const MINUTE = 60_000

test('the same message is logged once a minute, another one beside it', () => {
  const throttle = new LogThrottle()
  const at = (key: string, now: number) => throttle.allows(key, now)
  expect(at('one', MINUTE)).toBe(true)
  expect(at('one', 2 * MINUTE - 1)).toBe(false)
  expect(at('other', 2 * MINUTE - 1)).toBe(true)
  expect(at('one', 2 * MINUTE)).toBe(true)
})

test('ever new messages are not remembered without end', () => {
  const throttle = new LogThrottle()
  throttle.allows('first', MINUTE)
  for (let i = 0; i < 1000; i++) throttle.allows(`${i}`, MINUTE)
  // It had to make room.
  expect(throttle.allows('first', MINUTE)).toBe(true)
})
