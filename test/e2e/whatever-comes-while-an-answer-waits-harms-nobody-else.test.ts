import { connect, type Socket } from 'node:net'
import { type TLSSocket, connect as tlsConnect } from 'node:tls'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { interactiveClient } from '../support/openssl.ts'
import { takeAnswer } from '../support/raw.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor, within } from '../support/wait.ts'

/** With a header that says nothing, but that makes node:http serve the connection. */
const BY_NODE = 'Keep-Alive: timeout=60\r\n'
const HONEST = 8
/** The lengths of answers. */
const SMALL = 3000
const LARGE = 100_000

let scene: Scene
let gateway: Gateway
/** What a client does in the moment when its answer leaves the upstream, by path. */
const onAnswer = new Map<string, () => void>()
const sockets: Socket[] = []

beforeAll(async () => {
  scene = await makeScene()
  scene.backend.respond = (request, response) => {
    const path = request.url as string
    if (path === '/never') return
    response.setHeader('Content-Length', bodyOf(path).length).end(bodyOf(path))
    onAnswer.get(path)?.()
  }
  // The attackers leave only where the gateway ends their connections; the honest, who never pause for long, have time on a busy machine.
  const times = { client_header_timeout: '8s', keepalive_timeout: '5s', client_body_timeout: '1s', send_timeout: '1s' }
  gateway = await scene.start({
    listeners: [{ listen: '127.0.0.1:0', ...times, servers: [scene.server()] }],
  })
})

afterAll(() => {
  for (const socket of sockets) socket.destroy()
})

function bodyOf(path: string): string {
  return `${path} `.repeat((path.startsWith('/large') ? LARGE : SMALL) / path.length)
}

function get(path: string, headers = ''): string {
  return `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`
}

interface Attacker {
  readonly path: string
  readonly socket: TLSSocket
  /** What TLS runs on: node:tls's own socket cannot be reset. */
  readonly transport: Socket
}

async function openAttacker(path: string, maxVersion: 'TLSv1.2' | 'TLSv1.3' = 'TLSv1.3'): Promise<Attacker> {
  const transport = connect(gateway.port, '127.0.0.1').on('error', () => {})
  const own = { servername: 'localhost', cert: scene.ada.chain, key: scene.ada.key }
  const socket = tlsConnect({ socket: transport, ...own, maxVersion, rejectUnauthorized: false })
  sockets.push(socket, transport)
  socket.on('error', () => {}).resume()
  await within(30, 'a handshake', new Promise((resolve) => socket.once('secureConnect', resolve)))
  return { path, socket, transport }
}

type Attack = (attacker: Attacker) => void

const says =
  (text: string): Attack =>
  ({ socket }) =>
    void socket.write(text, 'latin1')

const saysBelow =
  (bytes: Buffer): Attack =>
  ({ transport }) =>
    void transport.write(bytes)

/** A record of application data that nobody can decrypt. */
const UNREADABLE = Buffer.concat([Buffer.from([23, 3, 3, 4, 0]), Buffer.alloc(1024)])
const ALERT = Buffer.from([21, 3, 3, 0, 2, 2, 40])
const TWO_LENGTHS =
  'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'
const WEBSOCKET =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'

function reset({ transport }: Attacker): void {
  transport.resetAndDestroy()
}

/** Asks for one large answer after the other, as each leaves the upstream, and reads none of them. */
function readsNoMore({ socket, path }: Attacker): void {
  socket.pause()
  for (let i = 0; i < 60; i++)
    onAnswer.set(`/large${path}/${i}`, () => void socket.write(get(`/large${path}/${i + 1}`)))
  socket.write(get(`/large${path}/0`))
}

const ATTACKS: readonly (readonly [what: string, attack: Attack, tls?: 'TLSv1.2'])[] = [
  ...Array.from({ length: 10 }, (_, i): [string, Attack] => [`resets, ${i}`, reset]),
  ['leaves', ({ socket }) => socket.destroy()],
  ['ends its side', ({ socket }) => socket.end()],
  ['ends its side of TLS 1.2', ({ socket }) => socket.end(), 'TLSv1.2'],
  ['ends TLS and writes on', ({ socket, transport }) => void socket.end(() => transport.write(UNREADABLE))],
  ['cannot be decrypted', saysBelow(UNREADABLE)],
  ['cannot be decrypted in TLS 1.2', saysBelow(UNREADABLE), 'TLSv1.2'],
  ['sends half a record', saysBelow(UNREADABLE.subarray(0, 50))],
  ['sends an alert', saysBelow(ALERT)],
  ['sends an alert in TLS 1.2', saysBelow(ALERT), 'TLSv1.2'],
  ['renegotiates', ({ socket }) => void socket.renegotiate({}, () => {}), 'TLSv1.2'],
  ['speaks no HTTP', says('\x00\xff\x16\r\n\r\nrubbish')],
  ['speaks half of a request', says('GET / HT')],
  ['speaks of two lengths', says(TWO_LENGTHS)],
  ['speaks without end', says(get('/flood').repeat(1000))],
  ['upgrades', says(get('/', WEBSOCKET))],
  ['asks for a tunnel', says('CONNECT localhost:1 HTTP/1.1\r\nHost: localhost:1\r\n\r\n')],
  ['begins a body that never comes', says('POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nx')],
  ['reads no more', readsNoMore],
]

/** Asks again and again until it is told to stop. Rejects where an answer is not its own, or the connection ends. */
async function askHonestly(i: number, isOver: () => boolean): Promise<void> {
  const client = await gateway.open()
  sockets.push(client.socket)
  let wake = () => {}
  let unread = ''
  client.socket.on('data', (chunk: Buffer) => {
    unread += chunk.toString('latin1')
    wake()
  })
  void client.closed.then(() => wake())
  for (let count = 0; !isOver(); count++) {
    const path = `/${i % 3 === 0 ? 'large' : 'small'}/honest/${i}/${count}`
    client.write(get(path, i % 2 === 0 ? BY_NODE : ''))
    while (!takeAnswer(unread, client.isClosed)) {
      if (client.isClosed) throw new Error(`no answer to ${path}`)
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    const taken = takeAnswer(unread, client.isClosed)
    unread = ''
    expect([path, taken?.answer.status, taken?.answer.body === bodyOf(path), taken?.rest]).toEqual([
      path,
      200,
      true,
      '',
    ])
  }
  client.destroy()
}

async function renewKeys(path: string): Promise<void> {
  const client = await interactiveClient(gateway.port, 'localhost')
  onAnswer.set(path, () => client.process.stdin.write('K\n'))
  client.process.stdin.write(get(path).replaceAll('\r\n', '\n'))
  await waitFor('the answer to whoever renews the keys', () => client.stdout.includes(`\n${path} `))
  await client.stop()
}

test.each([
  ['without node:http', ''],
  ['by node:http', BY_NODE],
])('where the connection is served %s', async (who, headers) => {
  // For half a second, answers that are ready wait for this one for a turn or two; all the time, for those to the honest.
  const waiting = await gateway.open()
  waiting.write(get('/never'))
  await scene.backend.request('the long poll', ({ target }) => target === '/never')
  let isOver = false
  const honest = Promise.all(Array.from({ length: HONEST }, (_, i) => askHonestly(i, () => isOver)))
  const paths = ATTACKS.map(([what]) => `/${encodeURIComponent(`${what} ${who}`)}`)
  const attacks = ATTACKS.map(async ([_what, attack, tls], i) => {
    const attacker = await openAttacker(paths[i] as string, tls)
    onAnswer.set(attacker.path, () => attack(attacker))
    attacker.socket.write(get(attacker.path, headers))
    await gateway.logged({ path: attacker.path })
  })
  await Promise.all([...attacks, renewKeys(`/renews${headers.length}`)])
  isOver = true
  await honest
  waiting.destroy()
  await waitFor('nothing to be open', async () => {
    const { text } = await gateway.getAdmin('/metrics')
    return ['connections_open', 'http_requests_in_flight'].every((name) => text.includes(`\nsallyport_${name} 0\n`))
  })
  const { log } = gateway
  expect(paths.filter((path) => log.filter((line) => line.path === path).length !== 1)).toEqual([])
  expect(log.filter(({ level }) => level === 'error' || level === 'fatal')).toEqual([])
  scene.backend.seen.length = 0
})
