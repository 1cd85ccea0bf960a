import { describe, expect, test } from '@jest/globals'
import { MemoryStore } from '../../../src/store/memory.ts'
import { storeContract } from '../../contract/store.contract.ts'

storeContract('memory', async () => new MemoryStore(1000))

describe('a memory store that is full', () => {
  test('refuses a new key instead of forgetting one before its time', () => {
    const store = new MemoryStore(2)
    store.set('revoked:a', '', 1000)
    store.set('revoked:b', '', 1000)
    expect(() => store.set('revoked:c', '', 1000)).toThrow(/raise store\.max_entries/)
    expect(store.get('revoked:a')).toBe('')
    store.set('revoked:b', 'again', 1000)
    expect(store.get('revoked:b')).toBe('again')
  })

  test('has room again for what has expired, one after the other', () => {
    let now = 0
    const store = new MemoryStore(2, () => now)
    store.set('revoked:a', '', 10)
    store.set('revoked:b', '', 20)
    now = 10
    store.set('revoked:c', 'c', 1000)
    expect([store.get('revoked:a'), store.get('revoked:b'), store.get('revoked:c')]).toEqual([undefined, '', 'c'])
    now = 20
    expect(store.add('revoked:d', '', 1000)).toBe(true)
  })

  test('takes more with a larger bound, and with a smaller one keeps what it has', () => {
    const store = new MemoryStore(1)
    store.set('revoked:a', '', 1000)
    store.resize(2)
    store.set('revoked:b', '', 1000)
    store.resize(1)
    expect(() => store.set('revoked:c', '', 1000)).toThrow(/raise store\.max_entries/)
    expect([store.get('revoked:a'), store.get('revoked:b')]).toEqual(['', ''])
  })

  test('still takes other kinds: failed attempts of strangers do not stop a revocation', () => {
    const store = new MemoryStore(1)
    store.increment('failed:mallory', 1000)
    expect(() => store.increment('failed:eve', 1000)).toThrow(/kind "failed:"/)
    expect(store.add('revoked:a', '', 1000)).toBe(true)
  })
})

test('entries tells what is left, and of each the time that is left', () => {
  let now = 0
  const store = new MemoryStore(10, () => now)
  store.set('a:1', 'x', 10)
  store.set('b:1', 'y', 30)
  now = 10
  expect([...store.entries()]).toEqual([['b:1', 'y', 20]])
})
