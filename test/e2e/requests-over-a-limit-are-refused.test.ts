import { beforeAll, beforeEach, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

let scene: Scene
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  gateway = await scene.start({
    listeners: [
      {
        listen: '127.0.0.1:0',
        client_max_body_size: '10k',
        client_max_header_size: '8k',
        client_max_uri_size: '1k',
        max_headers: 50,
        keepalive_requests: 3,
        max_connections: 20,
        servers: [scene.server()],
      },
    ],
  })
})

beforeEach(() => scene.backend.reset())

const head = (lines: string, target = '/') => `POST ${target} HTTP/1.1\r\nHost: localhost\r\n${lines}\r\n`

test.each<[what: string, bytes: string, status: number, code: string]>([
  ['a body too large, as its length says', head('Content-Length: 10241\r\n'), 413, 'GW_BODY_TOO_LARGE'],
  ['a URL too long', head('Content-Length: 0\r\n', `/${'x'.repeat(1100)}`), 414, 'GW_URI_TOO_LONG'],
  ['a header too large', head(`X: ${'x'.repeat(9000)}\r\n`), 431, 'GW_HEADERS_TOO_LARGE'],
  ['a header too large for one record of TLS', head(`X: ${'x'.repeat(40_000)}\r\n`), 431, 'GW_HEADERS_TOO_LARGE'],
  ['a URL too long for any head', head('', `/${'x'.repeat(12_000)}`), 414, 'GW_URI_TOO_LONG'],
  ['a URL of several records of TLS', head('', `/${'x'.repeat(100_000)}`), 414, 'GW_URI_TOO_LONG'],
  ['headers too many', head('X: x\r\n'.repeat(60)), 431, 'GW_HEADERS_TOO_LARGE'],
  ['more headers than Node counts', head(`${'a:\r\n'.repeat(1500)}Content-Length: 5\r\n`), 431, 'GW_HEADERS_TOO_LARGE'],
])('%s', async (_what, bytes, status, code) => {
  const answers = await gateway.talk(bytes)
  expect(answers.map((answer) => answer.status)).toEqual([status])
  expect(JSON.parse(answers[0]?.body ?? '')).toMatchObject({ code })
  expect(await gateway.logged({ status, code })).toHaveProperty('request_id')
  expect(scene.backend.seen).toEqual([])
})

test('a chunked body that grows too large: 413, and the backend never has it whole', async () => {
  const connection = await gateway.open()
  connection.write(head('Transfer-Encoding: chunked\r\n'))
  connection.write(`${'1000\r\n'}${'x'.repeat(4096)}\r\n`.repeat(4))
  const [answer] = await connection.answers(1)
  expect(answer?.status).toBe(413)
  connection.destroy()
  for (const seen of scene.backend.seen) {
    await waitFor('the abort', () => seen.aborted)
    expect(seen.complete).toBe(false)
  }
})

test('what is just within the limits passes', async () => {
  const bytes = `${head(`Connection: close\r\nContent-Length: 10240\r\nX: ${'x'.repeat(6000)}\r\n`, `/${'x'.repeat(900)}`)}${'x'.repeat(10240)}`
  expect((await gateway.talk(bytes)).map(({ status }) => status)).toEqual([200])
  expect(scene.backend.last.bytes).toBe(10240)
})

test('keepalive_requests: the last answer says that the connection closes', async () => {
  const answers = await gateway.talk('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(5))
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
  expect(answers.at(-1)?.headers).toContainEqual(['connection', 'close'])
})

test('connections beyond max_connections are closed, and those within go on', async () => {
  const first = await gateway.open()
  const others = await Promise.allSettled(Array.from({ length: 30 }, () => gateway.open()))
  const opened = others.flatMap((other) => (other.status === 'fulfilled' ? [other.value] : []))
  await waitFor('the refusal of some', () => opened.length < 30 || opened.some(({ isClosed }) => isClosed))
  const [answer] = await first.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n').answers(1)
  expect(answer?.status).toBe(200)
  for (const connection of [first, ...opened]) connection.destroy()
  await waitFor('room again', () =>
    gateway.get('/').then(
      ({ status }) => status === 200,
      () => false,
    ),
  )
})
