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

/** By this thread so far, in microseconds: what the tests' own computing takes says nothing. */
let computed = 0

/** A turn of the event loop takes a millisecond of the fake clock. */
function fakeLoop() {
  jest.useFakeTimers()
  computed = 0
  jest.spyOn(process, 'threadCpuUsage').mockImplementation(() => ({ user: computed, system: 0 }))
}

function realLoop() {
  jest.restoreAllMocks()
  jest.useRealTimers()
}

describe('how many handshakes begin in a turn of the event loop', () => {
  beforeEach(fakeLoop)
  afterEach(realLoop)

  /** How many of a crowd whose clients all answer at once begin in a hundred turns, where each turn computes for so many milliseconds. */
  function begunIn100Turns(busy: number): number {
    const pace = new Pace()
    let begun = 0
    for (let i = 0; i < 1000; i++) {
      pace.begin((one) => {
        begun++
        pace.over(one)
      })
    }
    for (let i = 0; i < 100; i++) {
      computed += busy * 1000
      jest.advanceTimersByTime(1)
    }
    return begun
  }

  it('is one where turns are short, as a request waits for several of them', () => {
    expect(begunIn100Turns(1)).toBeLessThan(110)
  })

  it('is more where turns are long anyway, or a loop that is busy with requests would let nobody in', () => {
    expect(begunIn100Turns(9)).toBeGreaterThan(250)
  })

  it('is bounded however long they are', () => {
    expect(begunIn100Turns(1000)).toBeLessThan(450)
  })
})

describe('how many handshakes wait for their clients', () => {
  const unanswered: Begun[] = []
  let pace = new Pace()
  const crowd = (count: number) => {
    for (let i = 0; i < count; i++) pace.begin((one) => unanswered.push(one))
  }

  beforeEach(() => {
    fakeLoop()
    unanswered.length = 0
    pace = new Pace()
  })
  afterEach(realLoop)

  it('is no more than whose answers may come together', () => {
    crowd(1000)
    jest.advanceTimersByTime(90)
    expect(unanswered.length).toBeGreaterThan(8)
    expect(unanswered.length).toBeLessThan(20)
  })

  it('lets one begin for each that has answered, or failed, and one more where that took no long turn', () => {
    crowd(1000)
    jest.advanceTimersByTime(50)
    const before = unanswered.length
    for (const one of unanswered.slice(0, 3)) pace.over(one)
    jest.advanceTimersByTime(10)
    expect(unanswered).toHaveLength(before + 4)
  })

  it('grows with a crowd that never answers, as clients behind it would wait for strangers', () => {
    crowd(2000)
    let honest = 0
    pace.begin(() => honest++)
    jest.advanceTimersByTime(2500)
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
    jest.advanceTimersByTime(1500)
    for (const one of unanswered.splice(0)) pace.over(one)
    for (let i = 0; i < 1100; i++) pace.begin((one) => pace.over(one))
    jest.advanceTimersByTime(1200)
    crowd(1000)
    jest.advanceTimersByTime(90)
    expect(unanswered.length).toBeLessThan(60)
  })

  /** Clients that all answer together, every 50 ms. */
  function answeredTogether(times: number, msEach: number): number {
    for (let i = 0; i < times; i++) {
      jest.advanceTimersByTime(49)
      for (const one of unanswered.splice(0)) {
        pace.over(one)
        computed += msEach * 1000
      }
      jest.advanceTimersByTime(1)
    }
    jest.advanceTimersByTime(49)
    return unanswered.length
  }

  it('grows while clients that are far away answer in turns that are short', () => {
    crowd(5000)
    expect(answeredTogether(10, 0)).toBeGreaterThan(20)
  })

  it('does not where their answers come together and take long', () => {
    crowd(5000)
    for (let i = 0; i < 10; i++) expect(answeredTogether(1, 1)).toBeLessThan(15)
  })

  it('is not held against those who are silent that the loop is busy with requests', () => {
    crowd(5000)
    for (let turn = 0; turn < 1000; turn++) {
      computed += 15_000
      jest.advanceTimersByTime(1)
    }
    // As many as the loop can begin, so that whoever comes behind them does not wait for them.
    expect(unanswered.length).toBeGreaterThan(2000)
  })

  it('grows while few answer in each turn, however long it is that the loop is busy with requests', () => {
    crowd(5000)
    for (let turn = 0; turn < 60; turn++) {
      computed += 15_000
      for (const one of unanswered.splice(0, 3)) pace.over(one)
      jest.advanceTimersByTime(1)
    }
    expect(unanswered.length).toBeGreaterThan(40)
  })

  it('is not held against those who answer what else the loop computed while nobody did', () => {
    crowd(1000)
    jest.advanceTimersByTime(60)
    const before = unanswered.length
    computed += 1_000_000
    pace.over(unanswered[0] as Begun)
    jest.advanceTimersByTime(5)
    expect(unanswered).toHaveLength(before + 2)
  })
})
