import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { toGatewayError } from '../../../src/errors.ts'
import { readHead } from '../../../src/routing/head.ts'

/** What a request meets between node:http's parser and readHead. */
type Verdict =
  | { readonly by: 'parser' }
  | { readonly by: 'head'; readonly code: string }
  | { readonly by: 'nobody'; readonly read: string }

let server: Server
let verdict: Verdict

beforeAll(async () => {
  server = createServer({ requireHostHeader: false }, (request, response) => {
    verdict = judge(request)
    request.resume()
    response.writeHead(200, { connection: 'close' }).end()
  })
  // As the gateway must have it: with a limit here, fields beyond it would be hidden.
  server.maxHeadersCount = 0
  server.on('checkContinue', (request, response) => server.emit('request', request, response))
  server.on('checkExpectation', (request, response) => server.emit('request', request, response))
  server.on('connect', (request, socket) => {
    verdict = judge(request)
    socket.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})

afterAll(() => {
  server.closeAllConnections()
  server.close()
})

function judge(request: IncomingMessage): Verdict {
  try {
    const { destination, framing } = readHead(request, { maxHeaders: 1000, maxTarget: 8192 })
    const length = framing.kind === 'length' ? ` ${framing.length}` : ''
    return {
      by: 'nobody',
      read: `${destination.host} ${destination.path}${destination.query} ${framing.kind}${length}`,
    }
  } catch (caught) {
    return { by: 'head', code: toGatewayError(caught).code }
  }
}

async function send(bytes: string): Promise<Verdict> {
  verdict = { by: 'parser' }
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.on('error', () => {})
  socket.resume()
  socket.end(Buffer.from(bytes, 'latin1'))
  await new Promise((resolve) => socket.once('close', resolve))
  return verdict
}

const H = 'Host: a\r\n'

describe('served', () => {
  test.each([
    ['a plain request', `GET /p?q HTTP/1.1\r\n${H}\r\n`, 'a /p?q none'],
    ['leading line breaks', `\r\n\r\nGET / HTTP/1.1\r\n${H}\r\n`, 'a / none'],
    ['GET with a body', `GET / HTTP/1.1\r\n${H}Content-Length: 2\r\n\r\nhi`, 'a / length 2'],
    [
      'DELETE with a chunked body',
      `DELETE / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      'a / chunked',
    ],
    [
      'chunk extensions',
      `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nhi\r\n0\r\n\r\n`,
      'a / chunked',
    ],
    ['OPTIONS *', `OPTIONS * HTTP/1.1\r\n${H}\r\n`, 'a * none'],
    ['HTTP/1.0 without Host', 'GET / HTTP/1.0\r\n\r\n', ' / none'],
    ['absolute form with the same Host', `GET https://A./p HTTP/1.1\r\n${H}\r\n`, 'a /p none'],
    ['two slashes, which would be a host to a URL parser', `GET //evil/p HTTP/1.1\r\n${H}\r\n`, 'a /evil/p none'],
    ['Latin-1 bytes in a value', `GET / HTTP/1.1\r\n${H}X: \xe4\r\n\r\n`, 'a / none'],
    [
      'an underscored Content-Length, which is no Content-Length',
      `GET / HTTP/1.1\r\n${H}Content_Length: 5\r\n\r\n`,
      'a / none',
    ],
    [
      'Upgrade without anyone to take it',
      `GET / HTTP/1.1\r\n${H}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n`,
      'a / none',
    ],
  ])('%s', async (_, bytes, read) => {
    expect(await send(bytes)).toEqual({ by: 'nobody', read })
  })
})

describe('accepted by node:http and refused here', () => {
  test.each([
    ['two Hosts', `GET / HTTP/1.1\r\n${H}Host: b\r\n\r\n`, 'GW_BAD_REQUEST'],
    ['the same Host twice', `GET / HTTP/1.1\r\n${H}${H}\r\n`, 'GW_BAD_REQUEST'],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', 'GW_BAD_REQUEST'],
    ['an empty Host', 'GET / HTTP/1.1\r\nHost:\r\n\r\n', 'GW_BAD_REQUEST'],
    ['userinfo in Host', 'GET / HTTP/1.1\r\nHost: x@a\r\n\r\n', 'GW_BAD_REQUEST'],
    ['absolute form with another Host', `GET https://evil:99/p HTTP/1.1\r\n${H}\r\n`, 'GW_BAD_REQUEST'],
    ['absolute form with http', `GET http://a/p HTTP/1.1\r\n${H}\r\n`, 'GW_BAD_REQUEST'],
    [
      'identity, chunked',
      `POST / HTTP/1.1\r\n${H}Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n`,
      'GW_BAD_REQUEST',
    ],
    ['gzip, chunked', `POST / HTTP/1.1\r\n${H}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 'GW_TRANSFER_CODING'],
    ['chunked in HTTP/1.0', `POST / HTTP/1.0\r\n${H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 'GW_BAD_REQUEST'],
    ['a backslash', `GET /x\\..\\admin HTTP/1.1\r\n${H}\r\n`, 'GW_BAD_PATH'],
    ['encoded dot segments', `GET /x/%2e%2e/admin HTTP/1.1\r\n${H}\r\n`, 'GW_BAD_PATH'],
    ['dot segments', `GET /x/../admin HTTP/1.1\r\n${H}\r\n`, 'GW_BAD_PATH'],
    ['an encoded slash', `GET /..%2fadmin HTTP/1.1\r\n${H}\r\n`, 'GW_BAD_PATH'],
    ['a fragment', `GET /admin#x HTTP/1.1\r\n${H}\r\n`, 'GW_BAD_PATH'],
    ['CONNECT', `CONNECT a:443 HTTP/1.1\r\n${H}\r\n`, 'GW_METHOD_NOT_ALLOWED'],
    ['TRACE', `TRACE / HTTP/1.1\r\n${H}\r\n`, 'GW_METHOD_NOT_ALLOWED'],
    ['HTTP/2.0 on a request line', `GET / HTTP/2.0\r\n${H}\r\n`, 'GW_BAD_REQUEST'],
    ['another expectation', `POST / HTTP/1.1\r\n${H}Expect: 200-ok\r\n\r\n`, 'GW_EXPECTATION_FAILED'],
    ['more fields than the limit', `GET / HTTP/1.1\r\n${H}${'a:\r\n'.repeat(1000)}\r\n`, 'GW_HEADERS_TOO_LARGE'],
    [
      'framing hidden behind 1500 fields (CVE-2026-58044)',
      `GET / HTTP/1.1\r\n${H}${'a:\r\n'.repeat(1500)}Content-Length: 5\r\n\r\nhello`,
      'GW_HEADERS_TOO_LARGE',
    ],
    ['a target above the limit', `GET /${'x'.repeat(9000)} HTTP/1.1\r\n${H}\r\n`, 'GW_URI_TOO_LONG'],
  ])('%s', async (_, bytes, code) => {
    expect(await send(bytes)).toEqual({ by: 'head', code })
  })
})

describe('refused on the way, by the parser or here', () => {
  test.each([
    ['bare LF', 'GET / HTTP/1.1\nHost: a\n\n'],
    ['a bare CR in a value', `GET / HTTP/1.1\r\n${H}X: a\rb\r\n\r\n`],
    ['a folded line', `GET / HTTP/1.1\r\n${H}X: a\r\n b\r\n\r\n`],
    ['a blank before the colon', 'GET / HTTP/1.1\r\nHost : a\r\n\r\n'],
    ['a blank before the first field', `GET / HTTP/1.1\r\n ${H}\r\n`],
    ['CL and TE', `POST / HTTP/1.1\r\n${H}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['TE and CL', `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n`],
    ['the same Content-Length twice', `POST / HTTP/1.1\r\n${H}Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi`],
    ['a list in Content-Length', `POST / HTTP/1.1\r\n${H}Content-Length: 2, 2\r\n\r\nhi`],
    ['a signed Content-Length', `POST / HTTP/1.1\r\n${H}Content-Length: +2\r\n\r\nhi`],
    ['chunked, identity', `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`],
    ['xchunked', `POST / HTTP/1.1\r\n${H}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`],
    [
      'chunked twice',
      `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    ['NUL in Host', 'GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n'],
    ['NUL in the path', `GET /a\0b HTTP/1.1\r\n${H}\r\n`],
    ['raw non-ASCII bytes in the path', `GET /caf\xe9 HTTP/1.1\r\n${H}\r\n`],
    ['NUL, encoded', `GET /admin%00 HTTP/1.1\r\n${H}\r\n`],
    ['HTTP/1.2', `GET / HTTP/1.2\r\n${H}\r\n`],
    ['HTTP/0.9', `GET / HTTP/0.9\r\n${H}\r\n`],
    ['http in lower case', `GET / http/1.1\r\n${H}\r\n`],
    ['an unknown method', `FOO / HTTP/1.1\r\n${H}\r\n`],
    ['a relative target', `GET admin HTTP/1.1\r\n${H}\r\n`],
    ['a header block above 16 KB', `GET / HTTP/1.1\r\n${H}X: ${'x'.repeat(20_000)}\r\n\r\n`],
    ['2100 fields', `GET / HTTP/1.1\r\n${H}${'a:\r\n'.repeat(2100)}Content-Length: 5\r\n\r\nhello`],
  ])('%s', async (_, bytes) => {
    expect((await send(bytes)).by).not.toBe('nobody')
  })
})
