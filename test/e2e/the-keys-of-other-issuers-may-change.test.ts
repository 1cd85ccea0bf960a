import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { exportJWK, SignJWT } from 'jose'
import type { Gateway } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { pause, waitFor, within } from '../support/wait.ts'

const ISSUER = 'https://login.example.com'
const COOLDOWN = 200
const MAX_AGE = 1200

/** A real server of keys; `answer` says how it does. */
let provider: Server
let overTls: Server
let answer: RequestListener
let fetched = 0
let uri: string
let scene: Scene
let gateway: Gateway

interface Key {
  readonly kid: string
  readonly privateKey: KeyObject
  readonly jwk: object
}

async function makeKey(kid: string): Promise<Key> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' } }
}

const publish = (...keys: readonly Key[]): RequestListener => {
  return (_request, response) => void response.end(JSON.stringify({ keys: keys.map(({ jwk }) => jwk) }))
}

const UPGRADED = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
const UPGRADE =
  'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'

beforeAll(async () => {
  const listener: RequestListener = (request, response) => {
    fetched += 1
    answer(request, response)
  }
  scene = await makeScene()
  const front = scene.inside.server('localhost')
  provider = createServer(listener)
  overTls = createTlsServer({ cert: front.chain, key: front.key }, listener)
  const [port, tlsPort] = await Promise.all(
    [provider, overTls].map(async (server) => {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      return (server.address() as AddressInfo).port
    }),
  )
  uri = `http://127.0.0.1:${port}/jwks.json`
  const withTls = { audience: ['api'], jwks_uri: `https://localhost:${tlsPort}/jwks.json`, jwks_cooldown: '200ms' }
  gateway = await scene.start({
    auth: {
      jwt_issuers: [
        {
          ...{
            issuer: ISSUER,
            audience: ['api'],
            jwks_uri: uri,
            jwks_timeout: '3s',
          },
          ...{ jwks_cooldown: `${COOLDOWN}ms`, jwks_max_age: `${MAX_AGE}ms` },
        },
        { ...withTls, issuer: 'https://inside', jwks_trusted_certificate: scene.inside.certificate },
        { ...withTls, issuer: 'https://of-others', jwks_trusted_certificate: scene.servers.certificate },
      ],
    },
    consumers: [{ username: 'ada' }],
    services: [{ name: 'api', url: scene.backend.url, rules: [['token']], routes: [{ name: 'all', paths: ['/'] }] }],
  })
})
afterAll(() => {
  for (const server of [provider, overTls]) {
    server.closeAllConnections()
    server.close()
  }
})
beforeEach(() => {
  scene.backend.reset()
})

const tokenOf = ({ kid, privateKey }: Key, iss = ISSUER) =>
  new SignJWT({ iss, aud: 'api', sub: 'ada' })
    .setProtectedHeader({ alg: 'ES256', kid })
    .setExpirationTime('5m')
    .sign(privateKey)
/** To be called later: expects no more fetches since than the cooldown allows. One that had begun before may arrive after. */
function fetchesFromNowOn(): () => void {
  const [before, begun] = [fetched, Date.now()]
  return () => expect(fetched - before).toBeLessThanOrEqual((Date.now() - begun) / COOLDOWN + 2)
}
const ask = async (token: string) => (await gateway.get('/', { headers: { authorization: `Bearer ${token}` } })).status

test('a key that is new is fetched, and one that is withdrawn counts no more, also for tokens that were seen', async () => {
  const [first, second] = [await makeKey('first'), await makeKey('second')]
  answer = publish(first)
  const [seen, ofSecond] = [await tokenOf(first), await tokenOf(second)]
  expect([await ask(seen), await ask(seen), fetched]).toEqual([200, 200, 1])
  answer = publish(first, second)
  await waitFor('the second key', async () => (await ask(ofSecond)) === 200)
  expect(await ask(seen)).toBe(200)

  answer = publish(second)
  await waitFor('the end of the first key', async () => (await ask(seen)) === 401)
  expect([await ask(await tokenOf(first)), await ask(ofSecond)]).toEqual([401, 200])
})

test('a WebSocket ends with the key of the token that let it in', async () => {
  const [first, second] = [await makeKey('of-streams'), await makeKey('next')]
  answer = publish(first)
  const token = await tokenOf(first)
  await waitFor('the key', async () => (await ask(token)) === 200)
  scene.backend.upgrade = (_request, socket) => socket.on('error', () => {}).write(UPGRADED)
  const client = await gateway.open()
  client.write(`${UPGRADE}Authorization: Bearer ${token}\r\n\r\n`)
  await waitFor('the upgrade', () => client.received.includes('101'))
  answer = publish(second)
  await within(30, 'the end of the connection', client.closed)
  await gateway.logged({ msg: 'connection ended', reason: 'the token of ada is of no use any more' })
})

test('however many names of keys clients make up, the issuer is asked only so often', async () => {
  const [known, unknown] = [await makeKey('known'), await makeKey('unknown')]
  answer = publish(known)
  await waitFor('the key', async () => (await ask(await tokenOf(known))) === 200)
  const expectFewFetches = fetchesFromNowOn()
  const tokens = await Promise.all(Array.from({ length: 200 }, (_, i) => tokenOf({ ...unknown, kid: `made-up-${i}` })))
  const statuses = new Set<number>()
  for (let i = 0; i < tokens.length; i += 20) {
    for (const status of await Promise.all(tokens.slice(i, i + 20).map(ask))) statuses.add(status)
  }
  expect(statuses).toEqual(new Set([401]))
  expectFewFetches()
})

test('keys over TLS count only where an authority of the configuration has issued the certificate', async () => {
  const key = await makeKey('inside')
  answer = publish(key)
  expect(await ask(await tokenOf(key, 'https://inside'))).toBe(200)
  expect(await ask(await tokenOf(key, 'https://of-others'))).toBe(503)
})

describe('a reload while the issuer is away', () => {
  const config = (jwks: object) => ({
    auth: {
      jwt_issuers: [
        { ...{ issuer: ISSUER, audience: ['api'], jwks_uri: uri, jwks_max_age: '10m', jwks_cooldown: '10s' }, ...jwks },
      ],
    },
    consumers: [{ username: 'ada' }],
    services: [{ name: 'api', url: scene.backend.url, rules: [['token']], routes: [{ name: 'all', paths: ['/'] }] }],
  })

  test('forgets no key, nor that the issuer failed; other settings forget them', async () => {
    const [key, unknown] = [await makeKey('kept'), await makeKey('unknown')]
    const [seen, unseen, none] = [await tokenOf(key), await tokenOf(key), await tokenOf(unknown)]
    answer = publish(key)
    const reloaded = await scene.start(config({}))
    const askIt = async (token: string) =>
      (await reloaded.get('/', { headers: { authorization: `Bearer ${token}` } })).status
    expect(await askIt(seen)).toBe(200)
    scene.backend.upgrade = (_request, socket) => socket.on('error', () => {}).write(UPGRADED)
    const stream = await reloaded.open()
    stream.write(`${UPGRADE}Authorization: Bearer ${seen}\r\n\r\n`)
    await waitFor('the upgrade', () => stream.received.includes('101'))

    answer = (request) => void request.socket.destroy()
    const before = fetched
    for (const line of [await reloaded.reload(), await reloaded.reload()]) expect(line.msg).toBe('reloaded')
    expect([await askIt(seen), await askIt(unseen), await askIt(none), fetched - before]).toEqual([200, 200, 401, 0])
    // The watch over streams asks each half second: without the keys it is in doubt from now on.
    await pause(700)
    expect([stream.isClosed, fetched - before]).toEqual([false, 0])

    expect((await reloaded.reload(scene.config(config({ jwks_max_age: '9m' })))).msg).toBe('reloaded')
    expect(await askIt(seen)).toBe(503)
    const asked = fetched
    expect((await reloaded.reload()).msg).toBe('reloaded')
    expect([await askIt(seen), asked - before, fetched - asked]).toEqual([503, 1, 0])
    stream.destroy()
  })
})

describe('an issuer that gives no keys', () => {
  test.each<[string, RequestListener]>([
    ['answers with an error', (_request, response) => void response.writeHead(500).end('{}')],
    ['answers with something else', (_request, response) => void response.end('{"keys":{"a":1}}')],
    ['sends without end', (_request, response) => sendForEver(response)],
    ['ends the connection', (request) => void request.socket.destroy()],
    ['is silent', () => {}],
  ])('%s: 503, never 401, asked only so often, and its tokens are good again when it is back', async (_, broken) => {
    const key = await makeKey('lasting')
    const token = await tokenOf(key)
    answer = publish(key)
    await waitFor('the key', async () => (await ask(token)) === 200)
    answer = broken
    const statuses = new Set<number>()
    await waitFor('the end of what is known', async () => statuses.add(await ask(token)).has(503))
    const expectFewFetches = fetchesFromNowOn()
    for (const status of await Promise.all(Array.from({ length: 20 }, () => ask(token)))) statuses.add(status)
    expect(statuses).toEqual(new Set([200, 503]))
    expectFewFetches()
    answer = publish(key)
    await waitFor('the key again', async () => (await ask(token)) === 200)
  })
})

function sendForEver(response: Parameters<RequestListener>[1]): void {
  const more = () => {
    while (!response.destroyed && response.write(' '.repeat(65_536))) {}
  }
  response.on('drain', more).on('error', () => {})
  more()
}
