import { describe, expect, test } from '@jest/globals'
import { GatewayError } from '../../../src/errors.ts'
import { readHead } from '../../../src/routing/head.ts'
import fc from '../../support/random.ts'
import { refusalOf } from './refusal.ts'

const HOST = ['Host', 'a.example']

const LIMITS = { maxHeaders: 1000, maxTarget: 8192 }

function read(rawHeaders: readonly string[], minor = 1, url = '/', limits = LIMITS) {
  return readHead({ url, method: 'POST', httpVersionMajor: 1, httpVersionMinor: minor, rawHeaders }, limits)
}

test('a plain request', () => {
  expect(read(['hOsT', 'A.example:1', 'Accept', '*/*', 'X', 'y'], 1, '/p?q')).toEqual({
    destination: { host: 'a.example', port: 1, authority: 'A.example:1', path: '/p', query: '?q' },
    framing: { kind: 'none' },
    connectionOptions: undefined,
    upgrade: undefined,
    expectContinue: false,
  })
})

test('header names are read in any case', () => {
  const head = read(['HOST', 'a.example', 'CONTENT-length', '3', 'CONNECTION', 'X-A', 'exPECT', '100-Continue'])
  expect(head.framing).toEqual({ kind: 'length', length: 3 })
  expect(head.connectionOptions).toEqual(new Set(['x-a']))
  expect(head.expectContinue).toBe(true)
  expect(read([...HOST, 'TRANSFER-ENCODING', 'chunked']).framing).toEqual({ kind: 'chunked' })
})

describe('what must not stand there twice', () => {
  test.each([
    ['Host', 'a.example', 'Host', 'a.example'],
    ['Host', 'a.example', 'host', 'b.example'],
    [...HOST, 'Content-Length', '2', 'content-length', '2'],
    [...HOST, 'Transfer-Encoding', 'chunked', 'transfer-encoding', 'chunked'],
    [...HOST, 'Transfer-Encoding', 'chunked', 'Transfer-Encoding', ''],
    [...HOST, 'Transfer-Encoding', 'chunked', 'Content-Length', '2'],
    [...HOST, 'Content-Length', '2', 'Transfer-Encoding', 'identity'],
  ])('%s: %s, %s: %s …', (...rawHeaders) => {
    expect(refusalOf(() => read(rawHeaders))).toBe('GW_BAD_REQUEST')
  })
})

test('Transfer-Encoding is refused in HTTP/1.0', () => {
  expect(refusalOf(() => read([...HOST, 'Transfer-Encoding', 'chunked'], 0))).toBe('GW_BAD_REQUEST')
})

test('the headers that Connection names are found over all its fields, in lower case', () => {
  const head = read([...HOST, 'Connection', 'close,  X-Client-Verify\t,,', 'connection', 'DN', 'CONNECTION', ''])
  expect(head.connectionOptions).toEqual(new Set(['close', 'x-client-verify', 'dn']))
  expect(read([...HOST, 'Connection', 'Keep-Alive']).connectionOptions).toEqual(new Set(['keep-alive']))
  expect(read([...HOST, 'Connection', 'close']).connectionOptions).toEqual(new Set(['close']))
})

describe('an upgrade is one', () => {
  test('where Connection lists it', () => {
    expect(read([...HOST, 'Connection', 'keep-alive, Upgrade', 'Upgrade', 'WebSocket']).upgrade).toBe('websocket')
    expect(read([...HOST, 'Upgrade', 'websocket', 'Upgrade', 'h2c', 'Connection', 'upgrade']).upgrade).toBe(
      'websocket, h2c',
    )
  })
  test('and not without it, nor in HTTP/1.0', () => {
    expect(read([...HOST, 'Upgrade', 'websocket']).upgrade).toBeUndefined()
    expect(read([...HOST, 'Upgrade', 'websocket', 'Connection', 'close']).upgrade).toBeUndefined()
    expect(read([...HOST, 'Connection', 'upgrade']).upgrade).toBeUndefined()
    expect(read([...HOST, 'Upgrade', 'websocket', 'Connection', 'upgrade'], 0).upgrade).toBeUndefined()
  })
})

describe('Expect', () => {
  test('100-continue is heeded, in HTTP/1.0 ignored', () => {
    expect(read([...HOST, 'Expect', '100-continue']).expectContinue).toBe(true)
    expect(read([...HOST, 'Expect', '100-continue'], 0).expectContinue).toBe(false)
  })
  test.each(['', '200-ok', '100-continue, x', '100-continue=y'])('anything else is refused: %j', (value) => {
    expect(refusalOf(() => read([...HOST, 'Expect', value]))).toBe('GW_EXPECTATION_FAILED')
    expect(refusalOf(() => read([...HOST, 'Expect', '100-continue', 'Expect', value]))).toBe('GW_EXPECTATION_FAILED')
  })
})

test('limits are met exactly', () => {
  const limits = { maxHeaders: 3, maxTarget: 10 }
  const three = [...HOST, 'A', 'b', 'C', 'd']
  expect(refusalOf(() => read(three, 1, `/${'x'.repeat(9)}`, limits))).toBeUndefined()
  expect(refusalOf(() => read([...three, 'E', 'f'], 1, '/', limits))).toBe('GW_HEADERS_TOO_LARGE')
  expect(refusalOf(() => read(three, 1, `/${'x'.repeat(10)}`, limits))).toBe('GW_URI_TOO_LONG')
})

test('names of Object.prototype are headers like any other', () => {
  const head = read([...HOST, '__proto__', 'x', 'constructor', 'y', 'Connection', '__proto__, constructor'])
  expect(head.connectionOptions).toEqual(new Set(['__proto__', 'constructor']))
})

const fieldName = fc.oneof(
  fc.constantFrom('Host', 'host', 'Connection', 'Upgrade', 'Expect', 'Content-Length', 'Transfer-Encoding'),
  fc.string(),
)
const fieldValue = fc.oneof(
  fc.constantFrom(
    'a.example',
    'a.example:443',
    '[::1]',
    'upgrade',
    'websocket',
    '100-continue',
    '0',
    '12',
    'chunked',
    'gzip',
    '',
  ),
  fc.string({ unit: 'binary' }),
)
const field = fc.oneof(
  fc.constantFrom(['Accept', '*/*'], ['Content-Length', '12'], ['Transfer-Encoding', 'chunked'], ['X-Name', 'x']),
  fc.tuple(fieldName, fieldValue),
)
const url = fc.oneof(
  fc.constantFrom('*', '', '/', 'https://a.example', 'https://[', '/%', '/%c0%ae', '//', '/?'),
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'binary' }).map((text) => `/${text}`),
  fc.webPath().map((path) => `/${path}`),
  fc.string().map((text) => `https://a.example/${text}`),
  fc.webUrl({ withQueryParameters: true, withFragments: true, validSchemes: ['https', 'http'] }),
)

test('whatever the client sends, a head is read or refused with a code, and nothing else happens', () => {
  const read = { none: 0, length: 0, chunked: 0 }
  fc.assert(
    fc.property(
      fc.record({
        url: fc.option(url, { nil: undefined }),
        method: fc.option(fc.constantFrom('GET', 'POST', 'OPTIONS', 'CONNECT', 'TRACE', ''), { nil: undefined }),
        httpVersionMajor: fc.constantFrom(1, 1, 1, 0, 2),
        httpVersionMinor: fc.constantFrom(1, 1, 0, 9),
        rawHeaders: fc.array(field, { maxLength: 8 }).map((fields) => ['Host', 'a.example', ...fields.flat()]),
      }),
      (request) => {
        try {
          const { destination, framing } = readHead(request, { maxHeaders: 7, maxTarget: 60 })
          expect(destination.path).toMatch(/^(?:\*|\/(?!\/)[!"$-[\]-~]*)$/)
          expect(destination.query).toMatch(/^(?:\?[!"$-~\x80-\xff]*)?$/)
          expect(destination.host).toMatch(/^(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])$/)
          if (framing.kind === 'length') expect(Number.isSafeInteger(framing.length)).toBe(true)
          read[framing.kind] += 1
        } catch (caught) {
          if (!(caught instanceof GatewayError)) throw caught
        }
      },
    ),
    { numRuns: 3000 },
  )
  // Whoever refuses everything would pass too.
  expect(Math.min(...Object.values(read))).toBeGreaterThan(0)
})
