import { randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { CLOUD, identityService, issueToken } from '../support/identity.ts'
import { describeWith } from '../support/peers.ts'
import { REDIS_PEERS, type RedisServer, startRedis } from '../support/redis.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { pause, waitFor } from '../support/wait.ts'

describeWith(REDIS_PEERS, 'gateways that share a Redis', () => {
  let scene: Scene
  beforeAll(async () => {
    scene = await makeScene()
  })

  const secret = randomBytes(48).toString('base64')
  const start = (redis: RedisServer, fail: 'closed' | 'open') =>
    scene.start({
      ...CLOUD,
      tokens: { secret },
      store: { redis_url: redis.url, fail, timeout: '2s' },
      services: [
        identityService(['/identity']),
        { name: 'api', url: scene.backend.url, rules: [['token']], routes: [{ name: 'api', paths: ['/api'] }] },
      ],
    })

  const status = async (gateway: Gateway, token: string) =>
    (await gateway.get('/api', { headers: { 'x-auth-token': token } })).status

  const revoke = async (gateway: Gateway, token: string) => {
    const headers = { 'x-auth-token': token, 'x-subject-token': token }
    const answer = await gateway.get('/identity/v3/auth/tokens', { method: 'DELETE', headers })
    expect(answer).toMatchObject({ status: 204 })
  }

  test('accept the tokens of each other, and refuse what any of them has revoked', async () => {
    const redis = await startRedis()
    const [one, other] = [await start(redis, 'closed'), await start(redis, 'closed')]
    const token = await issueToken(one, 'ada')
    expect([await status(one, token), await status(other, token)]).toEqual([200, 200])
    await revoke(one, token)
    expect([await status(other, token), await status(one, token)]).toEqual([401, 401])
  })

  describe('with fail: closed', () => {
    test('never let a revoked token pass, and nothing at all while Redis is away', async () => {
      const redis = await startRedis()
      const gateway = await start(redis, 'closed')
      const [good, revoked] = [await issueToken(gateway, 'ada'), await issueToken(gateway, 'ada')]
      expect([await status(gateway, good), await status(gateway, revoked)]).toEqual([200, 200])
      await revoke(gateway, revoked)
      const ofGood = load(() => status(gateway, good))
      const ofRevoked = load(() => status(gateway, revoked))
      await waitFor('both verdicts', () => ofGood.seen.has(200) && ofRevoked.seen.has(401))
      await redis.stop()
      await waitFor('503 for both', () => ofGood.seen.has(503) && ofRevoked.seen.has(503))
      await redis.start()
      // It came back empty: nobody can say any more what was revoked, so that old tokens count as revoked and new ones are good.
      await waitFor('an end of the old token', () => ofGood.seen.has(401))
      const fresh = await issueToken(gateway, 'ada')
      expect(await status(gateway, fresh)).toBe(200)
      await Promise.all([ofGood.stop(), ofRevoked.stop()])
      expect([...ofRevoked.seen].sort()).toEqual([401, 503])
      expect([...ofGood.seen].sort()).toEqual([200, 401, 503])
    })
  })

  describe('with fail: open', () => {
    test('go on with what they know: what was revoked here stays so, and good tokens pass all the time', async () => {
      const redis = await startRedis()
      const gateway = await start(redis, 'open')
      const [good, revoked, later] = await Promise.all(['ada', 'ada', 'ada'].map((name) => issueToken(gateway, name)))
      await revoke(gateway, revoked as string)
      const ofGood = load(() => status(gateway, good as string))
      const ofRevoked = load(() => status(gateway, revoked as string))
      await redis.stop()
      await gateway.logged({ msg: 'the store in Redis is away' })
      await revoke(gateway, later as string)
      const ofLater = load(() => status(gateway, later as string))
      const before = gateway.log.length
      await redis.start()
      await waitFor('Redis to answer again', () =>
        gateway.log.slice(before).some(({ msg }) => msg === 'the store in Redis answers'),
      )
      expect(await status(gateway, later as string)).toBe(401)
      // Another gateway learns of it from the Redis that came back empty.
      expect(await status(await start(redis, 'closed'), later as string)).toBe(401)
      await Promise.all([ofGood.stop(), ofRevoked.stop(), ofLater.stop()])
      expect([[...ofGood.seen], [...ofRevoked.seen], [...ofLater.seen]]).toEqual([[200], [401], [401]])
    })
  })
})

/** Asks again and again, four at a time, and collects what came. */
function load(ask: () => Promise<number>) {
  const seen = new Set<number>()
  let going = true
  const worker = async () => {
    while (going) {
      seen.add(await ask())
      await pause(10)
    }
  }
  const workers = Array.from({ length: 4 }, worker)
  return {
    seen,
    async stop() {
      going = false
      await Promise.all(workers)
    },
  }
}
