import { describe, expect, test } from '@jest/globals'
import { createTimes, type TimeOfWeek } from '../../../src/auth/time-of-week.ts'

const WORKDAYS = [1, 2, 3, 4, 5]
const lies = (time: Partial<TimeOfWeek>, iso: string) =>
  createTimes([{ days: WORKDAYS, from: 8 * 60, to: 18 * 60, zone: 'UTC', ...time }])(Date.parse(iso))

describe('a time of the week', () => {
  test.each([
    ['2026-11-25T08:00:00Z', true],
    ['2026-11-25T07:59:59Z', false],
    ['2026-11-25T17:59:59Z', true],
    ['2026-11-25T18:00:00Z', false],
    ['2026-11-28T12:00:00Z', false],
  ])('Mon-Fri 08:00-18:00 at %s: %s', (iso, expected) => {
    expect(lies({}, iso)).toBe(expected)
  })

  test.each([
    ['2026-11-27T22:00:00Z', true],
    ['2026-11-27T23:00:00Z', true],
    ['2026-11-28T05:59:00Z', true],
    ['2026-11-28T06:00:00Z', false],
    ['2026-11-28T23:00:00Z', false],
    ['2026-11-23T05:00:00Z', false],
  ])('Mon-Fri 22:00-06:00 at %s: %s', (iso, expected) => {
    expect(lies({ from: 22 * 60, to: 6 * 60 }, iso)).toBe(expected)
  })

  test('follows summer time', () => {
    expect(lies({ zone: 'Europe/Berlin' }, '2026-07-01T06:30:00Z')).toBe(true)
    expect(lies({ zone: 'Europe/Berlin' }, '2026-12-01T06:30:00Z')).toBe(false)
  })

  test('ends at midnight as 24:00', () => {
    expect(lies({ from: 0, to: 24 * 60 }, '2026-11-25T23:59:59Z')).toBe(true)
  })

  test('the verdict of one minute is not that of the next', () => {
    const times = createTimes([{ days: WORKDAYS, from: 480, to: 481, zone: 'UTC' }])
    const at = Date.parse('2026-11-25T08:00:59Z')
    expect(times(at)).toBe(true)
    expect(times(at + 1000)).toBe(false)
  })
})
