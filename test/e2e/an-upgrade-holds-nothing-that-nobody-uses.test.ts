import { connect } from 'node:tls'
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { type RawBackend, type RawBackendConnection, startRawBackend } from '../support/raw-backend.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor, within } from '../support/wait.ts'

const UPGRADE =
  'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

let scene: Scene
let upstream: RawBackend
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  upstream = await startRawBackend(scene.inside.server('localhost'))
  gateway = await scene.start({
    services: [{ name: 'api', url: upstream.url, retries: 0, routes: [{ name: 'all', paths: ['/'] }] }],
    proxy: {
      proxy_ssl_certificate: scene.own.chain,
      proxy_ssl_certificate_key: scene.own.key,
      proxy_ssl_trusted_certificate: scene.inside.certificate,
      upstream_max_connections: 2,
    },
  })
})

beforeEach(() => {
  upstream.connections.length = 0
  upstream.onBytes = () => {}
})

function answerUpgrades(answer: string): void {
  upstream.onBytes = (connection) => {
    if (connection.received.endsWith('\r\n\r\n')) connection.write(answer)
  }
}

async function upstreamConnections(): Promise<number> {
  const { text } = await gateway.getAdmin('/metrics')
  const values = [...text.matchAll(/^sallyport_upstream_connections\{[^}]*\} (\d+)$/gm)].map(([, value]) =>
    Number(value),
  )
  return values.reduce((sum, value) => sum + value, 0)
}

/** The upstream's side of the upgrade that waits there. */
function pending(): Promise<RawBackendConnection> {
  return waitFor('the upgrade at the upstream', () =>
    upstream.connections.find(({ received }) => received.includes('\r\n\r\n')),
  )
}

describe('a client that leaves before the upgrade is answered', () => {
  test.each(['destroy', 'end'] as const)('(%s)', async (leave) => {
    const client = await gateway.open()
    client.write(UPGRADE)
    const { socket } = await pending()
    const closed = new Promise((resolve) => socket.once('close', resolve))
    client.socket[leave]()
    await within(5, 'the end at the upstream', closed)
    await waitFor('the place in the pool', async () => (await upstreamConnections()) === 0)
    await gateway.logged({ status: 499, code: 'GW_CLIENT_CLOSED' })
    client.destroy()
  })
})

test('what a client sends before the answer arrives behind it, in order', async () => {
  const client = await gateway.open()
  client.write(`${UPGRADE}one,`)
  const connection = await pending()
  client.write('two,')
  client.write('x'.repeat(500_000))
  client.write(',three')
  connection.write(SWITCHING)
  await waitFor('the bytes', () => connection.received.endsWith(',three'))
  expect(connection.received.split('\r\n\r\n')[1]).toBe(`one,two,${'x'.repeat(500_000)},three`)
  client.destroy()
})

test('upgraded connections count for upstream_max_connections until they close', async () => {
  await waitFor('an empty pool', async () => (await upstreamConnections()) === 0)
  answerUpgrades(SWITCHING)
  const first = await gateway.open()
  const second = await gateway.open()
  const third = await gateway.open()
  const status = async (client: typeof first) => (await client.write(UPGRADE).answers(1))[0]?.status
  expect([await status(first), await status(second), await status(third)]).toEqual([101, 101, 503])
  expect(await upstreamConnections()).toBe(2)
  first.destroy()
  await waitFor('a place in the pool', async () => (await upstreamConnections()) === 1)
  const fourth = await gateway.open()
  expect(await status(fourth)).toBe(101)
  for (const client of [second, third, fourth]) client.destroy()
  await waitFor('an empty pool', async () => (await upstreamConnections()) === 0)
})

test('a client that keeps its half of a refused upgrade open is closed', async () => {
  answerUpgrades('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno')
  const { port } = gateway
  const options = { host: '127.0.0.1', port, servername: 'localhost', rejectUnauthorized: false, allowHalfOpen: true }
  const socket = connect(options)
  let received = ''
  socket
    .on('error', () => {})
    .on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1')
    })
  socket.write(UPGRADE)
  const sockets = async () =>
    Number(/^sallyport_connections_open(?:\{[^}]*\})? (\d+)$/m.exec((await gateway.getAdmin('/metrics')).text)?.[1])
  await waitFor('the answer', () => received.endsWith('no'))
  await waitFor('the end at the gateway', async () => (await sockets()) === 0)
  socket.destroy()
})
