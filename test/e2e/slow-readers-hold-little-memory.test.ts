import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { expect, test } from '@jest/globals'
import { makeScene } from '../support/scene.ts'
import { pause } from '../support/wait.ts'

// A hundred take many seconds of a busy machine: `SALLYPORT_TEST_READERS=100`.
const READERS = Number(process.env.SALLYPORT_TEST_READERS ?? 25)
const BODY_MEGABYTES = 100
/** Of each answer, a little at a time: enough that all buffers on the way are full, and are filled again and again. */
const TAKEN = 600_000
/** For each reader, with two TLS connections, what may wait in between (256 KB), what of that is encrypted already, and garbage. */
const MEGABYTES_EACH = 2
/** What V8 takes under any load of that kind: a young generation of 16 MB, code, and garbage of both generations. */
const MEGABYTES_ONCE = 80

async function takeSlowly(response: IncomingMessage): Promise<number> {
  let taken = 0
  for await (const chunk of response) {
    taken += (chunk as Buffer).length
    if (taken >= TAKEN) break
    await pause(20)
  }
  return taken
}

test('many who read 100 MB each, slowly, hold what may wait for each and no more', async () => {
  const scene = await makeScene()
  const megabyte = Buffer.alloc(1_000_000, 'x')
  scene.backend.respond = (_request, response) => {
    response.writeHead(200, { 'content-length': BODY_MEGABYTES * megabyte.length })
    Readable.from(Array.from({ length: BODY_MEGABYTES }, () => megabyte)).pipe(response)
  }
  const gateway = await scene.start()
  // What one stream makes the process take is taken once.
  await takeSlowly(await gateway.begin('/'))
  const before = gateway.peakMegabytes
  const responses = await Promise.all(Array.from({ length: READERS }, () => gateway.begin('/', { as: scene.ada })))
  const taken = await Promise.all(responses.map(takeSlowly))
  expect(Math.min(...taken)).toBeGreaterThanOrEqual(TAKEN)
  expect(gateway.peakMegabytes - before).toBeLessThan(MEGABYTES_ONCE + READERS * MEGABYTES_EACH)
})
