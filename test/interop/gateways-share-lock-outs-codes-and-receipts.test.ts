import { beforeAll, expect, test } from '@jest/globals'
import { json } from '../support/client.ts'
import type { Gateway } from '../support/gateway.ts'
import { describeWith } from '../support/peers.ts'
import { REDIS_PEERS, type RedisServer, startRedis } from '../support/redis.ts'
import { makeScene } from '../support/scene.ts'
import { totpCode } from '../support/totp.ts'
import { waitFor } from '../support/wait.ts'

const SECRET = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'

describeWith(REDIS_PEERS, 'two gateways with one Redis', () => {
  let redis: RedisServer
  let one: Gateway
  let other: Gateway

  beforeAll(async () => {
    redis = await startRedis()
    const scene = await makeScene()
    const config = {
      store: { redis_url: redis.url },
      auth: {
        receipt_secret: 'a secret that both gateways were given',
        lockout: { backoff: '60s' },
        password: { remember: 0 },
      },
      consumers: ['ada', 'bob', 'carl'].map((username) => ({
        username,
        basicauth_credentials: [{ username, password: 'right' }],
        totp_credentials: [{ secret: SECRET }],
      })),
      services: [
        {
          name: 'api',
          url: scene.backend.url,
          routes: [
            { name: 'one', paths: ['/one'], rules: [['password']] },
            { name: 'two', paths: ['/two'], rules: [['password', 'totp']] },
          ],
        },
      ],
    }
    ;[one, other] = await Promise.all([scene.start(config), scene.start(config)])
  })

  const ask = (gateway: Gateway, path: string, name: string, password: string, headers: Record<string, string> = {}) =>
    gateway.get(path, {
      headers: { authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`, ...headers },
    })

  test('who is locked out at one is locked out at the other', async () => {
    for (let i = 0; i < 5; i++) await ask(i % 2 === 0 ? one : other, '/one', 'ada', 'wrong')
    const answers = [await ask(one, '/one', 'ada', 'right'), await ask(other, '/one', 'ada', 'right')]
    expect(answers.map(({ status, headers }) => [status, Number(headers['retry-after']) > 0])).toEqual([
      [401, true],
      [401, true],
    ])
    expect((await ask(other, '/one', 'bob', 'right')).status).toBe(200)
  })

  test('a code that was used at one is used at the other', async () => {
    await waitFor('the next code', () => Date.now() % 30_000 < 24_000, 10)
    const code = { 'x-otp': totpCode(SECRET) }
    expect((await ask(one, '/two', 'bob', 'right', code)).status).toBe(200)
    expect((await ask(other, '/two', 'bob', 'right', code)).status).toBe(401)
  })

  test('a receipt of one is good at the other', async () => {
    await waitFor('the next code', () => Date.now() % 30_000 < 24_000, 10)
    const receipt = String((await ask(one, '/two', 'carl', 'right')).headers['openstack-auth-receipt'])
    const headers = { 'openstack-auth-receipt': receipt, 'x-otp': totpCode(SECRET) }
    expect((await other.get('/two', { headers })).status).toBe(200)
  })

  test('without Redis nobody can tell: 503, for right and wrong passwords alike', async () => {
    await redis.stop()
    const answers = [await ask(one, '/one', 'bob', 'right'), await ask(one, '/one', 'bob', 'wrong')]
    expect(answers.map((answer) => [answer.status, json(answer).code])).toEqual([
      [503, 'GW_UNDECIDED'],
      [503, 'GW_UNDECIDED'],
    ])
    await redis.start()
    await waitFor('an answer', async () => (await ask(one, '/one', 'bob', 'right')).status === 200)
  })
})
