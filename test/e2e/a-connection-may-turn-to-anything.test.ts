// Plain requests are read without node:http; whatever else comes makes it serve the connection from there on. Nobody may notice.
import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import type { RawConnection } from '../support/raw.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { pause, waitFor, within } from '../support/wait.ts'

let scene: Scene
let gateway: Gateway
/** Answers that the backend has not given yet, by target. */
const held = new Map<string, ServerResponse>()

beforeAll(async () => {
  scene = await makeScene()
  gateway = await scene.start({
    listeners: [
      { listen: '127.0.0.1:0', servers: [scene.server()], client_header_timeout: '2s', keepalive_timeout: '10s' },
    ],
  })
  scene.backend.upgrade = (_request, socket, head) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    socket.write(head)
    socket.pipe(socket)
  }
})

beforeEach(() => {
  scene.backend.reset()
  held.clear()
  scene.backend.respond = (request, response, seen) => {
    if (seen.target.startsWith('/held')) held.set(seen.target, response)
    else request.on('end', () => response.end(`${seen.method} ${seen.target} ${digest(seen.body)}`))
  }
})

const digest = (body: Buffer | string) => createHash('sha256').update(body).digest('hex').slice(0, 8)
const request = (method: string, path: string, headers = '', body = '') =>
  `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n${body}`
const get = (path: string, headers = '') => request('GET', path, headers)
const post = (path: string, body: string, headers = '') =>
  request('POST', path, `${headers}Content-Length: ${body.length}\r\n`, body)
const answerTo = (method: string, path: string, body = '') => `${method} ${path} ${digest(body)}`
const asked = () => scene.backend.seen.map(({ target }) => target)

/** A connection on which a request and its answer have gone by. */
async function used(): Promise<RawConnection> {
  const client = await gateway.open()
  await client.write(get('/before')).answers(1)
  return client
}

async function answerHeld(target: string): Promise<void> {
  const response = await waitFor(`${target} at the backend`, () => held.get(target))
  response.end(target)
}

describe('after a plain request comes', () => {
  test.each<[what: string, pieces: readonly string[], bodies: readonly string[]]>([
    ['another', [get('/2')], [answerTo('GET', '/2')]],
    ['one with a body', [post('/2', 'x'.repeat(1024))], [answerTo('POST', '/2', 'x'.repeat(1024))]],
    ['one whose body comes later', [post('/2', 'abc').slice(0, -3), 'abc'], [answerTo('POST', '/2', 'abc')]],
    ['one whose body comes in pieces', [post('/2', 'abc').slice(0, -2), 'b', 'c'], [answerTo('POST', '/2', 'abc')]],
    ['one whose head comes in pieces', ['GET /2 HT', 'TP/1.1\r\nHost: local', 'host\r\n\r\n'], [answerTo('GET', '/2')]],
    ['one with a large body', [post('/2', 'y'.repeat(300_000))], [answerTo('POST', '/2', 'y'.repeat(300_000))]],
    [
      'a chunked one',
      [request('POST', '/2', 'Transfer-Encoding: chunked\r\n', '3\r\nabc\r\n0\r\nX-Trailer: a\r\n\r\n')],
      [answerTo('POST', '/2', 'abc')],
    ],
    ['two at once', [get('/2') + post('/3', 'abc')], [answerTo('GET', '/2'), answerTo('POST', '/3', 'abc')]],
    ['one behind a blank line', [`\r\n${get('/2')}`], [answerTo('GET', '/2')]],
    ['one with Latin-1 in a header', [get('/2', 'X-Name: J\xf6rg\r\n')], [answerTo('GET', '/2')]],
    [
      'one and a half',
      [get('/2') + get('/3').slice(0, 20), get('/3').slice(20)],
      ['/2', '/3'].map((p) => answerTo('GET', p)),
    ],
  ])('%s', async (_what, pieces, bodies) => {
    const client = await used()
    for (const piece of pieces) {
      client.write(piece)
      await pause(20)
    }
    const answers = await client.answers(1 + bodies.length)
    expect(answers.map(({ status, body }) => [status, body])).toEqual(
      [answerTo('GET', '/before'), ...bodies].map((body) => [200, body]),
    )
    // And a plain one again, whoever serves the connection by now.
    expect((await client.write(get('/last')).answers(2 + bodies.length)).at(-1)?.body).toBe(answerTo('GET', '/last'))
    client.destroy()
  })

  test('one that waits for 100', async () => {
    const client = await used()
    client.write(post('/2', 'abc', 'Expect: 100-continue\r\n').slice(0, -3))
    expect((await client.answers(2))[1]).toMatchObject({ status: 100 })
    expect((await client.write('abc').answers(3))[2]?.body).toBe(answerTo('POST', '/2', 'abc'))
    client.destroy()
  })

  test.each([
    ['HTTP/1.0', 'GET /2 HTTP/1.0\r\nHost: localhost\r\n\r\n'],
    ['the last one', get('/2', 'Connection: close\r\n')],
  ])('%s, and the connection ends', async (_what, bytes) => {
    const client = await used()
    expect((await client.write(bytes).untilClosed())[1]).toMatchObject({ status: 200, body: answerTo('GET', '/2') })
  })

  test.each([
    ['a lone LF', 'GET /2 HTTP/1.1\nHost: localhost\n\n'],
    ['two lengths', request('POST', '/2', 'Content-Length: 1\r\nContent-Length: 1\r\n', 'a')],
    ['length and chunked', request('POST', '/2', 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n')],
    ['what is no request', 'hello\r\n\r\n'],
  ])('%s: 400, and nothing of it or behind it reaches the backend', async (_what, bytes) => {
    const client = await used()
    expect((await client.write(bytes + get('/smuggled')).untilClosed())[1]).toMatchObject({ status: 400 })
    expect(asked()).toEqual(['/before'])
  })

  test('a WebSocket', async () => {
    const client = await used()
    client.write(
      get(
        '/chat',
        'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n',
      ),
    )
    await waitFor('the upgrade', () => client.received.includes(' 101 '))
    client.write('to and fro')
    await waitFor('the echo', () => client.received.endsWith('\r\n\r\nto and fro'))
    client.destroy()
  })

  test('a head that never ends: 408', async () => {
    const client = await used()
    expect((await client.write('GET /2 HTTP/1.1\r\nHost: l').untilClosed())[1]).toMatchObject({ status: 408 })
  })
})

describe('what comes while an answer is on its way is served behind it', () => {
  test.each<[what: string, bytes: string, targets: readonly string[]]>([
    ['one request', get('/2'), ['/2']],
    ['three', get('/2') + post('/3', 'abc') + get('/4'), ['/2', '/3', '/4']],
    [
      'more than is kept',
      Array.from({ length: 60 }, (_, i) => post(`/${i}`, 'x'.repeat(8000))).join(''),
      Array.from({ length: 60 }, (_, i) => `/${i}`),
    ],
  ])('%s', async (_what, bytes, targets) => {
    const client = await gateway.open()
    client.write(get('/held'))
    await waitFor('the first', () => held.has('/held'))
    client.write(bytes)
    await pause(50)
    expect(asked()).toEqual(['/held'])
    await answerHeld('/held')
    const answers = await client.answers(1 + targets.length)
    expect(answers.map(({ status, body }) => [status, body.split(' ')[1] ?? body])).toEqual(
      ['/held', ...targets].map((target) => [200, target]),
    )
    expect(asked()).toEqual(['/held', ...targets])
    client.destroy()
  })

  test('half a request waits for its other half', async () => {
    const client = await gateway.open()
    client.write(get('/held'))
    await waitFor('the first', () => held.has('/held'))
    client.write(get('/2').slice(0, 10))
    await pause(20)
    await answerHeld('/held')
    await client.answers(1)
    expect((await client.write(get('/2').slice(10)).answers(2))[1]?.body).toBe(answerTo('GET', '/2'))
    client.destroy()
  })

  test('and is dropped where the client leaves, whose request is aborted', async () => {
    const client = await gateway.open()
    client.write(get('/held/left'))
    await waitFor('the first', () => held.has('/held/left'))
    client.write(get('/never'))
    await pause(20)
    client.destroy()
    await waitFor('the abort', () => scene.backend.seen[0]?.aborted)
    expect(await gateway.logged({ path: '/held/left', status: 499 })).toMatchObject({ code: 'GW_CLIENT_CLOSED' })
    expect(asked()).toEqual(['/held/left'])
  })
})

test('nobody waits longer for the first request of a client that sends its first byte late', async () => {
  const begun = performance.now()
  const client = await gateway.open()
  await pause(1200)
  client.write('G')
  const answers = await client.untilClosed()
  expect(answers).toMatchObject([{ status: 408 }])
  // Another two seconds from the first byte would be 3.2.
  expect(performance.now() - begun).toBeLessThan(3100)
})

test('a client that ends its side is not waited for', async () => {
  const client = await used()
  client.socket.end()
  await within(8, 'the end', client.closed)
})

test('what a request received and sent is counted alike, whoever reads it', async () => {
  const client = await gateway.open()
  const sizes: unknown[] = []
  for (const method of ['GET', 'GET', 'BREW', 'GET']) {
    const path = `/counted/${sizes.length}`
    client.write(`${method === 'BREW' ? '\r\n' : ''}${get(path)}`)
    await client.answers(sizes.length + 1)
    const { bytes_received, bytes_sent, duration_ms } = await gateway.logged({ path })
    expect(duration_ms).toBeGreaterThan(0)
    sizes.push([bytes_received, bytes_sent])
  }
  client.destroy()
  const [first] = sizes as [[number, number]]
  expect(sizes).toEqual([first, first, [first[0] + 2, first[1]], first])
})
