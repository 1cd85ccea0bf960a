import { describe, expect, test } from '@jest/globals'
import { GatewayError } from '../../../../src/errors.ts'
import { ChunkReader } from '../../../../src/upstream/http1/chunk-reader.ts'

const MAX_TRAILERS = 1_024

/** Gives the pieces to a reader, and says how much of the last one was left over. */
function read(...pieces: string[]) {
  const reading = { body: '', trailers: undefined as string[] | undefined, left: 0 }
  const events = {
    data(chunk: Buffer) {
      reading.body += chunk.toString('latin1')
    },
    end(trailers: string[]) {
      expect(reading.trailers).toBeUndefined()
      reading.trailers = trailers
    },
  }
  const reader = new ChunkReader(events, MAX_TRAILERS)
  for (const piece of pieces) {
    const bytes = Buffer.from(`..${piece}`, 'latin1')
    reading.left = bytes.length - reader.execute(bytes, 2)
  }
  return reading
}

function refusal(...pieces: string[]): string {
  try {
    read(...pieces)
  } catch (error) {
    expect(error).toBeInstanceOf(GatewayError)
    return (error as GatewayError).message
  }
  return 'taken'
}

test.each([
  ['0\r\n\r\n', ''],
  ['000\r\n\r\n', ''],
  ['3\r\nabc\r\n0\r\n\r\n', 'abc'],
  ['1\r\na\r\n002\r\nbc\r\n0\r\n\r\n', 'abc'],
  ['A\r\n0123456789\r\n0\r\n\r\n', '0123456789'],
  ['a\r\n0123456789\r\n0\r\n\r\n', '0123456789'],
  ['1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n', 'abcdefghijklmnopqrstuvwxyz'],
  ['4\r\n\r\n\r\n\r\n0\r\n\r\n', '\r\n\r\n'],
])('%j', (text, body) => {
  expect(read(text)).toEqual({ body, trailers: [], left: 0 })
  expect(read(...text)).toEqual({ body, trailers: [], left: 0 })
})

test('what is behind the end is left alone', () => {
  expect(read('1\r\na\r\n0\r\n\r\nHTTP/1.1')).toEqual({ body: 'a', trailers: [], left: 8 })
  expect(read('1\r\na\r\n0\r\nX: y\r\n\r\nHTTP/1.1')).toEqual({ body: 'a', trailers: ['X', 'y'], left: 8 })
  expect(read('1\r\na\r\n0\r\nX: y\r', '\n\r', '\nHTTP/1.1')).toEqual({ body: 'a', trailers: ['X', 'y'], left: 8 })
  expect(read('1\r\na\r\n0\r\n\r', '\nHTTP/1.1')).toEqual({ body: 'a', trailers: [], left: 8 })
})

describe('a size', () => {
  test('may have 13 digits and not more', () => {
    expect(read('fffffffffffff\r\nabc')).toMatchObject({ body: 'abc', trailers: undefined })
    expect(refusal('00000000000001\r\n')).toContain('a chunk size beyond all bounds')
    expect(refusal('ffffffffffffffff1\r\n')).toContain('a chunk size beyond all bounds')
    expect(read('0000000000001\r\na\r\n0000000000001\r\nb\r\n0000000000000\r\n\r\n').body).toBe('ab')
  })

  test.each([
    ['3 \r\n', 'no number'],
    ['3\t\r\n', 'no number'],
    ['3\nabc', 'no number'],
    ['3\r\rabc', 'without a line end'],
    ['3\rabc', 'without a line end'],
    ['0x3\r\n', 'no number'],
    ['3g\r\n', 'no number'],
    ['3,3\r\n', 'no number'],
    ['3\0\r\n', 'no number'],
    ['3\xb3\r\n', 'no number'],
    ['+3\r\n', 'without a size'],
    ['-3\r\n', 'without a size'],
    [' 3\r\n', 'without a size'],
    ['\r\n', 'without a size'],
    ['\n', 'without a size'],
    [';a\r\n', 'without a size'],
    ['G\r\n', 'without a size'],
    ['@\r\n', 'without a size'],
    ['`\r\n', 'without a size'],
  ])('refused: %j', (text, message) => expect(refusal(text)).toContain(message))
})

test.each([
  ['3\r\nabcd\r\n', 'longer than its size'],
  ['3\r\nabc0\r\n', 'longer than its size'],
  ['3\r\nabc\n0\r\n', 'longer than its size'],
  ['3\r\nabc\r0\r\n', 'without a line end'],
  ['3\r\nab\r\n0\r\n\r\n', 'longer than its size'],
  ['3\r\nabc\r\n\r\n', 'without a size'],
])('a chunk must be followed by its CR LF: %j', (text, message) => expect(refusal(text)).toContain(message))

describe('extensions', () => {
  test.each([';a', ';a=b', ';a="b"', ';a="\\" ;\t\xe9\\\\"', ';a;b=c;d="e"', ';a=""'])(
    'are read over: %j',
    (extension) => {
      const text = `3${extension}\r\nabc\r\n0${extension}\r\n\r\n`
      expect(read(text)).toEqual({ body: 'abc', trailers: [], left: 0 })
      expect(read(...text).body).toBe('abc')
    },
  )

  test.each([
    ';',
    '; a',
    ';a ',
    ';a =b',
    ';a= b',
    ';=b',
    ';;',
    ';a=',
    ';a="',
    ';a="b"c',
    ';a="\\"',
    ';\xe9',
    ';a\x7f',
    ';a=b=c',
    ';a,b',
  ])('refused: %j', (extension) =>
    expect(refusal(`3${extension}\r\nabc\r\n`)).toContain('a chunk extension that is none'),
  )

  test.each([';\nabc', ';a\n', ';a\0', ';a="\n"', ';a\x0b'])('with control characters are refused: %j', (extension) => {
    expect(refusal(`3${extension}`)).toContain('a control character in a chunk extension')
  })

  test('may have 16 KiB in one body and not more', () => {
    const chunk = `1;${'x'.repeat(1_023)}\r\na\r\n`
    expect(read(`${chunk.repeat(16)}0\r\n\r\n`)).toMatchObject({ body: 'a'.repeat(16), trailers: [] })
    expect(refusal(`${chunk.repeat(16)}1;x\r\na\r\n0\r\n\r\n`)).toContain('chunk extensions without end')
  })
})

describe('trailers', () => {
  test('are given as they came', () => {
    const text = '0\r\nX-T: a \r\nx-t:\r\n\r\n'
    expect(read(text).trailers).toEqual(['X-T', 'a', 'x-t', ''])
    expect(read(...text).trailers).toEqual(['X-T', 'a', 'x-t', ''])
  })

  test.each(['Content-Length: 3', 'transfer-encoding: chunked'])('must not frame anything: %s', (line) => {
    expect(refusal(`0\r\n${line}\r\n\r\n`)).toContain('framing in its trailers')
  })

  test.each([
    ['X : y\r\n\r\n', 'no token'],
    ['X: y\r\n z\r\n\r\n', 'without a colon'],
    ['X\r\n\r\n', 'without a colon'],
    ['X: \0\r\n\r\n', 'control characters'],
    ['X: y\n\r\n', 'bare line ends'],
    ['X: y\r\n\n', 'bare line ends'],
    ['X: y\r\n\rX', 'bare line ends'],
    ['\rX', 'bare line ends'],
    ['\n', 'bare line ends'],
    ['\r\r\n', 'bare line ends'],
  ])('refused: %j', (text, message) => {
    expect(refusal(`0\r\n${text}`)).toContain(message)
    expect(refusal(...`0\r\n${text}`)).toContain(message)
  })

  test('may be as large as their bound and not larger', () => {
    const trailers = (length: number) => `X: ${'y'.repeat(length - 7)}\r\n\r\n`
    expect(read(`0\r\n${trailers(MAX_TRAILERS)}`).trailers).toHaveLength(2)
    expect(refusal(`0\r\n${trailers(MAX_TRAILERS + 1)}`)).toContain('trailers without end')
    expect(refusal('0\r\n', trailers(MAX_TRAILERS + 1).slice(0, 900), trailers(MAX_TRAILERS + 1).slice(900))).toContain(
      'without end',
    )
  })

  test('may be 500 and not more', () => {
    const reader = (count: number) => () =>
      new ChunkReader({ data() {}, end() {} }, 65_536).execute(Buffer.from(`0\r\n${'X: y\r\n'.repeat(count)}\r\n`), 0)
    expect(reader(500)).not.toThrow()
    expect(reader(501)).toThrow('more than 500 header lines')
  })
})
