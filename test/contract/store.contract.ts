/** What every store does, whatever it is made of. */
import { describe, expect, test } from '@jest/globals'
import type { Store } from '../../src/types.ts'
import { waitFor } from '../support/wait.ts'

const LONG = 600_000
const SHORT = 40

export function storeContract(name: string, create: () => Promise<Store>): void {
  let count = 0
  /** A key that no other test uses, since a store may be shared. */
  const fresh = () => `test:${name}:${++count}`

  describe(`${name} store`, () => {
    test('gives back what was set, and undefined for what never was', async () => {
      const store = await create()
      const key = fresh()
      expect(await store.get(key)).toBeUndefined()
      await store.set(key, 'one', LONG)
      expect(await store.get(key)).toBe('one')
      await store.set(key, 'two', LONG)
      expect(await store.get(key)).toBe('two')
    })

    test('forgets what was set when its time is over', async () => {
      const store = await create()
      const key = fresh()
      await store.set(key, 'short', SHORT)
      expect(await waitFor('the end of its time', async () => (await store.get(key)) === undefined)).toBe(true)
    })

    test('takes a time that is a fraction, or over before it is set', async () => {
      const store = await create()
      for (const time of [0.4, 0, 1.5]) await store.set(fresh(), 'short', time)
      expect(await store.add(fresh(), 'short', 0.4)).toBe(true)
      expect(await store.increment(fresh(), 0.4)).toBe(1)
    })

    test('forgets what was deleted', async () => {
      const store = await create()
      const key = fresh()
      await store.set(key, 'gone', LONG)
      await store.delete(key)
      await store.delete(key)
      expect(await store.get(key)).toBeUndefined()
    })

    test('lets only the first add a key, of however many at once', async () => {
      const store = await create()
      const key = fresh()
      const winners = await Promise.all(Array.from({ length: 20 }, (_, i) => store.add(key, String(i), LONG)))
      expect(winners.filter(Boolean)).toHaveLength(1)
      expect(await store.get(key)).toBe(String(winners.indexOf(true)))
    })

    test('lets a key be added again once its time is over, or it was deleted', async () => {
      const store = await create()
      const key = fresh()
      expect(await store.add(key, 'a', SHORT)).toBe(true)
      await waitFor('the end of its time', async () => store.add(key, 'b', LONG))
      await store.delete(key)
      expect(await store.add(key, 'c', LONG)).toBe(true)
    })

    test('counts every increment, of however many at once', async () => {
      const store = await create()
      const key = fresh()
      const counts = await Promise.all(Array.from({ length: 20 }, () => store.increment(key, LONG)))
      expect(counts.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
    })

    test('counts from the start once the time of the first increment is over', async () => {
      const store = await create()
      const key = fresh()
      expect(await store.increment(key, 300)).toBe(1)
      // Increments within the time do not prolong it: without that this would never end.
      expect(await waitFor('a count of one', async () => (await store.increment(key, 300)) === 1)).toBe(true)
    })

    test('keeps any value as it is', async () => {
      const store = await create()
      const key = fresh()
      const value = '{"a":"\\u0000\r\n é 🙂"}'
      await store.set(key, value, LONG)
      expect(await store.get(key)).toBe(value)
    })
  })
}
