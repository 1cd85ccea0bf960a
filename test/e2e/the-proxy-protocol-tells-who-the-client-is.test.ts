import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { beforeAll, describe, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { RawConnection } from '../support/raw.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

let scene: Scene
let gateway: Gateway

const V1 = Buffer.from('PROXY TCP4 192.0.2.7 198.51.100.10 40001 443\r\n')
const V2 = Buffer.from('0d0a0d0a000d0a515549540a' + '2111000c' + 'c0000207c633640a' + '9c41' + '01bb', 'hex')
const LOCAL = Buffer.from('0d0a0d0a000d0a515549540a' + '20000000', 'hex')

beforeAll(async () => {
  scene = await makeScene()
  gateway = await scene.start({
    listeners: [
      {
        listen: '127.0.0.1:0',
        servers: [scene.server()],
        proxy_protocol_from: ['127.0.0.2'],
        max_connections_per_address: 2,
        handshake_timeout: '2s',
      },
    ],
  })
})

const PROXY = '127.0.0.2'

function comeFrom(localAddress: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: gateway.port, localAddress })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject).on('error', () => {})
      resolve(socket)
    })
  })
}

/** The status of a request over TLS that follows these bytes; undefined where the gateway closes. */
async function statusAfter(header: Buffer, from: string, pieces = false): Promise<number | undefined> {
  const socket = await comeFrom(from)
  socket.setNoDelay(true)
  if (pieces) {
    for (const byte of header) {
      socket.write(Buffer.from([byte]))
      await new Promise((resolve) => setImmediate(resolve))
    }
  } else socket.write(header)
  const tls = connectTls({
    socket,
    servername: 'localhost',
    rejectUnauthorized: false,
    cert: scene.ada.chain,
    key: scene.ada.key,
  })
  const connection = new RawConnection(tls)
  connection.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  const [answer] = await connection.untilClosed()
  connection.destroy()
  return answer?.status
}

describe.each([
  ['version 1', V1],
  ['version 2', V2],
])('%s', (_version, header) => {
  test.each([false, true])(
    'the address in it is the client for the backend and the log (byte by byte: %p)',
    async (pieces) => {
      expect(await statusAfter(header, PROXY, pieces)).toBe(200)
      expect(scene.backend.last.header('X-Forwarded-For')).toEqual(['192.0.2.7'])
      expect(scene.backend.last.header('X-Real-IP')).toEqual(['192.0.2.7'])
      expect(scene.backend.last.header('DN')).toEqual(['CN=ada'])
      await gateway.logged({ remote_addr: '192.0.2.7', remote_port: 40001, status: 200 })
    },
  )

  test('nobody else may send it', async () => {
    expect(await statusAfter(header, '127.0.0.1')).toBeUndefined()
    expect(await statusAfter(header, '127.0.0.3')).toBeUndefined()
    const { reason } = await gateway.logged({ msg: 'handshake failed', remote_addr: '127.0.0.3' })
    expect(reason).toContain('PROXY header')
  })
})

test('a health check of the proxy itself has the address of the proxy', async () => {
  expect(await statusAfter(LOCAL, PROXY)).toBe(200)
  expect(scene.backend.last.header('X-Real-IP')).toEqual([PROXY])
})

test('the proxy must send it: without it nobody knows who is there', async () => {
  expect(await statusAfter(Buffer.alloc(0), PROXY)).toBeUndefined()
  const { reason } = await gateway.logged({ msg: 'handshake failed', remote_addr: PROXY })
  expect(reason).toContain('no PROXY header')
})

test('clients come as ever without it', async () => {
  expect((await gateway.get('/')).status).toBe(200)
  expect(scene.backend.last.header('X-Real-IP')).toEqual(['127.0.0.1'])
})

test('a header that never ends is waited for no longer than handshake_timeout', async () => {
  const socket = await comeFrom(PROXY)
  let closed = false
  socket.once('close', () => {
    closed = true
  })
  socket.resume().write(V1.subarray(0, 20))
  await waitFor('the end of the connection', () => closed, 10)
  await gateway.logged({ msg: 'handshake failed', reason: 'no complete PROXY header within 2000 ms' })
})

test('limits per address count clients, not the proxy', async () => {
  const sockets = await Promise.all([1, 2, 3, 4].map(() => comeFrom(PROXY)))
  const closed = new Set<Socket>()
  for (const [i, socket] of sockets.entries()) {
    socket.resume().once('close', () => closed.add(socket))
    const address = i < 3 ? '192.0.2.99' : '192.0.2.100'
    socket.write(`PROXY TCP4 ${address} 198.51.100.10 4000${i} 443\r\n`)
  }
  await waitFor('one connection of three to be refused', () => closed.size === 1)
  const line = await gateway.logged({ msg: 'connections refused', reason: 'max_connections_per_address' })
  expect(line.remote_addr).toBe('192.0.2.99')
  for (const socket of sockets) socket.destroy()
})
