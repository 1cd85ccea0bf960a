import { beforeAll, describe, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { type RawBackend, startRawBackend } from '../support/raw-backend.ts'
import { makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let upstream: RawBackend
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  upstream = await startRawBackend(scene.inside.server('localhost'))
  gateway = await scene.start({
    services: [{ name: 'api', url: upstream.url, retries: 0, routes: [{ name: 'all', paths: ['/'] }] }],
  })
})

const REQUEST = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
const UPGRADE =
  'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'

/** The client's answer, in raw bytes, where the upstream sends this. */
async function relay(answer: string, request: string): Promise<string> {
  upstream.onBytes = (connection) => {
    if (connection.received.endsWith('\r\n\r\n')) connection.write(answer)
  }
  const connection = await gateway.open()
  await connection.write(request).untilClosed()
  expect(gateway.child.running).toBe(true)
  return connection.received
}

describe.each([
  ['a request', REQUEST],
  ['an upgrade', UPGRADE],
])('%s', (_name, request) => {
  test.each([
    ['in Latin-1, without body', '404 nicht verf\xfcgbar', 'Content-Length: 0\r\n\r\n', '404 Not Found'],
    ['in Latin-1, with a body', '404 nicht verf\xfcgbar', 'Content-Length: 2\r\n\r\nno', '404 Not Found'],
    ['in UTF-8', '403 \xd0\x9e\xd0\x9a', 'Content-Length: 0\r\n\r\n', '403 Forbidden'],
    ['that would be CR LF', '403 a\xc4\x8d\xc4\x8aX-Evil: 1', 'Content-Length: 0\r\n\r\n', '403 Forbidden'],
  ])('a reason phrase %s is replaced by the standard one', async (_case, statusLine, rest, expected) => {
    const received = await relay(`HTTP/1.1 ${statusLine}\r\n${rest}`, request)
    expect(received.split('\r\n')[0]).toBe(`HTTP/1.1 ${expected}`)
    expect(received).not.toContain('X-Evil')
  })

  test('a reason phrase of ASCII passes', async () => {
    const received = await relay('HTTP/1.1 404 Gone Fishing\r\nContent-Length: 0\r\n\r\n', request)
    expect(received).toMatch(/^HTTP\/1\.1 404 Gone Fishing\r\n/)
  })

  test.each(['000', '099', '101'])('the status %s answers nothing', async (status) => {
    const received = await relay(`HTTP/1.1 ${status} x\r\nContent-Length: 0\r\n\r\n`, request)
    expect(received).toMatch(/^HTTP\/1\.1 502 /)
    expect(received).toMatch(/GW_UPSTREAM_RE(SPONSE|SET)/)
  })

  test.each([
    ['a folded line', 'X: a\r\n X-Evil: b'],
    ['a bare CR', 'X: a\rX-Evil: b'],
    ['a NUL', 'X: a\0b'],
    ['a control character', 'X: a\x01b'],
    ['DEL', 'X: a\x7fb'],
    ['a name with a space', 'X Y: a'],
  ])('a header with %s is refused', async (_case, header) => {
    const received = await relay(`HTTP/1.1 200 OK\r\n${header}\r\nContent-Length: 2\r\n\r\nok`, request)
    expect(received).toMatch(/^HTTP\/1\.1 502 /)
    expect(received).not.toContain('X-Evil')
  })

  test('a header of Latin-1 passes byte for byte', async () => {
    const received = await relay('HTTP/1.1 200 OK\r\nX-Name: \xe4\x8d\x8a\r\nContent-Length: 0\r\n\r\n', request)
    expect(received).toContain('\r\nX-Name: \xe4\x8d\x8a\r\n')
  })

  test('204 comes without Content-Length', async () => {
    const received = await relay('HTTP/1.1 204 No Content\r\ncontent-LENGTH: 0\r\nX-Kept: yes\r\n\r\n', request)
    expect(received).toMatch(/^HTTP\/1\.1 204 /)
    expect(received).toContain('X-Kept: yes')
    expect(received).not.toMatch(/content-length|transfer-encoding/i)
  })

  test('interim answers without end are cut off', async () => {
    const received = await relay('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(33), request)
    expect(received).toMatch(/HTTP\/1\.1 502 /)
    expect(received).toContain('GW_UPSTREAM_RESPONSE')
    expect(received.match(/HTTP\/1\.1 103/g)?.length ?? 0).toBeLessThanOrEqual(32)
  })

  test('as many interim answers as anyone needs do no harm', async () => {
    const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(32)
    const received = await relay(`${hints}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`, request)
    expect(received).toMatch(/HTTP\/1\.1 200 OK\r\n.*\r\n\r\nok$/s)
  })
})

test.each(['h2c', 'websocket, h2c', 'websocket\r\nUpgrade: h2c', 'xwebsocket'])(
  'an upgrade to another protocol than the one that was asked for (%j) is refused',
  async (protocol) => {
    const answer = `HTTP/1.1 101 Switching\r\nUpgrade: ${protocol}\r\nConnection: Upgrade\r\n\r\n`
    const received = await relay(answer, UPGRADE)
    expect(received).toMatch(/^HTTP\/1\.1 502 /)
    expect(received).toContain('GW_UPSTREAM_RESPONSE')
  },
)

test('the answer to an upgrade comes without Content-Length', async () => {
  upstream.onBytes = (connection) => {
    if (!connection.received.endsWith('\r\n\r\n')) return
    connection.write('HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 5\r\n\r\n')
    connection.socket.end()
  }
  const connection = await gateway.open()
  await connection.write(UPGRADE).untilClosed()
  expect(connection.received).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/)
  expect(connection.received).not.toMatch(/content-length/i)
})
