import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import type { RawAnswer } from '../support/raw.ts'
import { type RawBackend, startRawBackend } from '../support/raw-backend.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

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

beforeEach(() => {
  upstream.connections.length = 0
})

const REQUEST = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'

/** What the client gets when the upstream answers with these bytes, and then closes if told to. */
async function relay(
  answer: string,
  { request = REQUEST, close = false } = {},
): Promise<{ answers: readonly RawAnswer[]; received: string }> {
  upstream.onBytes = (connection) => {
    if (!connection.received.endsWith('\r\n\r\n')) return
    connection.write(answer)
    if (close) connection.socket.end()
  }
  const connection = await gateway.open()
  const answers = await connection.write(request).untilClosed()
  return { answers, received: connection.received }
}

test('a counted body', async () => {
  const { answers } = await relay('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello')
  expect(answers).toMatchObject([{ status: 200, body: 'hello' }])
  expect(answers[0]?.headers).toContainEqual(['content-length', '5'])
})

test('a chunked body', async () => {
  const { answers } = await relay(
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n',
  )
  expect(answers).toMatchObject([{ status: 200, body: 'hello world' }])
})

test('a body that ends with the connection', async () => {
  const { answers } = await relay('HTTP/1.1 200 OK\r\n\r\nhello', { close: true })
  expect(answers).toMatchObject([{ status: 200, body: 'hello' }])
})

test.each([
  ['204', 'HTTP/1.1 204 No Content\r\n\r\n'],
  ['304', 'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n'],
  ['304 with a length', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n'],
])('%s has no body', async (_name, answer) => {
  const { answers, received } = await relay(answer)
  expect(answers).toHaveLength(1)
  expect(received).toMatch(/^HTTP\/1\.1 [23]04 .*\r\n\r\n$/s)
  expect(answers[0]?.headers.map(([name]) => name)).not.toContain('transfer-encoding')
})

test('304 keeps the length of what was not sent again', async () => {
  const { answers } = await relay('HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n')
  expect(answers[0]?.headers).toContainEqual(['content-length', '500'])
})

test.each([
  ['with a length', 'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n', ['content-length', '500']],
  ['chunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Kind: chunked\r\n\r\n', ['x-kind', 'chunked']],
])('HEAD %s', async (_name, answer, header) => {
  const { received } = await relay(answer, { request: REQUEST.replace('GET', 'HEAD') })
  expect(received).toMatch(/^HTTP\/1\.1 200 .*\r\n\r\n$/s)
  expect(received.toLowerCase()).toContain(`${header[0]}: ${header[1]}\r\n`)
})

test('trailers of the answer, but none of ours', async () => {
  const { received } = await relay(
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Checksum\r\n\r\n2\r\nhi\r\n0\r\nX-Checksum: 42\r\nVERIFIED: SUCCESS\r\n\r\n',
    { request: REQUEST.replace('Connection: close', 'TE: trailers\r\nConnection: close, TE') },
  )
  expect(received).toMatch(/0\r\nX-Checksum: 42\r\n\r\n$/i)
  expect(received).not.toContain('VERIFIED')
})

test('interim answers do not end the exchange', async () => {
  const { answers } = await relay(
    'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
  )
  expect(answers.at(-1)).toMatchObject({ status: 200, body: 'ok' })
})

test('headers of interim answers pass line by line, but none of ours', async () => {
  const { received } = await relay(
    'HTTP/1.1 103 Early Hints\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nDN: CN=x\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
  )
  expect(received.split('\r\n\r\n')[0]).toBe('HTTP/1.1 103 Early Hints\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2')
})

test('header names and values pass as they are, doubled ones and Latin-1 included', async () => {
  const { received } = await relay(
    'HTTP/1.1 200 Fine\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nX-Name: caf\xe9\r\nContent-Length: 0\r\n\r\n',
  )
  expect(received).toMatch(/Set-Cookie: a=1\r\n/)
  expect(received).toMatch(/set-cookie: b=2\r\n/i)
  expect(received).toContain('X-Name: caf\xe9\r\n')
})

test('a value that is not in ASCII passes as it is, also where its head arrives before the body', async () => {
  let sendBody = () => {}
  upstream.onBytes = (connection) => {
    if (!connection.received.endsWith('\r\n\r\n')) return
    connection.write('HTTP/1.1 200 OK\r\nX-Name: caf\xe9\r\nContent-Length: 2\r\n\r\n')
    sendBody = () => connection.write('ok')
  }
  const connection = await gateway.open()
  connection.write(REQUEST)
  await waitFor('the head', () => connection.received.endsWith('\r\n\r\n'))
  sendBody()
  expect(await connection.untilClosed()).toMatchObject([{ status: 200, body: 'ok' }])
  expect(connection.received).toContain('X-Name: caf\xe9\r\n')
})

test("hop-by-hop headers stay on the upstream's side", async () => {
  const { answers } = await relay(
    'HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: gone\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nUpgrade: h2c\r\nX-End: kept\r\nContent-Length: 0\r\n\r\n',
  )
  const names = answers[0]?.headers.map(([name]) => name) ?? []
  expect(names).toContain('x-end')
  for (const gone of ['x-hop', 'keep-alive', 'proxy-authenticate', 'upgrade']) expect(names).not.toContain(gone)
})

test.each([
  ['is no HTTP', 'SSH-2.0-OpenSSH_9\r\n\r\n'],
  ['has two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!'],
  ['has a length that is none', 'HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello'],
  [
    'has a length and is chunked',
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['has a broken header', 'HTTP/1.1 200 OK\r\nno colon\r\n\r\n'],
  ['has a head of a megabyte', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(1_000_000)}\r\n\r\n`],
  ['is empty', ''],
])('an answer that %s becomes 502', async (_name, answer) => {
  const { answers } = await relay(answer, { close: true })
  expect(answers.map(({ status }) => status)).toEqual([502])
  expect(JSON.parse(answers[0]?.body ?? '')).toMatchObject({
    code: expect.stringMatching(/^GW_UPSTREAM_RE(SPONSE|SET)$/),
  })
})

test.each([
  ['counted', 'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhello'],
  ['chunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'],
])('a %s answer that is cut off is seen to be cut off', async (_name, answer) => {
  const { received } = await relay(answer, { close: true })
  expect(received).toContain('hello')
  expect(received).not.toMatch(/0\r\n\r\n$/s)
})

test('bytes after an answer do not become the answer to the next request', async () => {
  const poisoned = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison'
  await relay(poisoned)
  const { answers } = await relay('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nclean')
  expect(answers).toMatchObject([{ status: 200, body: 'clean' }])
})

describe('an answer of 426 keeps the protocols that it demands', () => {
  const PROTOCOLS = 'HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: x/1\r\n'
  const WHOLE = `${PROTOCOLS}Content-Length: 2\r\n\r\nno`
  const CHUNKED = `${PROTOCOLS}Transfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n`
  const ask = (version: string, more: string) => `GET / HTTP/${version}\r\nHost: localhost\r\n${more}\r\n`
  // Chunks are none of our own reader's requests.
  const POSTED = 'POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'
  const valuesOf = (answer: RawAnswer | undefined, wanted: string) =>
    answer?.headers.flatMap(([name, value]) => (name === wanted ? value.toLowerCase().split(', ') : []))

  test.each([
    ['at once', ask('1.1', ''), WHOLE],
    ['in chunks', ask('1.1', ''), CHUNKED],
    ['at once, read by node:http', POSTED, WHOLE],
    ['in chunks, read by node:http', POSTED, CHUNKED],
  ])('%s, and the connection is kept', async (_how, request, answer) => {
    const requestEnd = request === POSTED ? '\r\n0\r\n\r\n' : '\r\n\r\n'
    upstream.onBytes = (connection) => {
      if (!connection.received.endsWith(requestEnd)) return
      connection.received = ''
      connection.write(answer)
    }
    const connection = await gateway.open()
    const [first] = await connection.write(request).answers(1)
    expect(first).toMatchObject({ status: 426, body: 'no' })
    expect(valuesOf(first, 'upgrade')).toEqual(['websocket', 'x/1'])
    expect(valuesOf(first, 'connection')).toEqual(expect.arrayContaining(['upgrade', 'keep-alive']))
    expect(await connection.write(request).answers(2)).toHaveLength(2)
    connection.destroy()
  })

  test.each([
    ['at once', WHOLE],
    ['in chunks', CHUNKED],
  ])('%s, and the connection ends where the client wants that', async (_how, answer) => {
    const { answers } = await relay(answer)
    expect(answers).toMatchObject([{ status: 426, body: 'no' }])
    expect(valuesOf(answers[0], 'upgrade')).toEqual(['websocket', 'x/1'])
    expect(valuesOf(answers[0], 'connection')).toEqual(expect.arrayContaining(['upgrade', 'close']))
  })

  test.each([
    ['426 to HTTP/1.0', CHUNKED, ask('1.0', 'Connection: keep-alive\r\n')],
    ['any other answer', WHOLE.replace('426', '400'), ask('1.1', 'Connection: close\r\n')],
  ])('not %s', async (_what, answer, request) => {
    const { answers } = await relay(answer, { request })
    expect(answers).toMatchObject([{ body: 'no' }])
    expect(valuesOf(answers[0], 'upgrade')).toEqual([])
  })
})
