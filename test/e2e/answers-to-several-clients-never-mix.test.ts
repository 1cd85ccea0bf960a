import { beforeAll, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { pause } from '../support/wait.ts'

const CLIENTS = 24
const SIZE = 3_000_000

let scene: Scene
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  gateway = await scene.start()
  // Each client's body consists of its own byte, in pieces that do not fit into any buffer.
  scene.backend.respond = (request, response) => {
    const byte = Number(/\d+/.exec(request.url ?? '')?.[0])
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
}, 60_000)
