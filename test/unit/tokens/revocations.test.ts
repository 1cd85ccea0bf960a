import { describe, expect, test } from '@jest/globals'
import { MemoryStore } from '../../../src/store/memory.ts'
import { Revocations } from '../../../src/tokens/revocations.ts'
import type { Store } from '../../../src/types.ts'

/** The same, but everything has to be waited for. */
function slow(store: Store): Store {
  return {
    get: async (key) => store.get(key),
    set: async (key, value, ttl) => store.set(key, value, ttl),
    add: async (key, value, ttl) => store.add(key, value, ttl),
    delete: async (key) => store.delete(key),
    increment: async (key, ttl) => store.increment(key, ttl),
  }
}

describe.each([
  ['a store that answers at once', (store: Store) => store],
  ['a store to be waited for', slow],
])('revocations in %s', (_name, wrap) => {
  const at = (now: { value: number }, store: Store = new MemoryStore(10, () => now.value)) =>
    new Revocations(wrap(store), () => now.value)

  test('a token is revoked from then on, others are not', async () => {
    const now = { value: 1000 }
    const revocations = at(now)
    await revocations.begin()
    expect(await revocations.isRevoked('a', 1000)).toBe(false)
    await revocations.revoke('a', 5000)
    expect(await revocations.isRevoked('a', 1000)).toBe(true)
    expect(await revocations.isRevoked('b', 1000)).toBe(false)
  })

  test('an epoch that is no time, as in a store that somebody else writes into, revokes everything', async () => {
    const store = new MemoryStore(10)
    await store.set('epoch:tokens', 'garbage', 60_000)
    expect(await at({ value: 1000 }, store).isRevoked('a', 1000)).toBe(true)
  })

  test('a revocation is kept for as long as the token would live, and a minute more', async () => {
    const now = { value: 1000 }
    const store = new MemoryStore(10, () => now.value)
    const revocations = at(now, store)
    await revocations.begin()
    await revocations.revoke('a', 5_000_000)
    now.value = 5_000_000
    expect(await revocations.isRevoked('a', 1000)).toBe(true)
    now.value += 60_001
    expect(await revocations.isRevoked('a', 1000)).toBe(false)
  })

  test('a store that has forgotten vouches for nothing that was issued before', async () => {
    const now = { value: 1000 }
    await at(now).begin()
    now.value = 2000
    const afterLoss = at(now)
    expect(await afterLoss.isRevoked('a', 1500)).toBe(true)
    expect(await afterLoss.isRevoked('a', 2000)).toBe(false)
  })

  test('gateways that share a store share its epoch', async () => {
    const now = { value: 1000 }
    const store = new MemoryStore(10, () => now.value)
    await at(now, store).begin()
    now.value = 2000
    const other = at(now, store)
    await other.begin()
    expect(await other.isRevoked('a', 1500)).toBe(false)
  })
})
