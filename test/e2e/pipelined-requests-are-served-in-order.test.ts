import type { ServerResponse } from 'node:http'
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor, within } from '../support/wait.ts'

const KEEPALIVE_REQUESTS = 5

let scene: Scene
let gateway: Gateway
let limited: Gateway
/** Answers that the backend has not given yet, by target. */
const held = new Map<string, ServerResponse>()

beforeAll(async () => {
  scene = await makeScene()
  gateway = await scene.start()
  const listener = { listen: '127.0.0.1:0', servers: [scene.server()], keepalive_requests: KEEPALIVE_REQUESTS }
  limited = await scene.start({ listeners: [listener] })
})

beforeEach(() => {
  scene.backend.reset()
  held.clear()
  scene.backend.respond = (request, response, { target }) => {
    if (target.startsWith('/held')) held.set(target, response)
    else request.on('end', () => response.end(target))
  }
})

const get = (path: string, headers = '') => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`
const post = (path: string, body: string) =>
  `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`
const webSocket = (path: string) =>
  get(
    path,
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n',
  )
const asked = () => scene.backend.seen.map(({ target }) => target)

async function answerHeld(target: string, body = target): Promise<void> {
  const response = await waitFor(`${target} at the backend`, () => held.get(target))
  response.end(body)
}

test('one after the other: the next reaches the backend when the one before is answered', async () => {
  const client = await gateway.open()
  client.write(get('/held/1') + get('/2') + post('/held/3', 'x'.repeat(100_000)) + get('/4'))
  await scene.backend.request('the first', ({ target }) => target === '/held/1')
  // A request of another connection overtakes; those behind the first one do not.
  expect((await gateway.get('/other')).text).toBe('/other')
  expect(asked()).toEqual(['/held/1', '/other'])
  await answerHeld('/held/1')
  await answerHeld('/held/3')
  const answers = await client.answers(4)
  expect(answers.map(({ body }) => body)).toEqual(['/held/1', '/2', '/held/3', '/4'])
  expect(asked()).toEqual(['/held/1', '/other', '/2', '/held/3', '/4'])
  client.destroy()
})

test('what follows the last answer of a connection is not carried out', async () => {
  const client = await limited.open()
  client.write(post('/pay', '').repeat(100))
  const answers = await client.untilClosed()
  expect(answers.map(({ status }) => status)).toEqual(Array(KEEPALIVE_REQUESTS).fill(200))
  expect(answers.at(-1)?.headers).toContainEqual(['connection', 'close'])
  await limited.get('/afterwards')
  expect(asked()).toEqual([...Array(KEEPALIVE_REQUESTS).fill('/pay'), '/afterwards'])
})

test('nor does it take memory, however much of it there is, while an answer is on its way', async () => {
  const client = await limited.open()
  const before = limited.peakMegabytes
  const flood = Buffer.from(get('/pay').repeat(1000))
  client.write(get('/held/1') + get('/pay'))
  for (let i = 0; i < 200; i++) client.write(flood)
  await waitFor('all of it to be taken', () => client.socket.writableLength === 0)
  expect(limited.peakMegabytes - before).toBeLessThan(64)
  await answerHeld('/held/1')
  const answers = await client.untilClosed()
  expect(answers.map(({ body }) => body)).toEqual(['/held/1', ...Array(KEEPALIVE_REQUESTS - 1).fill('/pay')])
})

test('nor what follows a request that says close, or a refusal that closes', async () => {
  for (const ending of [get('/last', 'Connection: close\r\n'), get('/a%2fb', 'Transfer-Encoding: chunked\r\n')]) {
    scene.backend.reset()
    const client = await gateway.open()
    client.write(get('/first') + ending + post('/pay', '').repeat(3))
    await client.untilClosed()
    await gateway.get('/afterwards')
    expect(asked()).not.toContain('/pay')
  }
})

test('hundreds at once are all answered', async () => {
  const client = await gateway.open()
  client.write(Array.from({ length: 500 }, (_, i) => (i % 2 ? post(`/${i}`, 'body'.repeat(i)) : get(`/${i}`))).join(''))
  const answers = await client.answers(500)
  expect(answers.map(({ body }) => body)).toEqual(Array.from({ length: 500 }, (_, i) => `/${i}`))
  client.destroy()
})

test.each([
  ['thousands', 'GET / HTTP/1.1\r\n\r\n'.repeat(3500)],
  ['dozens with thousands of fields', `GET / HTTP/1.1\r\n${'ab:cd\r\n'.repeat(2200)}\r\n`.repeat(60)],
])(
  '%s behind an answer that takes its time wait as bytes: many connections of them hold little memory',
  async (_what, flood) => {
    const before = gateway.peakMegabytes
    // Chunks are read by node:http, and so is all that follows.
    const first = (i: number) =>
      `POST /held/${i} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`
    const clients = await Promise.all(Array.from({ length: 50 }, () => gateway.open()))
    for (const [i, client] of clients.entries()) client.write(first(i) + flood)
    await waitFor('the first of each', () => held.size === clients.length)
    // By then everything that it takes has been taken.
    for (let i = 0; i < 20; i++) await gateway.get('/other')
    expect(gateway.peakMegabytes - before).toBeLessThan(100)
    for (const client of clients) client.destroy()
  },
)

// What the client sends meanwhile fills every buffer on the way: it is read in pieces, by us and by node:http.
test.each([0, 100, 300, 600, 1000])(
  'hundreds behind one whose answer takes its time, with bodies of %d more',
  async (more) => {
    const client = await gateway.open()
    client.write(get('/held/1'))
    await scene.backend.request('the first', ({ target }) => target === '/held/1')
    const body = (i: number) => 'body'.repeat(i + more)
    client.write(Array.from({ length: 500 }, (_, i) => (i % 2 ? post(`/${i}`, body(i)) : get(`/${i}`))).join(''))
    await gateway.get('/other')
    await answerHeld('/held/1')
    const answers = await client.answers(501)
    expect(answers.map(({ body }) => body)).toEqual(['/held/1', ...Array.from({ length: 500 }, (_, i) => `/${i}`)])
    client.destroy()
  },
)

test('when the client leaves, the request in flight is aborted and those behind it never begin', async () => {
  const client = await gateway.open()
  client.write(get('/held/1') + get('/2') + get('/3'))
  const first = await scene.backend.request('the first', () => true)
  client.destroy()
  await waitFor('the abort', () => first.aborted)
  await gateway.get('/afterwards')
  expect(asked()).toEqual(['/held/1', '/afterwards'])
})

describe('a WebSocket handshake behind a request', () => {
  test('is answered in its turn, as a request without Upgrade (RFC 9110 7.8) and the last one', async () => {
    const client = await gateway.open()
    client.write(get('/held/1') + webSocket('/socket') + get('/3'))
    await answerHeld('/held/1')
    const answers = await client.untilClosed()
    expect(answers.map(({ status, body }) => [status, body])).toEqual([
      [200, '/held/1'],
      [200, '/socket'],
    ])
    expect(scene.backend.last.header('upgrade')).toEqual([])
    expect(asked()).toEqual(['/held/1', '/socket'])
  })
  test('is an upgrade where the one before has been answered', async () => {
    scene.backend.upgrade = (_request, socket) => socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n')
    const client = await gateway.open()
    await client.write(get('/1')).answers(1)
    const answers = await client.write(webSocket('/socket')).answers(2)
    expect(answers.map(({ status }) => status)).toEqual([200, 403])
    expect(scene.backend.last.header('upgrade')).toEqual(['websocket'])
    client.destroy()
  })
})

test('an offer to upgrade that nobody takes is the last request, whatever came with it', async () => {
  const client = await gateway.open()
  client.write(
    `${get('/offer', 'Connection: Upgrade\r\nUpgrade: h2c\r\n')}POST /2 HTTP/1.1\r\nHost: localhost\r\nContent-Le`,
  )
  await client.answers(1)
  client.write(`ngth: 30\r\n\r\n${get('/smuggled')}`)
  expect((await client.untilClosed()).map(({ body }) => body)).toEqual(['/offer'])
  expect(asked()).toEqual(['/offer'])
})

describe('bytes that are no request', () => {
  test('behind requests: these are answered first, then comes 400', async () => {
    const client = await gateway.open()
    client.write(`${get('/held/1') + get('/held/2')}gar bage\r\n\r\n`)
    const begun = await waitFor('the first at the backend', () => held.get('/held/1'))
    begun.writeHead(200, { 'content-length': 6 }).write('be')
    await waitFor('the beginning of the answer', () => client.received.endsWith('be'))
    begun.end('ginn')
    await answerHeld('/held/2')
    const answers = await client.untilClosed()
    expect(answers.map(({ status, body }) => (status === 200 ? body : status))).toEqual(['beginn', '/held/2', 400])
  })
  test('as the body of a waiting request: it is not carried out', async () => {
    const client = await gateway.open()
    client.write(
      `${get('/held/1')}POST /pay HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n\r\n`,
    )
    await answerHeld('/held/1')
    expect((await client.untilClosed()).map(({ status }) => status)).toEqual([200, 400])
    expect(asked()).toEqual(['/held/1'])
  })
  test('and more of them: the client still gets its 400', async () => {
    for (let i = 0; i < 20; i++) {
      const client = await gateway.open()
      client.write('gar bage\r\n\r\n')
      await new Promise((resolve) => setImmediate(resolve))
      client.write('more'.repeat(10_000)).write('more'.repeat(10_000))
      const [answer] = await client.answers(1)
      expect(answer?.status).toBe(400)
      client.destroy()
    }
  })
  test('CONNECT behind a request: that is answered first', async () => {
    const client = await gateway.open()
    client.write(`${get('/held/1')}CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n`)
    await answerHeld('/held/1')
    expect((await client.untilClosed()).map(({ status }) => status)).toEqual([200, 405])
  })
})

test('keepalive_timeout: 0 keeps no connection', async () => {
  const listener = { listen: '127.0.0.1:0', servers: [scene.server()], keepalive_timeout: 0 }
  const keepsNone = await scene.start({ listeners: [listener] })
  const client = await keepsNone.open()
  const [answer] = await within(5, 'the end', client.write(get('/')).untilClosed())
  expect(answer?.headers).toContainEqual(['connection', 'close'])
})
