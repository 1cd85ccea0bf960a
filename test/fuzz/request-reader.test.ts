import { Socket } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import { readPlainRequest } from '../../src/listener/http1/request-reader.ts'
import { NASTY } from '../support/nasty-fragments.ts'
import { type RequestReading, readWithNodeServer } from '../support/node-requests.ts'
import fc from '../support/random.ts'

/** Cases for each property; more for a long run by hand. */
const CASES = Number(process.env.FUZZ_CASES ?? 3_000)
/** A failure prints its seed; SEED repeats it. */
const SEED = process.env.FUZZ_SEED === undefined ? {} : { seed: Number(process.env.FUZZ_SEED) }

const HEADER_SIZES = [16 * 1024, 16 * 1024, 16 * 1024, 150]
/** Sent behind a request that is not the last: whoever reads it as this one has found the same end. */
const NEXT = 'GET /next HTTP/1.1\r\nX-Next: 1\r\n\r\n'
const NEXT_READING = reading({ method: 'GET', url: '/next', headers: ['X-Next', '1'] })
const SOCKET = new Socket()

function reading(read: Pick<RequestReading, 'method' | 'url' | 'headers'> & { readonly body?: string }) {
  return { version: '1.1', body: '', complete: true, keepAlive: true, ...read }
}

/** What ours takes the bytes for, and how much of the body it still waits for; undefined where it leaves them to node:http. */
function ours(bytes: string, maxHeaderSize = 16 * 1024): { request: RequestReading; missing: number } | undefined {
  const request = readPlainRequest(SOCKET, Buffer.from(bytes, 'latin1'), maxHeaderSize)
  if (!request) return undefined
  const { method, url, httpVersion: version, rawHeaders: headers, complete, isLast } = request
  const whole: Buffer | null = request.wholeBody ?? request.body.read()
  const body = whole?.toString('latin1') ?? ''
  const length = headers.findIndex((text, i) => i % 2 === 0 && text.toLowerCase() === 'content-length')
  const missing = length === -1 ? 0 : Number(headers[length + 1]) - body.length
  return { request: { method, url, version, headers, body, complete, keepAlive: !isLast }, missing }
}

/** The same, with what is missing of its body put behind it. */
function completed(bytes: string, maxHeaderSize?: number): { request: RequestReading; bytes: string } | undefined {
  const read = ours(bytes, maxHeaderSize)
  if (!read) return undefined
  const { request, missing } = read
  expect(missing === 0).toBe(request.complete)
  const rest = 'x'.repeat(Math.min(missing, MOST_MISSING))
  const complete = missing <= MOST_MISSING
  const next = complete && request.keepAlive ? NEXT : ''
  return { request: { ...request, body: request.body + rest, complete }, bytes: bytes + rest + next }
}

/** More is not sent: a length may be anything. */
const MOST_MISSING = 30_000

const REQUEST_FRAGMENTS = [
  ...NASTY,
  ...[
    'GET / HTTP/1.1\r\n\r\n',
    'POST /smuggled HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  ],
  ...[
    'Expect: 100-continue\r\n',
    'Expect: x\r\n',
    'TE: trailers\r\n',
    'Keep-Alive: timeout=5\r\n',
    'HTTP2-Settings: x\r\n',
  ],
  ...['Proxy-Connection: close\r\n', 'Connection:keep-alive\r\n', 'connection:\tKeep-Alive \r\n', 'Connection: \r\n'],
  ...['Connection: keep-alive\r\nConnection: close\r\n', 'Connection: keep-alive, te\r\n', 'Upgrade: h2c\r\n'],
  ...[
    'Host: a\r\n',
    'Host: a\r\nHost: b\r\n',
    'content-length: 0\r\n',
    'CONTENT-LENGTH: 2\r\n',
    'Content-Length: 0\r\n\r\n',
  ],
  ...[
    '#',
    '?',
    '//',
    '/../',
    '%00',
    '\\',
    '"',
    '<>',
    '{|}',
    '^`',
    '*',
    'http://evil/',
    ' HTTP/1.1\r\n',
    ' HTTP/1.0\r\n',
  ],
  ...[
    ' HTTP/1.1 \r\n',
    ' http/1.1\r\n',
    ' HTTP/1.1\n',
    ' HTTP/1.10\r\n',
    ' HTTP/01.1\r\n',
    ' RTSP/1.1\r\n',
    ' ICE/1.1\r\n',
  ],
  ...['get', 'GET', 'HEAD', 'CONNECT', 'OPTIONS', 'PURGE', 'M-SEARCH', 'SOURCE', 'DELETE', 'GETT', 'PRI'],
]
const nasty = fc.constantFrom(...REQUEST_FRAGMENTS)
const TOKEN_CHARACTERS = [..."!#$%&'*+-.^_`|~0123456789AbCdEfXyZ"]
const name = fc
  .string({ unit: fc.constantFrom(...TOKEN_CHARACTERS), minLength: 1, maxLength: 20 })
  .filter((text) => !/^(?:te|expect|trailer|upgrade|connection|keep-alive|content-length)$/i.test(text))
const visible = fc.integer({ min: 0x21, max: 0x7e })
const characters = (unit: fc.Arbitrary<number>, maxLength: number) =>
  fc.array(unit, { maxLength }).map((codes) => String.fromCharCode(...codes))
const value = characters(fc.oneof({ weight: 9, arbitrary: visible }, fc.constant(0x20)), 30).map((text) => text.trim())
const blanks = fc.constantFrom('', ' ', ' ', '\t', ' \t ')
const line = fc.tuple(name, blanks, value, blanks).map(([n, before, v, after]) => `${n}:${before}${v}${after}\r\n`)
const lines = fc.array(line, { maxLength: 6 })
const target = characters(visible, 30).map((text) => `/${text.replaceAll('#', '')}`)
const body = fc.oneof(fc.constant(undefined), fc.string({ unit: 'binary-ascii', maxLength: 60 }), nasty)
const connection = fc.constantFrom(
  ...[
    '',
    '',
    'Connection: keep-alive\r\n',
    'connection:Keep-Alive\r\n',
    'Connection: close\r\n',
    'CONNECTION:Close \r\n',
  ],
)

/** Requests that most clients would send. */
const plain = fc
  .record({
    method: fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'),
    target,
    before: lines,
    connection,
    body,
    after: lines,
    minor: fc.constantFrom(1, 1, 1, 0),
  })
  .map((a) => {
    const length = a.body === undefined ? '' : `Content-Length: ${a.body.length}\r\n`
    const fields = [...a.before, a.connection, length, ...a.after].join('')
    return `${a.method} ${a.target} HTTP/1.${a.minor}\r\n${fields}\r\n${a.body ?? ''}`
  })

/** A share of the text; doubles would nearly all be next to 0. */
const place = fc.integer({ min: 0, max: 9_999 }).map((share) => share / 10_000)
const character = fc.integer({ min: 0, max: 0xff }).map((code) => String.fromCharCode(code))
const change = fc.oneof(
  fc.record({ kind: fc.constant('insert' as const), at: place, text: fc.oneof(nasty, character) }),
  fc.record({ kind: fc.constant('replace' as const), at: place, text: fc.oneof(nasty, character) }),
  fc.record({ kind: fc.constant('line' as const), at: place, text: nasty }),
  fc.record({ kind: fc.constant('append' as const), at: place, text: nasty }),
  fc.record({ kind: fc.constant('flip' as const), at: place, text: fc.constantFrom('1', '2', '4', '8', '16', '32') }),
  fc.record({ kind: fc.constant('delete' as const), at: place, text: fc.constantFrom('.', '..', '....') }),
)
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never

function changed(text: string, { kind, at: share, text: by }: Change): string {
  const at = Math.floor(share * text.length)
  const before = text.slice(0, at)
  switch (kind) {
    case 'insert':
      return before + by + text.slice(at)
    case 'replace':
      return before + by + text.slice(at + by.length)
    case 'append':
      return text + by
    case 'line': {
      // Behind the end of some line: where a fragment is most likely to be read as what it looks like.
      const next = text.indexOf('\r\n', at) + 2
      return text.slice(0, next) + by + text.slice(next)
    }
    case 'flip':
      return before + String.fromCharCode(text.charCodeAt(at) ^ Number(by)) + text.slice(at + 1)
    case 'delete':
      return before + text.slice(at + by.length)
  }
}

const fragments = fc
  .tuple(fc.constantFrom('GET', 'POST'), fc.array(fc.oneof(nasty, line), { maxLength: 8 }), fc.constantFrom(0, 1, 1))
  .map(([method, parts, minor]) => `${method} / HTTP/1.${minor}\r\n${parts.join('')}\r\n`)
const mutated = fc
  .tuple(fc.oneof({ weight: 5, arbitrary: plain }, fragments), fc.array(change, { maxLength: 3 }))
  .map(([request, changes]) => changes.reduce(changed, request))

test('whatever is read without node:http, Node reads as the same request, with the same end', async () => {
  let taken = 0
  const property = fc.asyncProperty(mutated, fc.constantFrom(...HEADER_SIZES), async (bytes, maxHeaderSize) => {
    const read = completed(bytes, maxHeaderSize)
    if (!read) return
    taken += 1
    const { request } = read
    const node = await readWithNodeServer(read.bytes, maxHeaderSize)
    const isFollowed = request.complete && request.keepAlive
    expect(node).toEqual({ requests: isFollowed ? [request, NEXT_READING] : [request], others: [] })
  })
  await fc.assert(property, { numRuns: CASES, ...SEED })
  // A reader that leaves everything to Node would agree too.
  expect(taken).toBeGreaterThan(CASES / 10)
}, 3_600_000)

test('what most clients send is read without node:http', () => {
  fc.assert(
    fc.property(plain, (bytes) => {
      expect(ours(bytes)).toBeDefined()
    }),
    { numRuns: CASES, ...SEED },
  )
})

test('no part of a head is a request, nor is a request with more behind it', () => {
  fc.assert(
    fc.property(plain, place, fc.oneof(plain, nasty), (bytes, share, more) => {
      expect(ours(bytes.slice(0, Math.floor(share * (bytes.indexOf('\r\n\r\n') + 4))))).toBeUndefined()
      expect(ours(bytes + more)).toBeUndefined()
    }),
    { numRuns: CASES, ...SEED },
  )
})

test('a request whose body has come in part is the same request, and waits for the rest', () => {
  fc.assert(
    fc.property(plain, place, (bytes, share) => {
      const whole = ours(bytes)?.request
      const head = bytes.indexOf('\r\n\r\n') + 4
      const here = head + Math.floor(share * (bytes.length - head))
      const part = ours(bytes.slice(0, here))
      const missing = bytes.length - here
      if (missing > 0 && whole?.keepAlive === false) expect(part).toBeUndefined()
      else
        expect(part).toEqual({
          request: { ...whole, body: bytes.slice(head, here), complete: missing === 0 },
          missing,
        })
    }),
    { numRuns: CASES, ...SEED },
  )
})

describe('is left to node:http', () => {
  const HOST = 'Host: localhost\r\n'
  test.each<[what: string, bytes: string]>([
    ['nothing', ''],
    ['the end of a line', '\r\n'],
    ['a blank line before the request', `\r\nGET / HTTP/1.1\r\n${HOST}\r\n`],
    ['bare LF at the end of lines', 'GET / HTTP/1.1\nHost: localhost\n\n'],
    ['bare LF in one line', `GET / HTTP/1.1\r\n${HOST}X: y\n\r\n`],
    ['bare CR in a value', `GET / HTTP/1.1\r\n${HOST}X: y\rZ: w\r\n\r\n`],
    ['a folded line', `GET / HTTP/1.1\r\n${HOST}X: y\r\n folded\r\n\r\n`],
    ['a blank before the colon', `GET / HTTP/1.1\r\n${HOST}X : y\r\n\r\n`],
    ['a blank before the first header', `GET / HTTP/1.1\r\n ${HOST}\r\n`],
    ['NUL in a value', `GET / HTTP/1.1\r\n${HOST}X: a\0b\r\n\r\n`],
    ['a byte above ASCII in a value', `GET / HTTP/1.1\r\n${HOST}X: \xe9\r\n\r\n`],
    ['a byte above ASCII in the target', `GET /\xe9 HTTP/1.1\r\n${HOST}\r\n`],
    ['a header without a colon', `GET / HTTP/1.1\r\n${HOST}nonsense\r\n\r\n`],
    ['a header without a name', `GET / HTTP/1.1\r\n${HOST}: y\r\n\r\n`],
    [
      'length and chunked',
      `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    [
      'chunked and length',
      `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
    ],
    ['chunked', `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['identity, chunked', `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n`],
    ['two equal lengths', `POST / HTTP/1.1\r\n${HOST}Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi`],
    ['two different lengths', `POST / HTTP/1.1\r\n${HOST}Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi`],
    ['a list of lengths', `POST / HTTP/1.1\r\n${HOST}Content-Length: 2, 2\r\n\r\nhi`],
    ['a length with a sign', `POST / HTTP/1.1\r\n${HOST}Content-Length: +2\r\n\r\nhi`],
    ['a length with a leading zero', `POST / HTTP/1.1\r\n${HOST}Content-Length: 02\r\n\r\nhi`],
    ['an empty length', `POST / HTTP/1.1\r\n${HOST}Content-Length:\r\n\r\n`],
    ['a body that is longer than its length', `POST / HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\nhi`],
    ['a length of sixteen digits', `POST / HTTP/1.1\r\n${HOST}Content-Length: 1000000000000000\r\n\r\nhi`],
    ['bytes behind a request without length', `GET / HTTP/1.1\r\n${HOST}\r\nhi`],
    ['two requests', `GET / HTTP/1.1\r\n${HOST}\r\nGET / HTTP/1.1\r\n${HOST}\r\n`],
    ['HTTP/1.2', `GET / HTTP/1.2\r\n${HOST}\r\n`],
    ['http/1.1', `GET / http/1.1\r\n${HOST}\r\n`],
    ['a request without version', 'GET /\r\n\r\n'],
    ['two blanks in the request line', `GET  / HTTP/1.1\r\n${HOST}\r\n`],
    ['an unknown method', `BREW / HTTP/1.1\r\n${HOST}\r\n`],
    ['a method in lower case', `get / HTTP/1.1\r\n${HOST}\r\n`],
    ['CONNECT', `CONNECT a:1 HTTP/1.1\r\n${HOST}\r\n`],
    ['OPTIONS *', `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`],
    ['the absolute form', `GET http://evil/ HTTP/1.1\r\n${HOST}\r\n`],
    ['a fragment', `GET /#a HTTP/1.1\r\n${HOST}\r\n`],
    ['an upgrade', `GET / HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`],
    ['Upgrade alone', `GET / HTTP/1.1\r\n${HOST}Upgrade: websocket\r\n\r\n`],
    ['Keep-Alive', `GET / HTTP/1.1\r\n${HOST}Keep-Alive: timeout=5\r\n\r\n`],
    ['HTTP2-Settings', `GET / HTTP/1.1\r\n${HOST}HTTP2-Settings: x\r\n\r\n`],
    ['h2c', `GET / HTTP/1.1\r\n${HOST}Upgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n`],
    ["HTTP/2's preface", 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    [
      'the end of the connection, and a body',
      `POST / HTTP/1.1\r\n${HOST}Connection: close\r\nContent-Length: 3\r\n\r\nhi`,
    ],
    ['keep-alive and close', `GET / HTTP/1.1\r\n${HOST}Connection: keep-alive, close\r\n\r\n`],
    ['keep-alive, then close', `GET / HTTP/1.1\r\n${HOST}Connection: keep-alive\r\nConnection: close\r\n\r\n`],
    ['close, then keep-alive', `GET / HTTP/1.1\r\n${HOST}Connection: close\r\nConnection: keep-alive\r\n\r\n`],
    ['a connection that names a header', `GET / HTTP/1.1\r\n${HOST}Connection: keep-alive, x-user\r\n\r\n`],
    ['an expectation', `POST / HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 0\r\n\r\n`],
    ['TE', `GET / HTTP/1.1\r\n${HOST}TE: trailers\r\n\r\n`],
    ['Trailer', `GET / HTTP/1.1\r\n${HOST}Trailer: x\r\n\r\n`],
    ['Proxy-Connection', `GET / HTTP/1.1\r\n${HOST}Proxy-Connection: keep-alive\r\n\r\n`],
    ['a head of the largest size', `GET / HTTP/1.1\r\n${HOST}X: ${'x'.repeat(16384 - 40)}\r\n\r\n`],
    ['more than five hundred headers', `GET / HTTP/1.1\r\n${'a: b\r\n'.repeat(501)}\r\n`],
  ])('%s', (_what, bytes) => {
    expect(ours(bytes)).toBeUndefined()
  })
})

// Of what node:http accepts, these are judged behind the parser, by whatever read the bytes (test/e2e/malformed-requests-are-refused.test.ts).
test.each([
  ['no Host', 'GET / HTTP/1.1\r\n\r\n'],
  ['two Hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'],
  ['two slashes', 'GET //evil/p HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['dot segments', 'GET /a/../%2e%2e/b?c=/../d HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a backslash', 'GET /a\\b;c HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a GET with a body', 'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n\0\r\n'],
  ['a large body', `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 16385\r\n\r\n${'x'.repeat(16385)}`],
  ['a body that is yet to come', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n'],
  ['an underscore', 'GET / HTTP/1.1\r\nHost: a\r\nX_Client_Verify: SUCCESS\r\n\r\n'],
  ['a name that is no name', 'GET / HTTP/1.1\r\n__proto__: a\r\nconstructor: b\r\n\r\n'],
  ['HTTP/1.0 whose connection is kept', 'GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n'],
  ['empty values and blanks around them', 'GET / HTTP/1.1\r\nA:\r\nB: \t \r\nC:\td e\t\r\n\r\n'],
])('%s is read as Node reads it', async (_what, bytes) => {
  const read = completed(bytes)
  expect(read).toBeDefined()
  expect(await readWithNodeServer(read?.bytes ?? '')).toEqual({ requests: [read?.request, NEXT_READING], others: [] })
})
