import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { Arrivals } from '../../../src/listener/arrivals.ts'

/** Computes for so many milliseconds. */
function compute(milliseconds: number): void {
  const before = process.threadCpuUsage()
  for (;;) {
    const { user, system } = process.threadCpuUsage(before)
    if (user + system >= milliseconds * 1000) return
  }
}

test('nobody is taken in before the sockets of this turn have been looked at, and all are in their order', async () => {
  const arrivals = new Arrivals()
  const taken: number[] = []
  for (let i = 0; i < 5; i++) arrivals.add(() => taken.push(i))
  expect(taken).toEqual([])
  await nextTurn()
  expect(taken[0]).toBe(0)
  // A collection of garbage may make a turn long enough to leave the others for the next.
  while (taken.length < 5) await nextTurn()
  expect(taken).toEqual([0, 1, 2, 3, 4])
})

test('in a turn no more are taken in than a request can wait for', async () => {
  const arrivals = new Arrivals()
  let taken = 0
  for (let i = 0; i < 10; i++) {
    arrivals.add(() => {
      compute(1)
      taken += 1
    })
  }
  const most = { inTurn: 0 }
  for (let before = 0; taken < 10; before = taken) {
    await nextTurn()
    most.inTurn = Math.max(most.inTurn, taken - before)
  }
  expect(most.inTurn).toBeLessThan(6)
})

test('who comes meanwhile is taken in behind the others', async () => {
  const arrivals = new Arrivals()
  const taken: string[] = []
  arrivals.add(() => arrivals.add(() => taken.push('late')))
  arrivals.add(() => taken.push('first'))
  await nextTurn()
  await nextTurn()
  arrivals.add(() => taken.push('last'))
  await nextTurn()
  expect(taken).toEqual(['first', 'late', 'last'])
})
