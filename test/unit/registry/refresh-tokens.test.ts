import { expect, test } from '@jest/globals'
import { createRefreshTokens } from '../../../src/registry/refresh-tokens.ts'
import { MemoryStore } from '../../../src/store/memory.ts'

const grant = { user: 'ada', service: 'registry.test', methods: ['password'], issuedAt: 1_000_000 }
const tokens = (store: MemoryStore, options: { realm?: string; notBefore?: number } = {}) =>
  createRefreshTokens({ store, realm: 'acme', lifetime: 60_000, mostOfUser: 3, notBefore: 0, ...options })

async function issued(store: MemoryStore, user = 'ada'): Promise<string> {
  const token = await tokens(store).issue({ ...grant, user })
  if (token === undefined) throw new Error(`no refresh token for ${user}`)
  return token
}

test('a token stands for its grant until it is revoked', async () => {
  const store = new MemoryStore(10)
  const token = await issued(store)
  expect(await tokens(store).find(token)).toEqual(grant)
  await tokens(store).revoke(token)
  expect(await tokens(store).find(token)).toBeUndefined()
})

test('it is good in its realm only, and not beyond not_before', async () => {
  const store = new MemoryStore(10)
  const token = await issued(store)
  expect(await tokens(store, { realm: 'other' }).find(token)).toBeUndefined()
  expect(await tokens(store, { notBefore: 1_000_001 }).find(token)).toBeUndefined()
  expect(await tokens(store, { notBefore: 1_000_000 }).find(token)).toEqual(grant)
})

test('it ends', async () => {
  let now = 0
  const store = new MemoryStore(10, () => now)
  const token = await issued(store)
  now = 60_001
  expect(await tokens(store).find(token)).toBeUndefined()
})

test('whoever reads the store cannot log in', async () => {
  const store = new MemoryStore(10)
  const token = await issued(store)
  expect(JSON.stringify([...store.entries()])).not.toContain(token)
})

test('nobody takes the room of others: a user gets so many, until the first could have ended', async () => {
  let now = 0
  const store = new MemoryStore(4, () => now)
  const first = await issued(store)
  for (let i = 0; i < 2; i++) await issued(store)
  for (let i = 0; i < 20; i++) expect(await tokens(store).issue(grant)).toBeUndefined()
  expect(await tokens(store).find(first)).toEqual(grant)
  expect(await tokens(store).find(await issued(store, 'bob'))).toMatchObject({ user: 'bob' })
  now = 60_001
  await issued(store)
})
