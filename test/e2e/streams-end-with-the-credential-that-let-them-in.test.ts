import { beforeAll, beforeEach, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { identityService, issueToken } from '../support/identity.ts'
import type { RawConnection } from '../support/raw.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { pause, waitFor, within } from '../support/wait.ts'

let scene: Scene
beforeAll(async () => {
  scene = await makeScene()
})

const UPGRADED = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
const UPGRADE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'

beforeEach(() => {
  scene.backend.reset()
  scene.backend.upgrade = (_request, socket) => socket.on('error', () => {}).write(`${UPGRADED}hello`)
  scene.backend.respond = (request, response) =>
    request.url === '/short' ? response.end('short') : response.write('hello')
})

/** Each user has one of each credential, and loses one of them, or himself. */
const USERS = ['password', 'key', 'program', 'front', 'groups', 'gone', 'steady'] as const
type Name = (typeof USERS)[number]

function config(changed: boolean, more: object = {}) {
  const lost = (name: Name, what: Name, secret: string) => (changed && name === what ? `another ${secret}` : secret)
  const present = USERS.filter((name) => !changed || (name !== 'gone' && name !== 'front'))
  return {
    consumers: present.map((name) => ({
      ...{ username: name, groups: changed && name === 'groups' ? ['staff'] : [] },
      basicauth_credentials: [{ username: name, password: lost(name, 'password', `password of ${name}`) }],
      keyauth_credentials: [{ key: lost(name, 'key', `key of ${name}`) }],
      application_credentials: [{ id: `robot of ${name}`, secret: lost(name, 'program', `secret of ${name}`) }],
    })),
    auth: {
      methods: ['certificate', 'password', 'api-key', 'application_credential', 'token', 'external'],
      external: { trusted_ips: ['127.0.0.1'] },
    },
    tokens: { secret: 'a secret of the tests, which is long enough for them', ...more },
    services: [
      identityService(['/identity']),
      {
        ...{ name: 'api', url: scene.backend.url, routes: [{ name: 'all', paths: ['/'] }] },
        rules: [['password'], ['api-key'], ['application_credential'], ['token'], ['external']],
      },
    ],
  }
}

const basic = (name: string, secret: string) =>
  `Authorization: Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}\r\n`

/** What lets each of them in, and why that ends. */
const ENDINGS: Readonly<Record<Exclude<Name, 'steady'>, readonly [string, string]>> = {
  password: [basic('password', 'password of password'), 'the password of password is of no use any more'],
  key: ['apikey: key of key\r\n', 'the api-key of key is of no use any more'],
  program: [
    basic('robot of program', 'secret of program'),
    'the application_credential of program is of no use any more',
  ],
  front: ['Remote-User: front\r\n', 'the external of front is of no use any more'],
  groups: ['apikey: key of groups\r\n', 'the groups of groups are others now'],
  gone: [basic('gone', 'password of gone'), 'the password of gone is of no use any more'],
}
const STEADY = basic('steady', 'password of steady')
const KINDS = { 'a WebSocket': UPGRADE, 'an answer that streams': '' }

async function begin(gateway: Gateway, headers: string): Promise<RawConnection> {
  const client = await gateway.open()
  client.write(`GET / HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`)
  await waitFor('the beginning', () => client.received.includes('hello'))
  return client
}

const beginEach = (gateway: Gateway, headers: string) =>
  Promise.all(Object.values(KINDS).map((lines) => begin(gateway, headers + lines)))

test('WebSockets and answers that stream end with the credential or the user, and those of others go on', async () => {
  const gateway = await scene.start(config(false))
  const [idle, reused] = [await gateway.open(), await gateway.open()]
  for (const client of [idle, reused]) {
    client.write(`GET /short HTTP/1.1\r\nHost: localhost\r\n${ENDINGS.key[0]}\r\n`)
    await client.answers(1)
  }
  reused.write(`GET / HTTP/1.1\r\nHost: localhost\r\n${STEADY}\r\n`)
  await waitFor('the beginning', () => reused.received.includes('hello'))
  const lasting = [...(await beginEach(gateway, STEADY)), idle, reused]
  const ending = (await Promise.all(Object.values(ENDINGS).map(([headers]) => beginEach(gateway, headers)))).flat()

  await gateway.reload(scene.config(config(false)))
  await pause(1200)
  expect(ending.filter(({ isClosed }) => isClosed)).toEqual([])

  await gateway.reload(scene.config(config(true)))
  await within(15, 'the end of the connections', Promise.all(ending.map(({ closed }) => closed)))
  await expectReasons(
    gateway,
    Object.values(ENDINGS).flatMap(([, reason]) => [reason, reason]),
  )
  // What carries nothing by now is left alone, and so is what carries the request of somebody else.
  expect(lasting.filter(({ isClosed }) => isClosed)).toEqual([])
  idle.write(`GET /short HTTP/1.1\r\nHost: localhost\r\n${ENDINGS.key[0]}\r\n`)
  await waitFor('the refusal', () => idle.received.includes('HTTP/1.1 401'))
  for (const client of lasting) client.destroy()
})

test('they end when their token is revoked, and when it expires', async () => {
  const gateway = await scene.start(config(false, { expiration: '8s' }))
  const token = () => issueToken(gateway, 'steady', 'unscoped')
  const [lasting, ending] = [await token(), await token()]
  const ofLasting = await beginEach(gateway, `X-Auth-Token: ${lasting}\r\n`)
  const ofEnding = await beginEach(gateway, `X-Auth-Token: ${ending}\r\n`)
  const headers = { 'x-auth-token': ending, 'x-subject-token': ending }
  expect(await gateway.get('/identity/v3/auth/tokens', { method: 'DELETE', headers })).toMatchObject({ status: 204 })
  await within(5, 'the end of the connections', Promise.all(ofEnding.map(({ closed }) => closed)))
  await within(30, 'the end of the others', Promise.all(ofLasting.map(({ closed }) => closed)))
  const [revoked, expired] = ['the token of steady is of no use any more', 'what let steady in has expired']
  await expectReasons(gateway, [revoked, revoked, expired, expired])
})

async function expectReasons(gateway: Gateway, expected: readonly string[]): Promise<void> {
  const reasons = () => gateway.log.flatMap(({ msg, reason }) => (msg === 'connection ended' ? [reason] : []))
  await waitFor('the lines in the log', () => reasons().length >= expected.length)
  expect(reasons().sort()).toEqual([...expected].sort())
}
