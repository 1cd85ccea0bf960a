import { once } from 'node:events'
import { connect } from 'node:tls'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { WebSocket, WebSocketServer } from 'ws'
import type { Gateway } from '../support/gateway.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'
import { waitFor, within } from '../support/wait.ts'

const HANDSHAKE =
  'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'

let scene: Scene
let gateway: Gateway
const echoServer = new WebSocketServer({ noServer: true })
const accepted: WebSocket[] = []

beforeAll(async () => {
  scene = await makeScene()
  gateway = await scene.start()
  echoServer.on('connection', (socket) => {
    accepted.push(socket)
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
  })
  scene.backend.upgrade = (request, socket, head) => {
    echoServer.handleUpgrade(request, socket, head, (accepted_) => echoServer.emit('connection', accepted_, request))
  }
})

afterAll(() => {
  for (const socket of accepted) socket.terminate()
  echoServer.close()
})

async function open(path = '/chat?room=1', protocols: string[] = []): Promise<WebSocket> {
  const { chain: cert, key } = scene.ada
  const socket = new WebSocket(`wss://localhost:${gateway.port}${path}`, protocols, {
    rejectUnauthorized: false,
    cert,
    key,
  })
  await within(10, 'the upgrade', once(socket, 'open'))
  return socket
}

async function exchange(socket: WebSocket, message: string | Buffer): Promise<Buffer> {
  socket.send(message)
  const [data] = (await within(10, 'the echo', once(socket, 'message'))) as [Buffer]
  return data
}

test('text, binary and large messages', async () => {
  const socket = await open()
  expect((await exchange(socket, 'hello')).toString()).toBe('hello')
  expect(await exchange(socket, Buffer.from([0, 1, 255]))).toEqual(Buffer.from([0, 1, 255]))
  const large = Buffer.alloc(5_000_000, 'x')
  expect((await exchange(socket, large)).equals(large)).toBe(true)
  socket.close(4001, 'done')
  await within(5, 'the close', once(socket, 'close'))
})

test('the backend sees who is calling, with which path and over its own TLS identity', async () => {
  const socket = await open('/chat?room=2')
  const seen = scene.backend.last
  expect(seen.target).toBe('/chat?room=2')
  expect(seen.header('VERIFIED')).toEqual(['SUCCESS'])
  expect(seen.header('DN')).toEqual(['CN=ada'])
  expect(seen.gatewaySubject).toBe('CN=gateway')
  socket.terminate()
})

test('the subprotocol that the backend chose', async () => {
  echoServer.options.handleProtocols = () => 'second'
  const socket = await open('/', ['first', 'second'])
  expect(socket.protocol).toBe('second')
  socket.terminate()
})

test('messages that the backend sends at once with its answer', async () => {
  echoServer.once('connection', (socket) => socket.send('welcome'))
  const { chain: cert, key } = scene.ada
  const socket = new WebSocket(`wss://localhost:${gateway.port}/`, { rejectUnauthorized: false, cert, key })
  const [data] = (await within(10, 'the welcome', once(socket, 'message'))) as [Buffer]
  expect(data.toString()).toBe('welcome')
  socket.terminate()
})

test('when the client leaves, the backend is told; when the backend leaves, the client is', async () => {
  const leaving = await open()
  const theirs = accepted.at(-1)
  leaving.terminate()
  await waitFor('the end at the backend', () => theirs?.readyState === WebSocket.CLOSED)
  const left = await open()
  accepted.at(-1)?.terminate()
  await within(5, 'the end at the client', once(left, 'close'))
})

test('an upgrade that the backend refuses is an ordinary answer', async () => {
  const previous = scene.backend.upgrade
  scene.backend.upgrade = (_request, socket) => {
    socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno')
  }
  const connection = await gateway.open()
  const [answer] = await connection.write(HANDSHAKE).answers(1)
  expect(answer).toMatchObject({ status: 403, body: 'no' })
  connection.destroy()
  scene.backend.upgrade = previous
})

test('an upgrade that the backend refuses with 426 tells the client which protocol it demands', async () => {
  const previous = scene.backend.upgrade
  scene.backend.upgrade = (_request, socket) => {
    socket.end('HTTP/1.1 426 Upgrade Required\r\nUpgrade: x/2\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n')
  }
  const connection = await gateway.open()
  const [answer] = await connection.write(HANDSHAKE).answers(1)
  expect(answer?.headers).toEqual(
    expect.arrayContaining([
      ['connection', 'close, Upgrade'],
      ['upgrade', 'x/2'],
    ]),
  )
  connection.destroy()
  scene.backend.upgrade = previous
})

test('what comes with the request arrives whole and in order, also where it looks like the ends of many heads', async () => {
  const previous = scene.backend.upgrade
  scene.backend.upgrade = (_request, socket, head) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')
    socket.write(head)
    socket.on('error', () => {}).pipe(socket)
  }
  const sent = Array.from({ length: 1000 }, (_, i) => `${i}\r\n\r\n`).join('')
  const connection = await gateway.open()
  connection.write(HANDSHAKE + sent)
  await waitFor('the last of it', () => connection.received.endsWith('999\r\n\r\n'))
  expect(connection.received.slice(connection.received.indexOf('\r\n\r\n') + 4)).toBe(sent)
  connection.destroy()
  scene.backend.upgrade = previous
})

test('a request of HTTP/1.0 asks for no upgrade, whatever it says', async () => {
  const [answer] = await gateway.talk(HANDSHAKE.replace('HTTP/1.1', 'HTTP/1.0'))
  expect(answer?.status).toBe(200)
  expect(scene.backend.last.header('upgrade')).toEqual([])
})

test('a client with a bad certificate gets 400 and no upgrade', async () => {
  const before = scene.backend.seen.length
  const { chain: cert, key } = scene.clients.client('old', { validFrom: -9, validUntil: -1 })
  const socket = new WebSocket(`wss://localhost:${gateway.port}/`, { rejectUnauthorized: false, cert, key })
  const [, response] = (await within(10, 'the refusal', once(socket, 'unexpected-response'))) as [
    unknown,
    { statusCode: number },
  ]
  expect(response.statusCode).toBe(400)
  expect(scene.backend.seen).toHaveLength(before)
  socket.on('error', () => {}).terminate()
})

test('an upgraded connection has its line in the access log', async () => {
  const socket = await open('/logged')
  socket.close()
  expect(await gateway.logged({ status: 101, path: '/logged' })).toMatchObject({ verify: 'SUCCESS' })
})

test('a client that was refused cannot hold its connection', async () => {
  const previous = scene.backend.upgrade
  scene.backend.upgrade = (_request, socket) => socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n')
  const demanding = await scene.start(listenerOf(scene.server({ ssl_verify_client: 'on' })))
  for (const [asked, status] of [
    [demanding, 400],
    [await scene.start(), 403],
  ] as const) {
    // It goes on sending and never closes its own half.
    const socket = connect({ host: '127.0.0.1', port: asked.port, rejectUnauthorized: false })
    socket.allowHalfOpen = true
    let received = ''
    socket
      .on('error', () => {})
      .on('data', (chunk: Buffer) => {
        received += chunk.toString('latin1')
      })
    socket.write(HANDSHAKE + 'x'.repeat(100_000))
    await waitFor('the answer', () => received.includes(`HTTP/1.1 ${status} `))
    const open = async () => /^\w+connections_open (\d+)$/m.exec((await asked.getAdmin('/metrics')).text)?.[1]
    await waitFor('the end of the connection', async () => (await open()) === '0', 6)
    socket.destroy()
  }
  scene.backend.upgrade = previous
})
