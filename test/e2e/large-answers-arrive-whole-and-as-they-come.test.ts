import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { beforeAll, beforeEach, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

let scene: Scene
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  gateway = await scene.start()
})

beforeEach(() => scene.backend.reset())

const KILOBYTE = 1024
/** Around what one TLS record holds, what several reads are gathered in, and what may wait for a client. */
const LENGTHS = [16, 17, 32, 33, 100, 111, 112, 113, 127, 128, 129, 224, 256, 300, 1000].map((size) => size * KILOBYTE)

/** No two parts of it are alike. */
function bodyOf(length: number): Buffer {
  const body = Buffer.alloc(length)
  for (let at = 0; at + 4 <= length; at += 4) body.writeUInt32LE(at ^ length, at)
  return body
}

function hashOf(body: Buffer | string): string {
  return createHash('sha256')
    .update(typeof body === 'string' ? Buffer.from(body, 'latin1') : body)
    .digest('hex')
}

/** In parts, with a turn of the event loop after each. */
async function sendInParts(response: ServerResponse, body: Buffer, part: number): Promise<void> {
  for (let at = 0; at < body.length; at += part) {
    response.write(body.subarray(at, at + part))
    await new Promise((resolve) => setImmediate(resolve))
  }
  response.end()
}

test.each([
  ['at once', Number.POSITIVE_INFINITY],
  ['in parts of 5,000 bytes', 5000],
  ['in parts of 50,000 bytes', 50_000],
])('answers of all lengths, sent %s, one behind the other on one connection', async (_how, part) => {
  scene.backend.respond = (request, response) => {
    const body = bodyOf(Number(request.url?.slice(1)))
    response.writeHead(200, { 'content-length': body.length })
    void sendInParts(response, body, Math.min(part, body.length))
  }
  const lengths = LENGTHS.flatMap((length) => [length - 1, length, length + 1])
  const connection = await gateway.open()
  connection.write(lengths.map((length) => `GET /${length} HTTP/1.1\r\nHost: localhost\r\n\r\n`).join(''))
  const answers = await connection.answers(lengths.length, 30)
  expect(answers.map(({ status, body }) => [status, body.length, hashOf(body)])).toEqual(
    lengths.map((length) => [200, length, hashOf(bodyOf(length))]),
  )
  connection.destroy()
})

test.each([20_000, 100_000, 1_000_000])('the first part of %i bytes is not held back for the rest', async (length) => {
  const body = bodyOf(length)
  let sendRest: () => void = () => {}
  scene.backend.respond = (_request, response) => {
    response.writeHead(200, { 'content-length': length })
    response.write(body.subarray(0, length / 2))
    sendRest = () => response.end(body.subarray(length / 2))
  }
  const response = await gateway.begin('/')
  const parts: Buffer[] = []
  let received = 0
  response.on('data', (chunk: Buffer) => {
    parts.push(chunk)
    received += chunk.length
  })
  await waitFor('the first part', () => received === length / 2)
  sendRest()
  await waitFor('the rest', () => received === length)
  expect(Buffer.concat(parts).equals(body)).toBe(true)
})

test('one that the upstream breaks off is never taken for whole', async () => {
  scene.backend.respond = (request, response) => {
    response.writeHead(200, { 'content-length': 100_000 })
    response.write(bodyOf(60_000), () => request.socket.destroy())
  }
  const connection = await gateway.open()
  connection.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await connection.closed
  const [head, body = ''] = connection.received.split('\r\n\r\n')
  expect(head).toMatch(/^HTTP\/1\.1 (200|502) /)
  expect(body.length).toBeLessThan(100_000)
})
