import { readdirSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type TLSSocket, connect as tlsConnect } from 'node:tls'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { freePort } from '../support/free-port.ts'
import type { Gateway } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

/** Clients of each kind at once. */
const COUNT = 5
const WEBSOCKET =
  'Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'

let scene: Scene
let gateway: Gateway
let hello: Buffer
/** A target that accepts and says nothing. */
const silent = createServer((socket) => silentSockets.push(socket.on('error', () => {})))
const silentSockets: Socket[] = []
const transports = new WeakMap<Socket, Socket>()

beforeAll(async () => {
  scene = await makeScene()
  scene.backend.respond = (request, response) => {
    if (request.url?.startsWith('/long')) response.end(Buffer.alloc(5_000_000))
    else request.on('end', () => response.end('read'))
  }
  scene.backend.upgrade = (_request, socket) => {
    socket.on('error', () => {})
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    socket.write(Buffer.alloc(5_000_000))
  }
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  hello = await clientHello()
  const { url } = scene.backend
  const times = ['client_header', 'client_body', 'send', 'keepalive'].map((name) => [`${name}_timeout`, '1s'])
  const route = (name: string) => [{ name, paths: [`/${name}`] }]
  gateway = await scene.start({
    listeners: [
      { listen: '127.0.0.1:0', ...Object.fromEntries(times), handshake_timeout: '3s', servers: [scene.server()] },
    ],
    services: [
      { name: 'api', url, read_timeout: 2000, routes: [{ name: 'everything', paths: ['/'] }] },
      { name: 'dead', url: `https://localhost:${await freePort()}`, routes: route('dead') },
      { name: 'silent', url: `https://localhost:${(silent.address() as AddressInfo).port}`, routes: route('silent') },
    ],
    proxy: { ...(scene.config().proxy as object), upstream_keepalive_idle_timeout: '500ms' },
    log: { access_log: 'off' },
  })
  await gateway.get('/')
})

afterAll(() => {
  for (const socket of silentSockets) socket.destroy()
  silent.close()
})

/** The first bytes of a handshake with the gateway. */
async function clientHello(): Promise<Buffer> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const heard = new Promise<Buffer>((resolve) => server.once('connection', (socket) => socket.once('data', resolve)))
  const client = tlsConnect({ port: (server.address() as AddressInfo).port, servername: 'localhost' }).on(
    'error',
    () => {},
  )
  const bytes = await heard
  client.destroy()
  server.close()
  return bytes
}

type Attack = () => Promise<Socket>

function tcp(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(gateway.port, '127.0.0.1', () => resolve(socket)).once('error', reject)
    socket.on('error', () => {})
  })
}

/** Its transport is kept, as node:tls's own socket cannot be reset. */
async function tls(): Promise<TLSSocket> {
  const transport = await tcp()
  const { certificate: cert, key } = scene.ada
  const socket = tlsConnect({ socket: transport, servername: 'localhost', cert, key, rejectUnauthorized: false })
  transports.set(socket, transport)
  socket.on('error', () => {}).resume()
  await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('close', reject))
  return socket
}

function reset(socket: Socket): void {
  const transport = transports.get(socket) ?? socket
  transport.resetAndDestroy()
}

/** Sends this on a connection and does nothing more. */
const after =
  (open: () => Promise<Socket>, ...parts: readonly (string | Buffer)[]): Attack =>
  async () => {
    const socket = await open()
    for (const part of parts) socket.write(part)
    return socket
  }

/** The same, and then it leaves, with or without a reset, a moment later. */
const left =
  (attack: Attack, how: 'destroy' | 'resetAndDestroy' | 'end'): Attack =>
  async () => {
    const socket = await attack()
    await sleep(Math.random() * 100)
    if (how === 'resetAndDestroy') reset(socket)
    else socket[how]()
    return socket
  }

/** Writes to what TLS runs on. */
const underneath =
  (attack: Attack, bytes: Buffer): Attack =>
  async () => {
    const socket = await attack()
    transports.get(socket)?.write(bytes)
    return socket
  }

function damaged(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes)
  const at = Math.floor(Math.random() * copy.length)
  copy[at] = (copy[at] as number) ^ (1 + Math.floor(Math.random() * 255))
  return copy
}

const blind =
  (attack: Attack): Attack =>
  async () =>
    (await attack()).pause()

/** Writes the same again and again until the gateway ends it. */
const dripping =
  (attack: Attack, bytes: string, every: number): Attack =>
  async () => {
    const socket = await attack()
    const timer = setInterval(() => socket.write(bytes), every)
    socket.once('close', () => clearInterval(timer))
    return socket
  }

const head = (method: string, path: string, ...lines: string[]) =>
  [`${method} ${path} HTTP/1.1`, 'Host: localhost', ...lines, '', ''].join('\r\n')
const upload = head('POST', '/', 'Content-Length: 10000000')
const chunked = head('PUT', '/', 'Transfer-Encoding: chunked')
const bodyPart = Buffer.alloc(60_000)
/** Records of application data. */
const UNREADABLE = Buffer.concat(
  Array.from({ length: 64 }, () => Buffer.concat([Buffer.from([23, 3, 3, 4, 0]), Buffer.alloc(1024)])),
)

const attacks: [what: string, attack: Attack][] = [
  ['nothing at all is sent', after(tcp)],
  ['half a ClientHello', () => after(tcp, hello.subarray(0, 100))()],
  ['a ClientHello and nothing more', () => after(tcp, hello)()],
  ['a ClientHello of which a byte is another one', () => after(tcp, damaged(hello))()],
  ['a ClientHello and another one behind it', () => after(tcp, hello, hello)()],
  ['a ClientHello and records that nobody can decrypt', () => after(tcp, hello, UNREADABLE)()],
  ['a handshake and records that nobody can decrypt', underneath(after(tls), UNREADABLE)],
  ['the end of TLS, and more behind it', underneath(left(after(tls, head('GET', '/long')), 'end'), UNREADABLE)],
  ['a ClientHello and half a close', () => left(after(tcp, hello), 'end')()],
  ['a ClientHello and a close', () => left(after(tcp, hello), 'destroy')()],
  ['a ClientHello and a reset', () => left(after(tcp, hello), 'resetAndDestroy')()],
  ['a handshake and no request', after(tls)],
  ['half a head', after(tls, 'GET / HTTP/1.1\r\nHost: local')],
  ['a head that drips', dripping(after(tls, 'GET / HTTP/1.1\r\nHost: localhost\r\n'), 'x', 200)],
  [
    'headers without an end',
    dripping(after(tls, 'GET / HTTP/1.1\r\nHost: localhost\r\n'), `A: ${'a'.repeat(3000)}\r\n`, 10),
  ],
  ['a body that stops', after(tls, upload, bodyPart)],
  ['a chunk that stops', after(tls, chunked, 'ffff\r\n', 'half')],
  ['uploads that are aborted', left(after(tls, upload, bodyPart), 'destroy')],
  ['uploads that are reset', left(after(tls, chunked, 'ffff\r\n', bodyPart), 'resetAndDestroy')],
  ['uploads whose client closes its side', left(after(tls, upload, bodyPart), 'end')],
  ['an answer that nobody reads', blind(after(tls, head('GET', '/long')))],
  ['an answer whose reader leaves', left(after(tls, head('GET', '/long')), 'destroy')],
  ['requests without end whose answers nobody reads', blind(after(tls, head('GET', '/long').repeat(300)))],
  ['a WebSocket that nobody reads', blind(after(tls, `GET / HTTP/1.1\r\n${WEBSOCKET}`))],
  ['a WebSocket that is left at once', left(after(tls, `GET / HTTP/1.1\r\n${WEBSOCKET}`), 'destroy')],
  ['an upgrade to a target that is dead', after(tls, `GET /dead HTTP/1.1\r\n${WEBSOCKET}`)],
  [
    'an upgrade to a target that says nothing, left',
    left(after(tls, `GET /silent HTTP/1.1\r\n${WEBSOCKET}`), 'destroy'),
  ],
  ['an upload to a target that is dead', after(tls, head('POST', '/dead', 'Content-Length: 10000000'), bodyPart)],
  ['a request to a target that says nothing, left', left(after(tls, head('GET', '/silent')), 'resetAndDestroy')],
]

/** Everything that a client can make the gateway hold. */
async function held() {
  const { text } = await gateway.getAdmin('/metrics')
  const metric = (name: string) => Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\d+)$`, 'm').exec(text)?.[1] ?? 0)
  const upstream = [...text.matchAll(/^sallyport_upstream_connections\{.*\} (\d+)$/gm)].map(([, n]) => Number(n))
  return {
    descriptors: readdirSync(`/proc/${gateway.child.pid}/fd`).length,
    connections: metric('sallyport_connections_open'),
    requests: metric('sallyport_http_requests_in_flight'),
    upstream: upstream.reduce((sum, n) => sum + n, 0),
  }
}

async function atRest() {
  return waitFor('the gateway to be at rest', async () => {
    const now = await held()
    return now.connections + now.requests + now.upstream === 0 && now
  })
}

test('many of each kind at once, and the gateway holds no more than before', async () => {
  const before = await atRest()
  const clients: { what: string; socket: Socket }[] = []
  for (let i = 0; i < COUNT; i++) {
    clients.push(...(await Promise.all(attacks.map(async ([what, attack]) => ({ what, socket: await attack() })))))
  }
  expect((await gateway.get('/')).status).toBe(200)
  // The clients that have not left hold on for as long as they can: the gateway must end what they do not.
  let now = before
  await waitFor(
    'as little to be held as before',
    async () => {
      now = await held()
      return Object.entries(before).every(([name, value]) => now[name as keyof typeof now] <= value)
    },
    30,
  ).catch(() => {})
  const excess = Object.entries(before).filter(([name, value]) => now[name as keyof typeof now] > value)
  const open = new Set(clients.filter(({ socket }) => !socket.destroyed).map(({ what }) => what))
  expect(excess.length === 0 ? 'at rest' : { before, now, open }).toBe('at rest')
  for (const { socket } of clients) socket.destroy()
})

test.each(['destroy', 'end', 'resetAndDestroy'] as const)(
  'who leaves in the handshake (%s) is not waited for',
  async (how) => {
    const socket = await after(tcp, hello)()
    const { localPort } = socket
    await new Promise((resolve) => socket.once('data', resolve))
    socket[how]()
    const line = await gateway.logged({ msg: 'handshake failed', remote_port: localPort })
    expect(line.reason).toBe('the client closed the connection in the handshake')
    socket.destroy()
  },
)
