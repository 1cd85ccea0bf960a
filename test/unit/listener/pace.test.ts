import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { type Begun, Pace } from '../../../src/listener/pace.ts'

/** A pace and what has begun at it. Each client answers at once. */
function paced(count: number) {
  const pace = new Pace()
  const begun: number[] = []
  for (let i = 0; i < count; i++) {
    pace.begin((one) => {
      begun.push(i)
      pace.over(one)
    })
  }
  return { pace, begun }
}

describe('the pace of handshakes', () => {
  it('begins a few at once', () => {
    expect(paced(3).begun).toEqual([0, 1, 2])
  })

  it('lets everything else have its turn before it goes on, and keeps the order', async () => {
    const { pace, begun } = paced(100)
    expect(begun.length).toBeLessThan(10)
    const begunByTurn: number[] = []
    while (begun.length < 100) {
      const before = begun.length
      await nextTurn()
      begunByTurn.push(begun.length - before)
    }
    expect(Math.max(...begunByTurn)).toBeLessThan(10)
    expect(begun).toEqual(Array.from({ length: 100 }, (_, i) => i))
    await nextTurn()
    pace.begin(() => begun.push(100))
    expect(begun.at(-1)).toBe(100)
  })

  it('does not let a late one overtake those that wait', async () => {
    const { pace, begun } = paced(20)
    await nextTurn()
    pace.begin(() => begun.push(20))
    while (begun.length < 21) await nextTurn()
    expect(begun.at(-1)).toBe(20)
  })
})

describe('how many handshakes wait for their clients', () => {
  const unanswered: Begun[] = []
  let pace = new Pace()
  const crowd = (count: number) => {
    for (let i = 0; i < count; i++) pace.begin((one) => unanswered.push(one))
  }

  beforeEach(() => {
    jest.useFakeTimers()
    unanswered.length = 0
    pace = new Pace()
  })
  afterEach(() => {
    jest.useRealTimers()
  })

  it('is no more than whose answers may come together', () => {
    crowd(1000)
    jest.advanceTimersByTime(90)
    expect(unanswered.length).toBeGreaterThan(8)
    expect(unanswered.length).toBeLessThan(60)
  })

  it('lets one begin for each that has answered, or failed', () => {
    crowd(1000)
    jest.advanceTimersByTime(50)
    const before = unanswered.length
    for (const one of unanswered.slice(0, 3)) pace.over(one)
    jest.advanceTimersByTime(1)
    expect(unanswered).toHaveLength(before + 3)
  })

  it('grows with a crowd that never answers, as clients behind it would wait for strangers', () => {
    crowd(2000)
    let honest = 0
    pace.begin(() => honest++)
    jest.advanceTimersByTime(1000)
    expect(honest).toBe(1)
  })

  it('stays large enough for whoever comes while such a crowd goes on', () => {
    let honest = 0
    for (let i = 0; i < 50; i++) {
      crowd(100)
      pace.begin((one) => {
        honest++
        pace.over(one)
      })
      jest.advanceTimersByTime(100)
    }
    expect(honest).toBeGreaterThan(45)
  })

  it('waits no negative time for a client whose time was over before anybody looked', () => {
    const wait = jest.spyOn(globalThis, 'setTimeout')
    crowd(48)
    jest.advanceTimersByTime(500)
    crowd(100)
    jest.advanceTimersByTime(500)
    expect(unanswered).toHaveLength(148)
    expect(wait.mock.calls.map(([, ms]) => ms).filter((ms) => Number(ms) <= 0)).toEqual([])
    expect(wait).toHaveBeenCalled()
  })

  it('is small again once clients answer', () => {
    crowd(1000)
    jest.advanceTimersByTime(1000)
    for (const one of unanswered.splice(0)) pace.over(one)
    for (let i = 0; i < 1100; i++) pace.begin((one) => pace.over(one))
    jest.advanceTimersByTime(1000)
    crowd(1000)
    jest.advanceTimersByTime(90)
    expect(unanswered.length).toBeLessThan(60)
  })
})
