// A chunk of one byte used to cost a write of its own: a client that sent two megabytes of them kept everybody else waiting for seconds.
import { beforeAll, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import type { RawConnection } from '../support/raw.ts'
import { type RawBackend, startRawBackend } from '../support/raw-backend.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

const PIECES = 20_000
const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

let scene: Scene
let gateway: Gateway
let backend: RawBackend

beforeAll(async () => {
  scene = await makeScene()
  backend = await startRawBackend(scene.inside.server('localhost'))
  gateway = await scene.start({
    services: [{ name: 'api', url: backend.url, routes: [{ name: 'everything', paths: ['/'] }] }],
  })
})

/** The chunks of a body, decoded by hand. */
function chunksOf(message: string): string[] {
  const chunks: string[] = []
  let rest = message.slice(message.indexOf('\r\n\r\n') + 4)
  for (;;) {
    const lineEnd = rest.indexOf('\r\n')
    const length = Number.parseInt(rest.slice(0, lineEnd), 16)
    if (!(length > 0)) return chunks
    chunks.push(rest.slice(lineEnd + 2, lineEnd + 2 + length))
    rest = rest.slice(lineEnd + 2 + length + 2)
  }
}

test('chunks of one byte that come together go on together, byte for byte', async () => {
  backend.onBytes = (connection) => {
    if (connection.received.endsWith('\r\n0\r\n\r\n')) connection.write(ANSWER)
  }
  const bytes = Array.from({ length: PIECES }, (_, i) => String.fromCharCode(97 + (i % 26)))
  const client = await gateway.open()
  client.write('POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n')
  client.write(`${bytes.map((byte) => `1\r\n${byte}\r\n`).join('')}0\r\n\r\n`)
  const [answer] = await client.answers()
  client.destroy()
  expect(answer?.status).toBe(200)
  const chunks = chunksOf(backend.connections.at(-1)?.received ?? '')
  expect(chunks.join('')).toBe(bytes.join(''))
  expect(chunks.length).toBeLessThan(PIECES / 100)
})

test('a body of a known length in TLS records of one byte arrives whole', async () => {
  const length = 3000
  backend.onBytes = (connection) => {
    if (connection.received.endsWith(`\r\n\r\n${'z'.repeat(length)}`)) connection.write(ANSWER)
  }
  const client = await gateway.open()
  client.write(`POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${length}\r\n\r\n`)
  for (let i = 0; i < length; i++) client.write('z')
  expect((await client.answers())[0]?.status).toBe(200)
  client.destroy()
})

const LARGE = 'L'.repeat(64 * 1024)
const ROUNDS = 60
const TINY = 1500

/** One way to send so many bytes, one after the other. */
const WAYS = {
  chunked: {
    framing: 'Transfer-Encoding: chunked',
    tiny: (client: RawConnection) => client.write('1\r\nt\r\n'.repeat(TINY)),
    large: (client: RawConnection) => client.write(`${LARGE.length.toString(16)}\r\n${LARGE}\r\n`),
    end: '0\r\n\r\n',
  },
  'of a known length': {
    framing: `Content-Length: ${ROUNDS * (TINY + LARGE.length)}`,
    tiny: (client: RawConnection) => {
      for (let i = 0; i < TINY; i++) client.write('t')
    },
    large: (client: RawConnection) => client.write(LARGE),
    end: '',
  },
} as const

test.each(['chunked', 'of a known length'] as const)(
  'where the upstream takes nothing for a while, tiny pieces among large ones arrive whole after it: %s',
  async (name) => {
    const { framing, tiny, large, end } = WAYS[name]
    for (const connection of backend.connections) connection.received = ''
    let waited = false
    backend.onBytes = ({ socket }) => {
      if (waited) return
      waited = true
      socket.pause()
      setTimeout(() => socket.resume(), 300)
    }
    const client = await gateway.open()
    client.write(`POST / HTTP/1.1\r\nHost: localhost\r\n${framing}\r\n\r\n`)
    for (let round = 0; round < ROUNDS; round++) {
      tiny(client)
      large(client)
    }
    client.write(end)
    const whole = ROUNDS * (TINY + LARGE.length)
    const body = () => {
      const received = backend.connections.at(-1)?.received ?? ''
      return name === 'chunked' ? chunksOf(received).join('') : received.slice(received.indexOf('\r\n\r\n') + 4)
    }
    await waitFor('the whole body', () => body().length === whole)
    expect(body()).toBe(`${'t'.repeat(TINY)}${LARGE}`.repeat(ROUNDS))
    client.destroy()
  },
)
