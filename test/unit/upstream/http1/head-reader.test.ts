import { describe, expect, test } from '@jest/globals'
import { GatewayError } from '../../../../src/errors.ts'
import { readHeadText } from '../../../../src/upstream/http1/head-reader.ts'

const read = (fields: string, version = '1.1') => readHeadText(`HTTP/${version} 200 OK\r\n${fields}\r\n`)

function refusal(text: string): string {
  try {
    readHeadText(text)
  } catch (error) {
    expect(error).toBeInstanceOf(GatewayError)
    return (error as GatewayError).message
  }
  return 'taken'
}

const refused = (fields: string, version = '1.1') => refusal(`HTTP/${version} 200 OK\r\n${fields}\r\n`)

describe('the status line', () => {
  test.each([
    ['HTTP/1.1 200 OK', 200, 'OK'],
    ['HTTP/1.0 404 Not  Found', 404, 'Not  Found'],
    ['HTTP/1.1 100', 100, ''],
    ['HTTP/1.1 999 ', 999, ''],
    ['HTTP/1.1 200 \xe9\t', 200, '\xe9\t'],
  ])('%j', (line, status, reason) => {
    expect(readHeadText(`${line}\r\n\r\n`)).toMatchObject({ status, reason, headers: [] })
  })

  test.each([
    '',
    ' HTTP/1.1 200 OK',
    'http/1.1 200 OK',
    'HTTP/1.2 200 OK',
    'HTTP/2.0 200 OK',
    'HTTP/2 200 OK',
    'HTTP/0.9 200 OK',
    'HTTP/11 200 OK',
    'HTTP/1.1  200 OK',
    'HTTP/1.1\t200 OK',
    'HTTP/1.1 200\tOK',
    'HTTP/1.1 099 OK',
    'HTTP/1.1 000 OK',
    'HTTP/1.1 20 OK',
    'HTTP/1.1 2000 OK',
    'HTTP/1.1 2x0 OK',
    'HTTP/1.1 -20 OK',
    'HTTP/1.1 +20 OK',
    'HTTP/1.1 200OK',
    'HTTP/1.1',
    'HTTP/1.1 ',
    'ICE/1.1 200 OK',
    'RTSP/1.0 200 OK',
  ])('refused: %j', (line) => {
    expect(refusal(`${line}\r\n\r\n`)).toBe('GW_UPSTREAM_RESPONSE: the upstream sent what is no HTTP/1.1 answer')
  })
})

describe('header lines', () => {
  test('are given as they came, without the blanks around a value', () => {
    const { headers } = read(
      "X-a:b\r\nx-A: \t b  c\t \r\nEmpty:\r\nBlank: \t\r\nSet-Cookie: a=1:2\r\n!#$%&'*+-.^_`|~09: \x80\xff\r\n",
    )
    expect(headers).toEqual([
      ...['X-a', 'b', 'x-A', 'b  c', 'Empty', '', 'Blank', '', 'Set-Cookie', 'a=1:2', "!#$%&'*+-.^_`|~09", '\x80\xff'],
    ])
  })

  test('may have the names of what every object has', () => {
    expect(read('__proto__: x\r\nconstructor: y\r\n').headers).toEqual(['__proto__', 'x', 'constructor', 'y'])
  })

  test('may be 500 and not more', () => {
    expect(read('X: y\r\n'.repeat(500)).headers).toHaveLength(1_000)
    expect(refused('X: y\r\n'.repeat(501))).toContain('more than 500 header lines')
  })

  test.each([
    'X : y\r\n',
    'X\t: y\r\n',
    ' X: y\r\n',
    ': y\r\n',
    'X(: y\r\n',
    'X y: z\r\n',
    '"X": y\r\n',
    'X\xe9: y\r\n',
    'X@: y\r\n',
    'X/y: z\r\n',
  ])('without a token as name are refused: %j', (line) => {
    // Twice: what was refused must not be remembered as good.
    expect(refused(line)).toContain('whose name is no token')
    expect(refused(line)).toContain('whose name is no token')
  })

  test.each(['X\r\n', 'X\r\nY: z\r\n', 'A: b\r\n c\r\n', 'A: b\r\n\tc\r\n', 'A:\r\n b\r\n', '\r\nX: y\r\n'])(
    'without a colon are refused, such as the folded lines of old: %j',
    (lines) => expect(refused(lines)).toContain('without a colon'),
  )

  test('that are folded are refused with a colon too', () => {
    expect(refused('A: b\r\n c: d\r\n')).toContain('whose name is no token')
  })

  test.each([0, 1, 8, 0x0b, 0x0c, 0x0e, 0x1f, 0x7f, 0x0a, 0x0d])('with the character %d are refused', (code) => {
    const control = String.fromCharCode(code)
    for (const line of [
      `X: a${control}b\r\n`,
      `X: ${control}\r\n`,
      `X${control}: y\r\n`,
      `${control}X: y\r\n`,
      `X: y${control}\r\n`,
    ]) {
      expect(refused(line)).toContain('control characters or bare line ends')
    }
    expect(refusal(`HTTP/1.1 200 O${control}K\r\n\r\n`)).toContain('control characters or bare line ends')
  })

  test('keep tabs', () => {
    expect(read('X: a\tb\r\n').headers).toEqual(['X', 'a\tb'])
  })

  test('with names nobody saw before are read after any number of such names', () => {
    for (let i = 0; i < 1_500; i += 1) expect(read(`X-${i}: y\r\n`).headers).toEqual([`X-${i}`, 'y'])
    expect(refused('X-1 : y\r\n')).toContain('whose name is no token')
  })
})

describe('Content-Length', () => {
  test.each([
    ['0', 0],
    ['3', 3],
    ['003', 3],
    ['999999999999999', 999_999_999_999_999],
  ])('%s', (value, length) => {
    expect(read(`content-LENGTH: ${value} \r\n`)).toMatchObject({ length, chunked: false })
  })

  test.each([
    '',
    '+2',
    '-2',
    '-0',
    '2, 2',
    '2,2',
    '2 2',
    '0x2',
    '2.0',
    '2e0',
    'two',
    '"2"',
    '2;',
    '\xb2',
    '1000000000000000',
  ])('refused: %j', (value) =>
    expect(refused(`Content-Length: ${value}\r\n`)).toContain('a Content-Length that is no number'),
  )

  test.each(['2', '3'])('is refused when it comes again: 2 and %s', (again) => {
    expect(refused(`Content-Length: 2\r\ncontent-length: ${again}\r\n`)).toContain('two statements of the length')
  })
})

describe('Transfer-Encoding', () => {
  test.each(['chunked', 'Chunked', ' CHUNKED\t'])('%j', (value) => {
    expect(read(`Transfer-Encoding:${value}\r\n`)).toMatchObject({ chunked: true, length: undefined })
  })

  test.each([
    '',
    'identity',
    'gzip',
    'xchunked',
    'chunkedx',
    'identity, chunked',
    'chunked, identity',
    'chunked, chunked',
    'chunked,',
    ',chunked',
    '"chunked"',
    'chunked;q=1',
    '\xa0chunked',
  ])('refused: %j', (value) => expect(refused(`Transfer-Encoding: ${value}\r\n`)).toContain('other than chunked'))

  test('is refused in HTTP/1.0', () => {
    expect(refused('Transfer-Encoding: chunked\r\n', '1.0')).toContain('other than chunked')
  })

  test.each([
    'Transfer-Encoding: chunked\r\nContent-Length: 2\r\n',
    'Content-Length: 2\r\nTransfer-Encoding: chunked\r\n',
    'Transfer-Encoding: chunked\r\ntransfer-encoding: chunked\r\n',
  ])('is refused beside another statement: %j', (fields) =>
    expect(refused(fields)).toContain('two statements of the length'),
  )
})

test.each([
  ['1.1', '', true],
  ['1.1', 'Connection: close\r\n', false],
  ['1.1', 'Connection: keep-alive\r\n', true],
  ['1.1', 'Connection: x, CLOSE\r\n', false],
  ['1.1', 'Connection: x\r\nConnection: close\r\n', false],
  ['1.1', 'Connection: close\r\nConnection: keep-alive\r\n', false],
  ['1.1', 'Connection: closed\r\n', true],
  ['1.0', '', false],
  ['1.0', 'Connection: Keep-Alive\r\n', true],
  ['1.0', 'Connection: KEEP-ALIVE\r\n', true],
  ['1.0', 'Connection: close\r\nConnection: keep-alive\r\n', false],
  ['1.0', 'Connection: keep-alive\r\nConnection: close\r\n', false],
  ['1.0', 'Connection: keep-alive, close\r\n', false],
])('HTTP/%s with %j: the connection is kept: %s', (version, fields, keepAlive) => {
  expect(read(fields, version).keepAlive).toBe(keepAlive)
})

describe('how long the upstream keeps an idle connection', () => {
  test.each([
    ['Keep-Alive: timeout=5', 5_000],
    ['keep-alive: max=100, Timeout=72', 72_000],
    ['Keep-Alive: timeout=5,max=100', 5_000],
    ['Keep-Alive: timeout=999999', 999_999_000],
  ])('%j', (field, keptFor) => {
    expect(read(`${field}\r\n`).keptFor).toBe(keptFor)
  })
  test.each([
    'X: y',
    'Keep-Alive: max=100',
    'Keep-Alive: timeout=0',
    'Keep-Alive: timeout=-5',
    'Keep-Alive: timeout=5s',
    'Keep-Alive: timeout=1e3',
    'Keep-Alive: xtimeout=5',
    'Keep-Alive: timeout=9999999',
  ])('does not say so: %j', (field) => {
    expect(read(`${field}\r\n`).keptFor).toBe(Number.POSITIVE_INFINITY)
  })
})
