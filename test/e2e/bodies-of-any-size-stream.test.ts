import { Readable } from 'node:stream'
import { beforeAll, beforeEach, expect, test } from '@jest/globals'
import { ask } from '../support/client.ts'
import type { Gateway } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { pause, waitFor } from '../support/wait.ts'

// A gigabyte in CI would take half a minute of two cores; what is buffered whole shows with less. `SALLYPORT_TEST_MEGABYTES=1024` sends it.
const MEGABYTES = Number(process.env.SALLYPORT_TEST_MEGABYTES ?? 300)
const MEGABYTE = Buffer.alloc(1_000_000, 'x')
const LIMIT = 200

let scene: Scene
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  gateway = await scene.start()
})

beforeEach(() => scene.backend.reset())

function megabytes(count: number): Readable {
  return Readable.from(Array.from({ length: count }, () => MEGABYTE))
}

test('an upload larger than the memory limit of the process', async () => {
  const body = megabytes(MEGABYTES)
  const answer = await ask(gateway.port, '/', {
    method: 'POST',
    body,
    headers: { 'content-length': MEGABYTES * 1_000_000 },
  })
  expect(answer.status).toBe(200)
  expect(scene.backend.last.bytes).toBe(MEGABYTES * 1_000_000)
  expect(scene.backend.last.header('content-length')).toEqual([String(MEGABYTES * 1_000_000)])
  expect(gateway.peakMegabytes).toBeLessThan(LIMIT)
})

test('a chunked upload', async () => {
  const answer = await ask(gateway.port, '/', { method: 'POST', body: megabytes(50) })
  expect(answer.status).toBe(200)
  expect(scene.backend.last.bytes).toBe(50_000_000)
  expect(scene.backend.last.header('transfer-encoding')).toEqual(['chunked'])
  expect(scene.backend.last.header('content-length')).toEqual([])
})

test('a download that the client reads slowly holds the backend back', async () => {
  let written = 0
  scene.backend.respond = (_request, response) => {
    response.writeHead(200, { 'content-length': MEGABYTES * 1_000_000 })
    const push = () => {
      while (written < MEGABYTES) {
        written += 1
        if (!response.write(MEGABYTE)) return
      }
      response.end()
    }
    response.on('drain', push)
    push()
  }
  const response = await gateway.begin('/')
  response.pause()
  // The backend must come to a stop by itself, with most of the body unsent.
  let last = -1
  await waitFor('the backend to be held back', async () => {
    if (written === last) return true
    last = written
    await pause(400)
    return false
  })
  expect(written).toBeLessThan(MEGABYTES / 4)
  let received = 0
  for await (const chunk of response) received += (chunk as Buffer).length
  expect(received).toBe(MEGABYTES * 1_000_000)
  expect(gateway.peakMegabytes).toBeLessThan(LIMIT)
})

test('an upload that the backend reads slowly holds the client back', async () => {
  let resume: () => void = () => {}
  scene.backend.respond = (request, response) => {
    request.pause()
    resume = () => request.resume()
    request.on('end', () => response.end('done'))
  }
  let pulled = 0
  const body = new Readable({
    read() {
      pulled += 1
      this.push(pulled <= 100 ? MEGABYTE : null)
    },
  })
  const answer = ask(gateway.port, '/', { method: 'POST', body })
  await scene.backend.request('the upload', () => true)
  let last = -1
  await waitFor('the client to be held back', async () => {
    if (pulled === last) return true
    last = pulled
    await pause(400)
    return false
  })
  expect(pulled).toBeLessThan(60)
  resume()
  expect((await answer).text).toBe('done')
  expect(scene.backend.last.bytes).toBe(100_000_000)
})

test('an empty body stays empty', async () => {
  for (const [method, lines, expected] of [
    ['GET', '', []],
    ['POST', 'Content-Length: 0\r\n', ['0']],
    ['DELETE', '', []],
  ] as const) {
    scene.backend.reset()
    const [answer] = await gateway.talk(`${method} / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${lines}\r\n`)
    expect(answer?.status).toBe(200)
    expect([method, scene.backend.last.header('content-length')]).toEqual([method, expected])
    expect(scene.backend.last.header('transfer-encoding')).toEqual([])
    expect(scene.backend.last.bytes).toBe(0)
  }
})

test.each(['GET', 'DELETE', 'OPTIONS', 'PUT', 'PATCH', 'REPORT', 'SEARCH'])(
  '%s with a body, counted and chunked',
  async (method) => {
    const head = `${method} / HTTP/1.1\r\nHost: localhost\r\n`
    const bytes =
      `${head}Content-Length: 5\r\n\r\nhello` +
      `${head}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nworld\r\n0\r\n\r\n`
    const answers = await gateway.talk(bytes)
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expect(scene.backend.seen.map((seen) => [seen.method, seen.body.toString()])).toEqual([
      [method, 'hello'],
      [method, 'world'],
    ])
  },
)
