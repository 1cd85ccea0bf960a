import { beforeAll, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import type { RawConnection } from '../support/raw.ts'
import { type RawBackend, startRawBackend } from '../support/raw-backend.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { pause, waitFor } from '../support/wait.ts'

let scene: Scene
let upstream: RawBackend
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  upstream = await startRawBackend(scene.inside.server('localhost'))
  const signer = scene.inside.client('signer')
  gateway = await scene.start({
    listeners: [{ listen: '127.0.0.1:0', send_timeout: '1s', keepalive_requests: 10_000, servers: [scene.server()] }],
    certificates: [{ name: 'tokens', cert: signer.chain, key: signer.key }],
    registry_realms: [
      {
        ...{ name: 'acme', services: ['registry.test'], certificate: 'tokens' },
        rules: [{ certificate: { cn: ['ada'] }, repositories: ['**'] }],
      },
    ],
    services: [
      { name: 'tokens', builtin: 'registry-tokens', routes: [{ name: 'tokens', paths: ['/auth'] }] },
      {
        ...{ name: 'registry', url: upstream.url },
        registry: { realm: 'acme', service: 'registry.test', filter: true },
        routes: [{ name: 'registry', paths: ['/v2'], strip_path: false }],
      },
      { name: 'api', url: upstream.url, routes: [{ name: 'all', paths: ['/'] }] },
    ],
  })
})

const GET = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'
const UPGRADE =
  'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'

const LONG_POLL = GET.replace('/ ', '/long-poll ')

let requestsSeen = 0
let pollsSeen = 0

/** Every request but a long poll is answered with so many bytes. */
function answerWith(length: number, status = '200 OK', body = 'x'.repeat(length)): void {
  upstream.onBytes = (connection) => {
    if (!connection.received.endsWith('\r\n\r\n')) return
    const isLongPoll = connection.received.startsWith('GET /long-poll ')
    connection.received = ''
    if (isLongPoll) {
      pollsSeen += 1
      return
    }
    requestsSeen += 1
    connection.write(`HTTP/1.1 ${status}\r\nContent-Length: ${length}\r\n\r\n${body}`)
  }
}

async function longPoll(): Promise<RawConnection> {
  const before = pollsSeen
  const client = await gateway.open()
  client.write(LONG_POLL)
  await waitFor('the long poll at the upstream', () => pollsSeen > before)
  return client
}

async function openConnections(): Promise<number> {
  const { text } = await gateway.getAdmin('/metrics')
  return Number(/^sallyport_connections_open(?:\{[^}]*\})? (\d+)$/m.exec(text)?.[1])
}

test.each([
  ['one answer that does not fit into the buffers', GET, 30_000_000, '200 OK'],
  ['answers that were handed over whole', GET.repeat(900), 15_000, '200 OK'],
  ['an upgrade that was refused at length', UPGRADE, 30_000_000, '403 Forbidden'],
])('%s', async (_name, requests, length, status) => {
  answerWith(length, status)
  const client = await gateway.open()
  client.socket.pause()
  client.write(requests)
  await waitFor('the request at the upstream', () => requestsSeen > 0)
  expect(await openConnections()).toBe(1)
  await waitFor('the end of the connection', async () => (await openConnections()) === 0)
  client.destroy()
  requestsSeen = 0
})

test('answers that waited to be written with others', async () => {
  answerWith(100_000)
  // For half a second, answers that are ready wait for it a little.
  let other = await longPoll()
  const client = await gateway.open()
  client.socket.pause()
  const isCutOff = async () => (await openConnections()) === 1
  let sent = 0
  do {
    other.destroy()
    other = await longPoll()
    sent += 1
    client.write(GET)
    await waitFor('the next answer, or the end', async () => requestsSeen === sent || (await isCutOff()))
  } while (!(await isCutOff()))
  expect(sent).toBeGreaterThan(1)
  client.destroy()
  other.destroy()
  await waitFor('the end of both', async () => (await openConnections()) === 0)
  requestsSeen = 0
})

test('the log does not say that the client has left', async () => {
  answerWith(30_000_000)
  const client = await gateway.open()
  client.socket.pause()
  client.write(GET.replace('/ ', '/unread '))
  expect(await gateway.logged({ path: '/unread' })).toMatchObject({
    ...{ code: 'GW_CLIENT_CLOSED', termination: 'client' },
    detail: 'the client has read nothing for 1000 ms (send_timeout)',
  })
  client.destroy()
})

test('an answer that the gateway has made itself, as a list that it has filtered', async () => {
  const list = JSON.stringify({ repositories: Array.from({ length: 30_000 }, (_, i) => `team/${'a'.repeat(240)}${i}`) })
  answerWith(list.length, '200 OK', list)
  const client = await gateway.open({ as: scene.ada })
  client.socket.pause()
  client.write('GET /v2/_catalog HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await gateway.logged({ path: '/v2/_catalog', status: 200 })
  await waitFor('the end of the connection', async () => (await openConnections()) === 0)
  client.destroy()
})

test('a client that reads slowly, but reads, gets everything', async () => {
  answerWith(3_000_000)
  const client = await gateway.open()
  client.write(GET)
  for (let i = 0; i < 9; i++) {
    client.socket.pause()
    await pause(300)
    client.socket.resume()
    await pause(20)
  }
  const [answer] = await client.answers(1)
  expect(answer?.body).toHaveLength(3_000_000)
  client.destroy()
})
