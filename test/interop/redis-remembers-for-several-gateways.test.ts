import { type AddressInfo, connect, createServer } from 'node:net'
import { beforeAll, expect, test } from '@jest/globals'
import { Redis } from 'ioredis'
import { GatewayError } from '../../src/errors.ts'
import { RedisStore, type RedisStoreOptions } from '../../src/store/redis.ts'
import { storeContract } from '../contract/store.contract.ts'
import { whenFileEnds } from '../support/cleanup.ts'
import { describeWith } from '../support/peers.ts'
import { authority } from '../support/pki.ts'
import { REDIS_PEERS, type RedisServer, startRedis } from '../support/redis.ts'
import { waitFor } from '../support/wait.ts'

describeWith(REDIS_PEERS, 'Redis as the store', () => {
  let shared: RedisServer
  beforeAll(async () => {
    shared = await startRedis()
  })

  storeContract('Redis', async () => open(shared))
  storeContract('Redis that may be away', async () => open(shared, { failOpen: true }))

  test('what one gateway remembers another knows, and other prefixes do not', async () => {
    const one = open(shared)
    const other = open(shared)
    const stranger = open(shared, { keyPrefix: 'stranger:' })
    await one.set('revoked:a', 'yes', 60_000)
    expect(await other.get('revoked:a')).toBe('yes')
    expect(await other.add('revoked:a', '', 60_000)).toBe(false)
    expect(await stranger.get('revoked:a')).toBeUndefined()
    expect(await Promise.all([one.increment('failed:a', 60_000), other.increment('failed:a', 60_000)])).toHaveLength(2)
    expect(await one.increment('failed:a', 60_000)).toBe(3)
  })

  test('fail: closed never answers without Redis, under load, and answers again when it is back', async () => {
    const redis = await startRedis()
    const store = open(redis)
    await store.set('revoked:a', 'yes', 60_000)
    const answers = load(async () => (await store.get('revoked:a')) ?? 'unknown')
    await waitFor('the first answer', () => answers.seen.has('yes'))
    await redis.stop()
    await waitFor('a refusal', () => answers.seen.has('GW_UNDECIDED'))
    await redis.start()
    // It came back empty, and says so: what that means is for whoever asks (see test/unit/tokens/revocations.test.ts).
    await waitFor('an answer', () => answers.seen.has('unknown'))
    await answers.stop()
    expect([...answers.seen].sort()).toEqual(['GW_UNDECIDED', 'unknown', 'yes'])
  })

  test('fail: open answers with what this gateway wrote or saw, and gives it back to a Redis that came back empty', async () => {
    const redis = await startRedis()
    const store = open(redis, { failOpen: true })
    const other = open(redis)
    await store.set('revoked:written', 'yes', 60_000)
    await other.set('revoked:seen', 'yes', 60_000)
    await other.set('revoked:unseen', 'yes', 60_000)
    expect(await store.get('revoked:seen')).toBe('yes')
    expect(await store.add('used:before', '', 60_000)).toBe(true)
    const answers = load(async () => `${await store.get('revoked:written')} ${await store.get('revoked:seen')}`)
    await redis.stop()
    await waitFor('the loss to be noticed', async () => (await store.get('revoked:unseen')) === undefined)
    expect(await store.add('used:before', '', 60_000)).toBe(false)
    expect(await store.add('used:while-away', '', 60_000)).toBe(true)
    expect(await store.add('used:while-away', '', 60_000)).toBe(false)
    expect(await store.increment('failed:a', 60_000)).toBe(1)
    await redis.start()
    await waitFor('the copy to be given back', async () =>
      other.get('used:while-away').then(
        (value) => value === '',
        () => false,
      ),
    )
    expect(await other.get('revoked:written')).toBe('yes')
    await answers.stop()
    expect([...answers.seen]).toEqual(['yes yes'])
  })

  test('one that hangs is away, as one that ended is: nothing waits for it any more, until it answers again', async () => {
    const redis = await startRedis()
    const states: string[] = []
    const store = open(redis, { timeout: 200, changed: (state) => void states.push(state) })
    await store.set('revoked:a', 'yes', 60_000)
    redis.hang()
    const answers = load(async () => (await store.get('revoked:a')) ?? 'unknown')
    await waitFor('the loss to be noticed', () => states.includes('away'))
    await expect(store.get('revoked:a')).rejects.toThrow('not connected')
    redis.wake()
    await waitFor('an answer', () => answers.seen.has('yes'))
    await answers.stop()
    expect([...answers.seen].sort()).toEqual(['GW_UNDECIDED', 'yes'])
    expect(states).toEqual(['up', 'away', 'up'])
  })

  test('one that may drop what it keeps, when its memory is full, is told of', async () => {
    const redis = await startRedis()
    const operator = operatorOf(redis)
    const told: string[] = []
    const connect = async () => {
      const store = open(redis, { evicts: (policy) => void told.push(policy) })
      // Commands are answered in order, so the store's question about the policy has been answered by then.
      await store.get('revoked:a')
    }
    await operator.config('SET', 'maxmemory-policy', 'volatile-lru')
    await connect()
    expect(told).toEqual([])
    await operator.config('SET', 'maxmemory', '100mb')
    await connect()
    expect(told).toEqual(['volatile-lru'])
    await operator.config('SET', 'maxmemory-policy', 'noeviction')
    await connect()
    expect(told).toEqual(['volatile-lru'])
  })

  test('fail: open holds to what a full Redis refused, and gives it to it once it has room', async () => {
    const redis = await startRedis()
    const operator = operatorOf(redis)
    const store = open(redis, { failOpen: true })
    const other = open(redis)
    expect(await store.get('revoked:a')).toBeUndefined()
    await operator.config('SET', 'maxmemory', '1')
    await store.set('revoked:a', 'yes', 60_000)
    expect([await store.get('revoked:a'), await other.get('revoked:a')]).toEqual(['yes', undefined])
    await operator.config('SET', 'maxmemory', '0')
    await store.set('revoked:b', 'yes', 60_000)
    expect(await waitFor('the copy to be given back', () => other.get('revoked:a'))).toBe('yes')
  })

  test('fail: open asks a full Redis again and again for nothing', async () => {
    const redis = await startRedis()
    const operator = operatorOf(redis)
    const states: string[] = []
    const store = open(redis, { failOpen: true, changed: (state) => void states.push(state) })
    await store.set('revoked:a', 'yes', 60_000)
    await operator.config('SET', 'maxmemory', '1')
    await operator.call('CLIENT', 'KILL', 'SKIPME', 'yes')
    await waitFor('the connection that follows', () => states.length === 3)
    expect(await store.get('revoked:a')).toBe('yes')
    expect(states).toEqual(['up', 'away', 'up'])
  })

  test('fail: open brings back nothing that was deleted while Redis was away', async () => {
    const redis = await startRedis()
    const states: string[] = []
    const store = open(redis, { failOpen: true, timeout: 200, changed: (state) => void states.push(state) })
    await store.set('registry-refresh:a', 'ada', 60_000)
    redis.hang()
    await store.get('registry-refresh:a')
    await waitFor('the loss to be noticed', () => states.includes('away'))
    await store.delete('registry-refresh:a')
    expect(await store.get('registry-refresh:a')).toBeUndefined()
    redis.wake()
    await waitFor('Redis to answer again', () => states.length === 3)
    expect(await store.get('registry-refresh:a')).toBeUndefined()
    expect(await open(redis).get('registry-refresh:a')).toBeUndefined()
  })

  test('one that has become a replica is left for the primary that took over under its name', async () => {
    const [before, after] = [await startRedis(), await startRedis()]
    let primary = before
    const name = createServer((socket) => {
      const { port } = new URL(primary.url)
      const onward = connect(Number(port), '127.0.0.1')
      for (const end of [socket, onward]) end.on('error', () => {})
      socket.pipe(onward).pipe(socket)
    })
    await new Promise<void>((resolve) => name.listen(0, '127.0.0.1', resolve))
    whenFileEnds(() => name.close())
    const store = open({ url: `redis://127.0.0.1:${(name.address() as AddressInfo).port}` })
    await store.set('revoked:a', 'yes', 60_000)
    primary = after
    await operatorOf(before).replicaof('127.0.0.1', new URL(after.url).port)
    await expect(store.increment('failed:a', 60_000)).rejects.toMatchObject({ code: 'GW_UNDECIDED' })
    const count = await waitFor('the new primary', () => store.increment('failed:a', 60_000).catch(() => undefined))
    expect(count).toBe(1)
  })

  test('over TLS it counts only with a certificate of the authority that is trusted', async () => {
    const inside = authority('inside')
    const redis = await startRedis(inside.server('localhost'))
    const store = open(redis, { ca: inside.certificate })
    await store.set('revoked:a', 'yes', 60_000)
    expect(await store.get('revoked:a')).toBe('yes')
    for (const ca of [authority('other').certificate, undefined]) {
      await expect(open(redis, { ca }).get('revoked:a')).rejects.toMatchObject({ code: 'GW_UNDECIDED' })
    }
  })

  test('the password of the URL shows in no message', async () => {
    const redis = await startRedis()
    const messages: string[] = []
    const url = redis.url.replace('redis://', 'redis://ada:s3cret-of-the-test@')
    const store = open({ ...redis, url }, { changed: (_state, reason) => void messages.push(reason) })
    await expect(store.get('a:b')).rejects.toMatchObject({ code: 'GW_UNDECIDED' })
    expect(messages.join()).not.toBe('')
    expect(messages.join()).not.toContain('s3cret')
  })
})

function open({ url }: Pick<RedisServer, 'url'>, options: Partial<RedisStoreOptions> = {}): RedisStore {
  const usual = { ca: undefined, keyPrefix: 'test:', timeout: 2000, failOpen: false, maxEntries: 1000 }
  const store = new RedisStore({ url, ...usual, changed: () => {}, evicts: () => {}, ...options })
  whenFileEnds(() => store.close())
  store.open()
  return store
}

function operatorOf({ url }: RedisServer): Redis {
  const operator = new Redis(url)
  whenFileEnds(() => operator.disconnect())
  return operator
}

/** Asks again and again, eight at a time, and collects what came: values, or the code of the refusal. */
function load(ask: () => Promise<string>) {
  const seen = new Set<string>()
  let going = true
  const worker = async () => {
    while (going) {
      seen.add(await ask().catch((error) => (error instanceof GatewayError ? error.code : String(error))))
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  }
  const workers = Array.from({ length: 8 }, worker)
  return {
    seen,
    async stop() {
      going = false
      await Promise.all(workers)
    },
  }
}
