import { beforeAll, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { pause } from '../support/wait.ts'

const CLIENTS = 24
const SIZE = 3_000_000
/** What is read at once, and leaves in one write. */
const WHOLE = 12_000

let scene: Scene
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  gateway = await scene.start()
  // Each client's body consists of its own byte, in pieces that do not fit into any buffer.
  scene.backend.respond = (request, response) => {
    const byte = Number(/\d+/.exec(request.url ?? '')?.[0])
    if (request.url?.startsWith('/whole')) {
      response.writeHead(200, { 'content-length': WHOLE }).end(Buffer.alloc(WHOLE, byte))
      return
    }
    response.writeHead(200, byte % 2 === 0 ? { 'content-length': SIZE } : {})
    let left = SIZE
    const push = () => {
      while (left > 0) {
        const length = Math.min(left, 1 + ((left * 7919) % 40_000))
        left -= length
        if (!response.write(Buffer.alloc(length, byte))) return
      }
      response.end()
    }
    response.on('drain', push)
    push()
  }
})

/** Some clients read as fast as they can, some stop every now and then, and some leave in the middle. */
async function download(byte: number): Promise<number> {
  const response = await gateway.begin(`/${byte}`)
  let received = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    if (chunk.some((value) => value !== byte)) throw new Error(`client ${byte} got bytes of another`)
    received += chunk.length
    if (byte % 3 === 0 && received % 5 === 0) await pause(2)
    if (byte % 4 === 1 && received > SIZE / 2) break
  }
  return received
}

test('every client gets its own bytes and no others, however the rest of them read', async () => {
  for (let round = 0; round < 3; round++) {
    const counts = await Promise.all(Array.from({ length: CLIENTS }, (_, i) => download(i + 1)))
    for (const [i, count] of counts.entries()) if ((i + 1) % 4 !== 1) expect(count).toBe(SIZE)
  }
})

test('nor where answers are passed on whole, and some clients begin to read late', async () => {
  const COUNT = 300
  const bytes = [65, 66, 67, 68, 69, 70]
  const clients = await Promise.all(bytes.map(() => gateway.open()))
  for (const [i, client] of clients.entries()) {
    if (i % 2 === 0) client.socket.pause()
    const ask = (last: string) => `GET /whole/${bytes[i]} HTTP/1.1\r\nHost: localhost\r\n${last}\r\n`
    client.write(ask('').repeat(COUNT - 1) + ask('Connection: close\r\n'))
  }
  // Those who read are done before the others begin: what waits for these lies in buffers that are used again and again.
  await Promise.all(clients.filter((_, i) => i % 2 === 1).map((client) => client.closed))
  for (const client of clients) client.socket.resume()
  for (const [i, client] of clients.entries()) {
    await client.closed
    const body = String.fromCharCode(bytes[i] as number).repeat(WHOLE)
    const answers = client.received.split(/HTTP\/1\.1 200 OK\r\n(?:[^\r]+\r\n)+\r\n/)
    expect(answers.length - 1).toBe(COUNT)
    expect(answers.every((answer, k) => answer === (k === 0 ? '' : body))).toBe(true)
  }
})
