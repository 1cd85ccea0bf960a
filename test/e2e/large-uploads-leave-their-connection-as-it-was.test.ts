import { createHash } from 'node:crypto'
import { beforeAll, beforeEach, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

let scene: Scene
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene({ readsBodies: false })
  // What a backend closes just as it is used loses a POST; on a slow machine five seconds may pass between two tests.
  scene.backend.server.keepAliveTimeout = 60_000
  gateway = await scene.start()
})

beforeEach(() => {
  scene.backend.reset()
  scene.backend.respond = (request, response, { target }) => {
    const hash = createHash('sha256')
    request.on('data', (chunk: Buffer) => hash.update(chunk))
    request.on('end', () => response.end(`${target} ${hash.digest('hex')}`))
  }
})

/** The same numbers in each run. */
function numbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

interface Sent {
  readonly bytes: Buffer
  readonly answer: string
}

/** A request with a body of `length` bytes that look like requests, and what the backend is to answer. */
function post(target: string, length: number, chunked = false): Sent {
  const body = Buffer.alloc(length, `GET /never${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  const framing = chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${length}`
  const head = Buffer.from(`POST ${target} HTTP/1.1\r\nHost: localhost\r\n${framing}\r\n\r\n`)
  const parts = chunked ? [`${length.toString(16)}\r\n`, body, '\r\n0\r\n\r\n'] : [body]
  return {
    bytes: Buffer.concat([head, ...parts.map((part) => Buffer.from(part))]),
    answer: `${target} ${createHash('sha256').update(body).digest('hex')}`,
  }
}

const KILOBYTE = 1024
/** Around what one TLS record holds, and what waits for whoever is to take it. */
const LENGTHS = [1, 15, 16, 17, 63, 64, 65, 80, 81, 128, 300, 1000].map((size) => size * KILOBYTE)

test.each([1, 2, 3])('requests of all kinds one behind the other, cut anywhere (%i)', async (seed) => {
  const below = numbers(seed)
  const sent = Array.from({ length: 30 }, (_, i) => {
    const length = (LENGTHS[below(LENGTHS.length)] as number) - below(3) + 1
    return post(`/${i}`, i % 4 === 3 ? below(20) + 1 : length, below(5) === 0)
  })
  const connection = await gateway.open()
  const bytes = Buffer.concat(sent.map((request) => request.bytes))
  for (let at = 0, to = 0; at < bytes.length; at = to) {
    to = Math.min(bytes.length, at + 1 + below(below(2) ? 200_000 : 2000))
    connection.write(bytes.subarray(at, to))
    if (below(3) === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  const answers = await connection.answers(sent.length, 30)
  expect(answers.map(({ status, body }) => `${status} ${body}`)).toEqual(sent.map(({ answer }) => `200 ${answer}`))
  expect(scene.backend.seen).toHaveLength(sent.length)
  connection.destroy()
})

test('the rest of one that was answered early is dropped, and the next request is served', async () => {
  const { respond } = scene.backend
  scene.backend.respond = (request, response) => request.once('data', () => response.writeHead(409).end('enough'))
  const connection = await gateway.open()
  const { bytes } = post('/early', 3_000_000)
  connection.write(bytes.subarray(0, 300_000))
  expect(await connection.answers(1)).toMatchObject([{ status: 409, body: 'enough' }])
  scene.backend.respond = respond
  const next = post('/next', 200_000)
  connection.write(bytes.subarray(300_000)).write(next.bytes)
  const [, answer] = await connection.answers(2)
  expect(answer).toMatchObject({ status: 200, body: next.answer })
  expect(scene.backend.seen.map(({ target }) => target)).toEqual(['/early', '/next'])
  connection.destroy()
})

test('one that is refused by its head: its rest is dropped, and the next is served where reading it costs less than a new connection', async () => {
  const strict = await scene.start({
    services: [{ name: 'api', url: scene.backend.url, routes: [{ paths: ['/api'], strip_path: false }] }],
  })
  const connection = await strict.open()
  const short = post('/nowhere', 10_000).bytes
  const next = post('/api', 200_000)
  connection.write(short.subarray(0, 5000))
  expect(await connection.answers(1)).toMatchObject([{ status: 404 }])
  connection.write(Buffer.concat([short.subarray(5000), next.bytes]))
  expect((await connection.answers(2))[1]).toMatchObject({ status: 200, body: next.answer })
  connection.write(post('/nowhere', 3_000_000).bytes)
  const answers = await connection.untilClosed()
  expect(answers.map(({ status }) => status)).toEqual([404, 200, 404])
  expect(scene.backend.seen.map(({ target }) => target)).toEqual(['/api'])
})

test('one that is not taken holds its client back, and the next request is served', async () => {
  const { respond } = scene.backend
  let take: () => void = () => {}
  scene.backend.respond = (request, response, seen) => {
    take = () => respond(request, response, seen)
  }
  const upload = post('/waiting', 30_000_000)
  const next = post('/next', 200_000)
  const connection = await gateway.open()
  connection.write(upload.bytes).write(next.bytes)
  await scene.backend.request('the upload', () => true)
  let left = 0
  await waitFor('the client to be held back', async () => {
    const before = left
    left = connection.socket.writableLength
    await new Promise((resolve) => setTimeout(resolve, 100))
    return left === before
  })
  expect(left).toBeGreaterThan(10_000_000)
  take()
  scene.backend.respond = respond
  const answers = await connection.answers(2, 30)
  expect(answers.map(({ body }) => body)).toEqual([upload.answer, next.answer])
  connection.destroy()
})

test.each<[string, (connection: Awaited<ReturnType<Gateway['open']>>) => void]>([
  ['resets', (connection) => connection.destroy()],
  ['ends', (connection) => connection.socket.end()],
])(
  'a client that %s its connection within one: the backend sees it cut off, and other clients get theirs',
  async (_how, leave) => {
    const connection = await gateway.open()
    connection.write(post('/half', 1_000_000).bytes.subarray(0, 500_000))
    const half = await scene.backend.request('the request', ({ target }) => target === '/half')
    leave(connection)
    await waitFor('the abort', () => half.aborted)
    expect(await gateway.logged({ path: '/half' })).toMatchObject({ code: 'GW_CLIENT_CLOSED' })
    const others = await Promise.all(
      Array.from({ length: 5 }, async (_, i) => {
        const other = await gateway.open()
        const sent = [post(`/${i}/large`, 300_000), post(`/${i}/small`, 30)]
        for (const { bytes } of sent) other.write(bytes)
        const answers = await other.answers(2)
        other.destroy()
        return answers.map(({ body }) => body).join() === sent.map(({ answer }) => answer).join()
      }),
    )
    expect(others).toEqual([true, true, true, true, true])
  },
)
