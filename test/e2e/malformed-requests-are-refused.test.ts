// Every row of the parsing and smuggling research: bytes over a raw socket, what the client gets, and what the upstream saw.
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { type RawBackend, startRawBackend } from '../support/raw-backend.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

let scene: Scene
let upstream: RawBackend
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  upstream = await startRawBackend(scene.inside.server('localhost'), (connection) => {
    if (isWhole(connection.received))
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok')
  })
  gateway = await scene.start({
    services: [{ name: 'api', url: upstream.url, retries: 0, routes: [{ name: 'all', paths: ['/'] }] }],
  })
})

beforeEach(() => {
  upstream.connections.length = 0
})

function isWhole(received: string): boolean {
  const [head = '', body] = received.split(/\r\n\r\n(.*)/s)
  if (body === undefined) return false
  const length = /^content-length: (\d+)/im.exec(head)?.[1]
  if (/^transfer-encoding: chunked/im.test(head)) return received.endsWith('0\r\n\r\n')
  return length === undefined || body.length >= Number(length)
}

/** Without connections that carried nothing: one that was opened for a request which was cut off may come late. */
const received = () => upstream.connections.map((connection) => connection.received).filter((text) => text !== '')

const HOST = 'Host: localhost\r\n'
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n'

describe('is refused, and the upstream sees nothing of it', () => {
  test.each<[what: string, bytes: string, status: number | readonly number[]]>([
    ['bare LF at the end of lines', 'GET / HTTP/1.1\nHost: localhost\n\n', 400],
    ['bare LF in one line', `GET / HTTP/1.1\r\n${HOST}X: y\n\r\n`, 400],
    ['bare CR in a value', `GET / HTTP/1.1\r\n${HOST}X: y\rZ: w\r\n\r\n`, 400],
    ['a folded line', `GET / HTTP/1.1\r\n${HOST}X: y\r\n folded\r\n\r\n`, 400],
    ['a blank before the colon', `GET / HTTP/1.1\r\n${HOST}X : y\r\n\r\n`, 400],
    ['a blank before the first header', `GET / HTTP/1.1\r\n ${HOST}\r\n`, 400],
    ['NUL in a value', `GET / HTTP/1.1\r\n${HOST}X: a\0b\r\n\r\n`, 400],
    ['a header without a colon', `GET / HTTP/1.1\r\n${HOST}nonsense\r\n\r\n`, 400],
    ['a header without a name', `GET / HTTP/1.1\r\n${HOST}: y\r\n\r\n`, 400],
    ['a control character in a name', `GET / HTTP/1.1\r\n${HOST}X\x01Y: y\r\n\r\n`, 400],
    [
      'length and chunked',
      `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      400,
    ],
    [
      'chunked and length',
      `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
      400,
    ],
    ['two equal lengths', `POST / HTTP/1.1\r\n${HOST}Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi`, 400],
    ['two different lengths', `POST / HTTP/1.1\r\n${HOST}Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi!`, 400],
    ['a list of lengths', `POST / HTTP/1.1\r\n${HOST}Content-Length: 2, 2\r\n\r\nhi`, 400],
    ['a length with a sign', `POST / HTTP/1.1\r\n${HOST}Content-Length: +2\r\n\r\nhi`, 400],
    ['a negative length', `POST / HTTP/1.1\r\n${HOST}Content-Length: -2\r\n\r\nhi`, 400],
    ['a length in hexadecimal', `POST / HTTP/1.1\r\n${HOST}Content-Length: 0x2\r\n\r\nhi`, 400],
    [
      'a length beyond all bounds',
      `POST / HTTP/1.1\r\n${HOST}Content-Length: 99999999999999999999\r\n\r\nhi`,
      [400, 413],
    ],
    ['an empty length', `POST / HTTP/1.1\r\n${HOST}Content-Length:\r\n\r\n`, 400],
    [
      'chunked, identity',
      `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
      [400, 501],
    ],
    [
      'identity, chunked',
      `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n`,
      [400, 501],
    ],
    ['gzip, chunked', `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, [400, 501]],
    ['identity alone', `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: identity\r\n\r\n`, [400, 501]],
    ['xchunked', `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`, [400, 501]],
    [
      'chunked twice in one line',
      `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n`,
      [400, 501],
    ],
    [
      'chunked in two lines',
      `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      [400, 501],
    ],
    ['chunked with a tab', `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`, [400, 501]],
    ['HTTP/1.0 and chunked', `POST / HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ['HTTP/1.2', `GET / HTTP/1.2\r\n${HOST}\r\n`, [400, 505]],
    ['HTTP/2.0 in words', `GET / HTTP/2.0\r\n${HOST}\r\n`, [400, 505]],
    ['http in lower case', `GET / http/1.1\r\n${HOST}\r\n`, 400],
    ['HTTP/0.9', 'GET /\r\n\r\n', 400],
    ['an unknown method', `BREW / HTTP/1.1\r\n${HOST}\r\n`, [400, 405]],
    ['a method in lower case', `get / HTTP/1.1\r\n${HOST}\r\n`, [400, 405]],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['two Hosts', `GET / HTTP/1.1\r\n${HOST}${HOST}\r\n`, 400],
    ['two different Hosts', `GET / HTTP/1.1\r\n${HOST}Host: other.test\r\n\r\n`, 400],
    ['an empty Host', 'GET / HTTP/1.1\r\nHost:\r\n\r\n', 400],
    ['a Host with a path', 'GET / HTTP/1.1\r\nHost: localhost/x\r\n\r\n', 400],
    ['a Host with a user', 'GET / HTTP/1.1\r\nHost: user@localhost\r\n\r\n', 400],
    ['a Host with two ports', 'GET / HTTP/1.1\r\nHost: localhost:1:2\r\n\r\n', 400],
    ['a Host with a blank', 'GET / HTTP/1.1\r\nHost: local host\r\n\r\n', 400],
    ['a list of Hosts', 'GET / HTTP/1.1\r\nHost: localhost, other.test\r\n\r\n', 400],
    ['an absolute target with another Host', `GET https://other.test/ HTTP/1.1\r\n${HOST}\r\n`, [400, 421]],
    ['an absolute target of another scheme', `GET ftp://localhost/ HTTP/1.1\r\n${HOST}\r\n`, 400],
    ['an absolute target with a user', `GET https://user@localhost/ HTTP/1.1\r\n${HOST}\r\n`, 400],
    ['a target that is no path', `GET x HTTP/1.1\r\n${HOST}\r\n`, 400],
    ['a target with two blanks', `GET / x HTTP/1.1\r\n${HOST}\r\n`, 400],
    ['a target with a fragment', `GET /#x HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`, 400],
    ['a target with a tab', `GET /a\tb HTTP/1.1\r\n${HOST}\r\n`, 400],
    ['CONNECT', `CONNECT localhost:443 HTTP/1.1\r\n${HOST}\r\n`, 405],
    [
      'CONNECT with a body',
      `CONNECT localhost:443 HTTP/1.1\r\n${HOST}Content-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
      405,
    ],
    ['TRACE', `TRACE / HTTP/1.1\r\n${HOST}\r\n`, 405],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400, 405, 505]],
    [
      'a websocket with a body',
      `GET / HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: 2\r\n\r\nhi`,
      400,
    ],
  ])('%s', async (_what, bytes, status) => {
    const answers = await gateway.talk(bytes)
    const allowed = typeof status === 'number' ? [status] : status
    expect(answers).toHaveLength(1)
    expect(allowed).toContain(answers[0]?.status)
    expect(answers[0]?.headers).toContainEqual(['connection', 'close'])
    expect(received()).toEqual([])
  })
})

describe('a body that breaks off the rules is cut off, and never looks complete to the upstream', () => {
  const chunked = `POST /broken HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`
  test.each([
    ['a size with a blank', `${chunked}3 \r\nabc\r\n0\r\n\r\n`],
    ['a size with LF only', `${chunked}3\nabc\r\n0\r\n\r\n`],
    ['a size that is none', `${chunked}zz\r\nabc\r\n0\r\n\r\n`],
    ['a size with a prefix', `${chunked}0x3\r\nabc\r\n0\r\n\r\n`],
    ['a negative size', `${chunked}-3\r\nabc\r\n0\r\n\r\n`],
    ['a size beyond all bounds', `${chunked}fffffffffffffffff\r\nabc\r\n0\r\n\r\n`],
    ['data without its line end', `${chunked}3\r\nabcX0\r\n\r\n`],
    ['more data than its size', `${chunked}3\r\nabcdef\r\n0\r\n\r\n`],
    ['an end of line, carriage return and something', `${chunked}0\r\n\rX`],
    ['an extension of a hundred kilobytes', `${chunked}3;${'x'.repeat(100_000)}\r\nabc\r\n0\r\n\r\n`],
    ['a trailer with a bare LF', `${chunked}0\r\nX: y\n\r\n`],
  ])('%s', async (_what, bytes) => {
    const answers = await gateway.talk(`${bytes}${SMUGGLED}`)
    expect(answers.map(({ status }) => status).filter((status) => status !== 400)).toEqual([])
    for (const text of received()) expect(text).not.toMatch(/0\r\n\r\n$/)
    expect(received().join()).not.toContain('/smuggled')
  })
})

describe('is accepted, and the upstream sees exactly one honest request', () => {
  test.each<[what: string, bytes: string, target: string, body: string]>([
    ['empty lines before the request', `\r\n\r\nGET /a HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`, '/a', ''],
    ['a GET with a body', `GET /a HTTP/1.1\r\n${HOST}Connection: close\r\nContent-Length: 2\r\n\r\nhi`, '/a', 'hi'],
    [
      'a chunked DELETE',
      `DELETE /a HTTP/1.1\r\n${HOST}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n`,
      '/a',
      'hi',
    ],
    [
      'a chunked OPTIONS',
      `OPTIONS /a HTTP/1.1\r\n${HOST}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n`,
      '/a',
      'hi',
    ],
    [
      'Transfer-Encoding: Chunked',
      `POST /a HTTP/1.1\r\n${HOST}Connection: close\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n`,
      '/a',
      'hi',
    ],
    [
      'chunk extensions',
      `POST /a HTTP/1.1\r\n${HOST}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b;c="d"\r\nhi\r\n0;x\r\n\r\n`,
      '/a',
      'hi',
    ],
    [
      'an absolute target with the same Host',
      `GET https://localhost/a?x=1 HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`,
      '/a?x=1',
      '',
    ],
    ['HTTP/1.0', 'GET /a HTTP/1.0\r\nHost: localhost\r\n\r\n', '/a', ''],
    ['Latin-1 in a value', `GET /a HTTP/1.1\r\n${HOST}Connection: close\r\nX-Name: caf\xe9\r\n\r\n`, '/a', ''],
    [
      'an upgrade to h2c, as an ordinary request',
      `GET /a HTTP/1.1\r\n${HOST}Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n`,
      '/a',
      '',
    ],
    [
      'an upgrade by POST, as an ordinary request',
      `POST /a HTTP/1.1\r\n${HOST}Connection: Upgrade, close\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nhi`,
      '/a',
      'hi',
    ],
    ['Connection: Upgrade without Upgrade', `GET /a HTTP/1.1\r\n${HOST}Connection: Upgrade, close\r\n\r\n`, '/a', ''],
  ])('%s', async (_what, bytes, target, body) => {
    const answers = await gateway.talk(bytes)
    expect(answers.map(({ status }) => status)).toEqual([200])
    expect(received()).toHaveLength(1)
    const [text = ''] = received()
    expect(text.split('\r\n')[0]).toMatch(/^(GET|POST|DELETE|OPTIONS) \S+ HTTP\/1\.1$/)
    expect(text.split(' ')[1]).toBe(target)
    expect(bodyOf(text)).toBe(body)
    expect(text).not.toMatch(/^(upgrade|http2-settings|te|keep-alive|proxy-connection|expect):/im)
    expect(text.match(/^host:/gim)).toHaveLength(1)
  })

  test('Latin-1 bytes pass as they are', async () => {
    await gateway.talk(`GET /a HTTP/1.1\r\n${HOST}Connection: close\r\nX-Name: caf\xe9\r\n\r\n`)
    expect(received()[0]).toContain('X-Name: caf\xe9\r\n')
  })
})

test('pipelined requests are answered in their order, each with its own', async () => {
  const bytes = ['/1', '/2', '/3'].map((path) => `GET ${path} HTTP/1.1\r\n${HOST}\r\n`).join('')
  const connection = await gateway.open()
  const answers = await connection.write(bytes).answers(3)
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
  expect(received().map((text) => text.split(' ')[1])).toEqual(['/1', '/2', '/3'])
  connection.destroy()
})

test('a request in single bytes is a request', async () => {
  const connection = await gateway.open()
  for (const byte of `POST /slowly HTTP/1.1\r\n${HOST}Connection: close\r\nContent-Length: 2\r\n\r\nhi`)
    connection.write(byte)
  expect((await connection.untilClosed()).map(({ status }) => status)).toEqual([200])
  expect(received()[0]).toContain('/slowly')
})

test('the gateway is still up after all of them', async () => {
  await waitFor('an answer', async () => (await gateway.get('/')).status === 200)
})

function bodyOf(text: string): string {
  const [head = '', body = ''] = text.split(/\r\n\r\n(.*)/s)
  if (!/^transfer-encoding: chunked/im.test(head)) return body
  return body.replace(/[0-9a-f]+\r\n(.*?)\r\n(?=[0-9a-f]+\r\n)/gis, '$1').replace(/0\r\n\r\n$/, '')
}
