// A record of the full length costs malloc a walk through the holes that closed connections have left; a much shorter one costs large bodies more records.
import { connect, createServer, type Socket } from 'node:net'
import { expect, test } from '@jest/globals'
import { whenFileEnds } from '../support/cleanup.ts'
import { ask } from '../support/client.ts'
import { makeScene } from '../support/scene.ts'

const HEADER = 5
const APPLICATION_DATA = 23
/** The type of the content, and the tag. */
const SEALED = 1 + 16

/** The lengths of the records with data in a stream. */
function recordsOf(stream: Buffer): number[] {
  const lengths: number[] = []
  for (let at = 0; at + HEADER <= stream.length; at += HEADER + stream.readUInt16BE(at + 3)) {
    if (stream[at] === APPLICATION_DATA) lengths.push(stream.readUInt16BE(at + 3) - SEALED)
  }
  return lengths
}

/** Passes everything on to a port, and keeps what went each way. */
async function relayTo(port: () => number) {
  const seen = { there: [] as Buffer[], back: [] as Buffer[] }
  const sockets: Socket[] = []
  const server = createServer((near) => {
    const far = connect(port(), '127.0.0.1')
    sockets.push(near, far)
    for (const socket of [near, far]) socket.on('error', () => {})
    near.on('data', (bytes: Buffer) => seen.there.push(bytes)).pipe(far)
    far.on('data', (bytes: Buffer) => seen.back.push(bytes)).pipe(near)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  whenFileEnds(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return { port: (server.address() as { port: number }).port, seen }
}

test('tls records are a little shorter than they may be, to clients and to upstreams', async () => {
  const scene = await makeScene()
  const body = 'x'.repeat(300_000)
  scene.backend.respond = (request, response) => void request.resume().on('end', () => response.end(body))
  const inside = await relayTo(() => Number(new URL(scene.backend.url).port))
  const url = `https://localhost:${inside.port}`
  const gateway = await scene.start({
    services: [{ name: 'api', url, routes: [{ name: 'everything', paths: ['/'] }] }],
  })
  const outside = await relayTo(() => gateway.port)
  const answer = await ask(outside.port, '/', { as: scene.ada, method: 'POST', body })
  expect([answer.status, answer.text.length]).toEqual([200, body.length])
  for (const sent of [outside.seen.back, inside.seen.there]) {
    expect(Math.max(...recordsOf(Buffer.concat(sent)))).toBe(16_160)
  }
})
