import { connect, type TLSSocket } from 'node:tls'
import { beforeAll, describe, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway
beforeAll(async () => {
  scene = await makeScene()
  gateway = await scene.start({})
})

interface Talk {
  readonly chosen: string | false | null
  readonly answer: string
}

/** One request in the words of a client that offers these protocols in its handshake. */
async function talk(offered: readonly string[], version: '1.0' | '1.1', line = ''): Promise<Talk> {
  const { chain: cert, key } = scene.ada
  const socket: TLSSocket = connect({
    ...{ port: gateway.port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false, cert, key },
    ALPNProtocols: [...offered],
  })
  let chosen: Talk['chosen'] = null
  socket.once('secureConnect', () => {
    chosen = socket.alpnProtocol
  })
  socket.write(`GET / HTTP/${version}\r\nHost: localhost\r\n${line}\r\n`)
  return { answer: Buffer.concat(await socket.toArray()).toString('latin1'), chosen }
}

describe.each([
  ['HTTP/1.0', '1.0', ''],
  ['HTTP/1.1 and the end of its connection', '1.1', 'Connection: close\r\n'],
] as const)('a client of %s is answered, and its connection ends', (_what, version, line) => {
  test.each([
    [[], false],
    [['http/1.0'], 'http/1.0'],
    [['http/1.1'], 'http/1.1'],
    [['http/1.0', 'http/1.1'], 'http/1.1'],
    [['h2', 'http/1.1'], 'http/1.1'],
  ] as const)('offering %j', async (offered, chosen) => {
    const read = await talk(offered, version, line)
    expect(read.chosen).toBe(chosen)
    expect(read.answer).toMatch(/^HTTP\/1\.1 200 OK\r\n(?:.*\r\n)*Connection: close\r\n/)
    expect(read.answer).toContain('CN=ada')
  })
})

test('one that offers only what the gateway does not speak is refused in the handshake', async () => {
  await expect(talk(['h2'], '1.1')).rejects.toThrow(/no application protocol/i)
})
