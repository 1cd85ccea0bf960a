import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from '@jest/globals'
import { Pace } from '../../../src/listener/pace.ts'

/** A pace and what has begun at it. */
function paced(count: number) {
  const pace = new Pace()
  const begun: number[] = []
  for (let i = 0; i < count; i++) pace.begin(() => begun.push(i))
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
