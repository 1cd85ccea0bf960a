import { expect, jest, test } from '@jest/globals'
import { Lockout } from '../../../src/auth/lockout.ts'
import { MemoryStore } from '../../../src/store/memory.ts'
import type { Store } from '../../../src/types.ts'

const options = { attempts: 2, window: 600_000, backoff: 1000, maxBackoff: 8000, key: Buffer.alloc(32) }

test('each further attempt doubles the wait, up to the longest', async () => {
  jest.useFakeTimers({ now: 1_000_000, doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] })
  try {
    const lockout = new Lockout(new MemoryStore(10), options)
    const waits: number[] = []
    await lockout.begin('ada')
    for (let i = 0; i < 6; i++) {
      expect(await lockout.begin('ada')).toBeUndefined()
      const wait = (await lockout.begin('ada')) ?? 0
      waits.push(wait)
      jest.advanceTimersByTime(wait * 1000)
    }
    expect(waits).toEqual([1, 2, 4, 8, 8, 8])
  } finally {
    jest.useRealTimers()
  }
})

/** A store that others share answers later. */
function shared(store: Store): Store {
  return {
    get: async (...args) => store.get(...args),
    set: async (...args) => store.set(...args),
    add: async (...args) => store.add(...args),
    delete: async (...args) => store.delete(...args),
    increment: async (...args) => store.increment(...args),
  }
}

test.each([
  ['one process', new MemoryStore(10)],
  ['several gateways', shared(new MemoryStore(10))],
])('of many attempts at the same moment at %s one is allowed once the free ones are used up', async (_, store) => {
  const lockout = new Lockout(store, { ...options, attempts: 1 })
  const outcomes = await Promise.all(Array.from({ length: 20 }, () => lockout.begin('ada')))
  expect(outcomes.filter((wait) => wait === undefined)).toHaveLength(1)
})

test('whoever got it right may try again at once, as if he had never failed', async () => {
  const lockout = new Lockout(new MemoryStore(10), options)
  for (let i = 0; i < 4; i++) await lockout.begin('ada')
  expect(await lockout.begin('ada')).toBeGreaterThan(0)
  await lockout.succeeded('ada')
  expect([await lockout.begin('ada'), await lockout.begin('ada')]).toEqual([undefined, undefined])
})

test('0 attempts turns it off', async () => {
  const lockout = new Lockout(new MemoryStore(10), { ...options, attempts: 0 })
  for (let i = 0; i < 20; i++) expect(await lockout.begin('ada')).toBeUndefined()
})

test('strangers without end need few keys', () => {
  const lockout = new Lockout(new MemoryStore(10), options)
  const keys = new Set(Array.from({ length: 20_000 }, (_, i) => lockout.stranger(`stranger ${i}`)))
  expect(keys.size).toBeLessThanOrEqual(4096)
  // No user's id looks like that: whoever guesses at names that nobody has locks out nobody.
  for (const key of keys) expect(key).toMatch(/^\?\d+$/)
  // In another worker, or after a reload.
  expect(lockout.stranger('x')).toBe(new Lockout(new MemoryStore(10), options).stranger('x'))
})
