import { describe, expect, test } from '@jest/globals'
import { AnswerParser, MAX_HEAD } from '../../../../src/upstream/http1/answer-parser.ts'
import { emptyReading, readAnswer, recorder } from '../../../support/answer-reading.ts'

const COUNTED = 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc'
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: y\r\n\r\n'
const INTERIM = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'

function bytes(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}

describe('where an answer ends', () => {
  test('after as many bytes as Content-Length says', () => {
    const reading = readAnswer([COUNTED])
    expect(reading).toMatchObject({ status: 200, body: 'abc', complete: true, reusable: true, error: undefined })
    expect(reading.events).toEqual(['head', 'data', 'end'])
  })

  test('at once where Content-Length is 0', () => {
    const reading = readAnswer(['HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'])
    expect(reading).toMatchObject({ events: ['head', 'end'], complete: true, reusable: true, error: undefined })
  })

  test('behind the last chunk and its trailers', () => {
    expect(readAnswer([CHUNKED])).toMatchObject({ body: 'abc', trailers: ['X-T', 'y'], complete: true, reusable: true })
  })

  test.each(['204 No Content', '304 Not Modified'])('with the head of a %s, whatever it says', (status) => {
    for (const framing of ['Content-Length: 3\r\n', 'Transfer-Encoding: chunked\r\n', '']) {
      const reading = readAnswer([`HTTP/1.1 ${status}\r\n${framing}\r\n`])
      expect(reading).toMatchObject({ events: ['head', 'end'], complete: true, reusable: true })
    }
  })

  test('with the head of an answer to HEAD, whatever it says', () => {
    for (const framing of ['Content-Length: 3\r\n', 'Transfer-Encoding: chunked\r\n', '']) {
      const reading = readAnswer([`HTTP/1.1 200 OK\r\n${framing}\r\n`], { method: 'HEAD' })
      expect(reading).toMatchObject({ events: ['head', 'end'], complete: true, reusable: true })
    }
  })

  test('with the connection where nothing else says it, which then carries no other', () => {
    const text = 'HTTP/1.1 200 OK\r\n\r\nabc'
    expect(readAnswer([text, 'def'])).toMatchObject({ body: 'abcdef', complete: false, reusable: false })
    expect(readAnswer([text, 'def'], { finish: true })).toMatchObject({
      body: 'abcdef',
      complete: true,
      error: undefined,
    })
    expect(readAnswer(['HTTP/1.1 200 OK\r\n\r\n'], { finish: true })).toMatchObject({ body: '', complete: true })
  })

  test.each([
    ['before its head', ''],
    ['in its head', 'HTTP/1.1 200 OK\r\nX: '],
    ['behind an interim answer', INTERIM],
    ['in a counted body', COUNTED.slice(0, -1)],
    ['in a chunk', CHUNKED.slice(0, -17)],
    ['in trailers', CHUNKED.slice(0, -2)],
  ])('but not with a connection that ends %s', (_, text) => {
    const reading = readAnswer([text], { finish: true })
    expect(reading.complete).toBe(false)
    expect(reading.error).toContain('GW_UPSTREAM_RESET')
  })

  test('and its end says nothing behind a complete answer', () => {
    expect(readAnswer([COUNTED], { finish: true }).error).toBeUndefined()
  })
})

describe('a piece may end anywhere', () => {
  test.each([COUNTED, CHUNKED, INTERIM + COUNTED, 'HTTP/1.1 200 OK\r\nX: y\r\n\r\nabc'])('%j', (text) => {
    const { events, ...whole } = readAnswer([text], { finish: true })
    expect(whole.complete).toBe(true)
    for (let at = 0; at <= text.length; at += 1) {
      expect(readAnswer([text.slice(0, at), text.slice(at)], { finish: true })).toEqual({ events, ...whole })
    }
    expect(readAnswer([...text], { finish: true })).toEqual({ events, ...whole })
  })
})

describe('the next answer on a connection', () => {
  test('is read once it is asked for', () => {
    const reading = emptyReading()
    const parser = new AnswerParser(recorder(reading))
    for (const text of [COUNTED, CHUNKED, 'HTTP/1.1 204 None\r\n\r\n', INTERIM + COUNTED]) {
      expect(parser.done).toBe(true)
      parser.expect('GET', false)
      expect(parser.done).toBe(false)
      parser.execute(bytes(text))
    }
    expect(reading.events.filter((event) => event === 'end')).toHaveLength(4)
    expect(reading.trailers).toEqual([])
    expect(parser.reusable).toBe(true)
  })

  test('is never what nobody asked for', () => {
    const parser = new AnswerParser(recorder(emptyReading()))
    expect(() => parser.execute(bytes(COUNTED))).toThrow('bytes after the end')
    expect(parser.reusable).toBe(false)
  })

  test.each([COUNTED, CHUNKED, 'HTTP/1.1 204 None\r\n\r\n', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'])(
    'is not the rest of what brought %j',
    (text) => {
      for (const pieces of [[`${text}${COUNTED}`], [text, COUNTED], [`${text}\r\n`]]) {
        const reading = readAnswer(pieces)
        expect(reading).toMatchObject({ complete: true, reusable: false })
        expect(reading.error).toContain('GW_UPSTREAM_RESPONSE: the upstream sent bytes after the end')
        expect(reading.events.filter((event) => event === 'end')).toHaveLength(1)
      }
    },
  )

  test('is not that rest either when it is asked for at the very end of the one before', () => {
    const reading = emptyReading()
    const reusable: boolean[] = []
    const parser: AnswerParser = new AnswerParser({
      ...recorder(reading),
      end() {
        reusable.push(parser.reusable)
        parser.expect('GET', false)
      },
    })
    parser.expect('GET', false)
    expect(() => parser.execute(bytes(COUNTED + COUNTED.replace('200', '403')))).toThrow('bytes after the end')
    expect(reading.status).toBe(200)
    expect(reusable).toEqual([false])
  })
})

describe('interim answers', () => {
  test('come before the final one, without its framing', () => {
    const reading = readAnswer([`HTTP/1.1 100 Continue\r\nContent-Length: 9\r\n\r\n${INTERIM}${COUNTED}`])
    expect(reading.interims).toEqual([
      { status: 100, headers: ['Content-Length', '9'] },
      { status: 103, headers: ['Link', '</a>'] },
    ])
    expect(reading).toMatchObject({ status: 200, body: 'abc', complete: true, reusable: true })
  })

  test('may be 32 and not more, for each answer anew', () => {
    expect(readAnswer([INTERIM.repeat(32) + COUNTED])).toMatchObject({ complete: true, error: undefined })
    const reading = readAnswer([INTERIM.repeat(33) + COUNTED])
    expect(reading.error).toContain('more than 32 interim answers')
    expect(reading.interims).toHaveLength(32)
    const parser = new AnswerParser(recorder(emptyReading()))
    for (let i = 0; i < 2; i += 1) {
      parser.expect('GET', false)
      parser.execute(bytes(INTERIM.repeat(32) + COUNTED))
    }
    expect(parser.done).toBe(true)
  })

  test.each(['HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\n', 'HTTP/1.0 100 Continue\r\n\r\n'])(
    'must not close the connection: %j',
    (text) => expect(readAnswer([text + COUNTED]).error).toContain('an interim answer that closes the connection'),
  )
})

describe('101', () => {
  const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: x, Upgrade\r\n\r\n'

  test('hands over the connection, with the bytes behind it', () => {
    const reading = readAnswer([`${SWITCHING}\x81\0rest`, 'HTTP/1.1 no more'], { upgrade: true, finish: true })
    expect(reading).toMatchObject({ status: 101, rest: '\x81\0rest', reusable: false, error: undefined })
    expect(reading.events).toEqual(['upgraded'])
    expect(readAnswer([SWITCHING], { upgrade: true }).rest).toBe('')
  })

  test('that nobody asked for is refused', () => {
    const reading = readAnswer([SWITCHING])
    expect(reading.error).toContain('101 to a request that asked for no upgrade')
    expect(reading.events).toEqual([])
  })

  test.each(['Upgrade: websocket\r\n', 'Connection: Upgrade\r\n', '', 'Upgrade: x\r\nConnection: no-upgrade\r\n'])(
    'needs both of its fields: %j',
    (fields) => {
      const reading = readAnswer([`HTTP/1.1 101 S\r\n${fields}\r\n`], { upgrade: true })
      expect(reading.error).toContain('101 without Upgrade and Connection: upgrade')
      expect(reading.events).toEqual([])
    },
  )

  test('another answer to a request for an upgrade is a plain one', () => {
    expect(readAnswer([COUNTED], { upgrade: true })).toMatchObject({ body: 'abc', complete: true, reusable: true })
  })
})

describe('a head', () => {
  const lines = (length: number) => {
    const start = 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: '
    return `${start}${'x'.repeat(length - start.length - 4)}\r\n\r\n`
  }

  test.each([1, 1_000, 4_096, 50_000, MAX_HEAD])('may have 64 KiB, in pieces of %d bytes, and not more', (step) => {
    const split = (text: string) => text.match(new RegExp(`[^]{1,${step > 1 ? step : 7}}`, 'g')) ?? []
    const largest = readAnswer(split(`${lines(MAX_HEAD)}abc`))
    expect(largest).toMatchObject({ body: 'abc', complete: true, error: undefined })
    const reading = readAnswer(split(`${lines(MAX_HEAD + 1)}abc`))
    expect(reading.error).toContain('a head of more than 65536 bytes')
    expect(reading.events).toEqual([])
  })

  test('leaves a body of any size alone', () => {
    const body = 'b'.repeat(300_000)
    const reading = readAnswer([`HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n${body}`])
    expect(reading).toMatchObject({ complete: true, error: undefined })
    expect(reading.body).toBe(body)
  })

  test.each([
    ['another protocol', 'SSH-2.0-x\r\n', 'no HTTP/1.1 answer'],
    ['a TLS alert', '\x15\x03\x01\0\x02\x02F', 'an alert of TLS: write https:// in its url'],
    ['HTTP/2', 'HTTP/2', 'no HTTP/1.1 answer'],
    ['an empty line before it', '\r\n', 'no HTTP/1.1 answer'],
    ['bare line feeds', 'HTTP/1.1 200 OK\nX: y\n\n', 'bare line ends'],
    ['a bare CR', 'HTTP/1.1 200 OK\r\nX: \ry', 'bare line ends'],
    ['a NUL', 'HTTP/1.1 200 OK\r\nX: \0', 'control characters'],
  ])('that can no longer become one is refused without its end: %s', (_, text, message) => {
    expect(readAnswer([text]).error).toContain(message)
    expect(readAnswer([...text]).error).toContain(message)
  })
})

test('an answer that says so closes its connection', () => {
  const closes = (version: string, fields: string) =>
    !readAnswer([`HTTP/${version} 200 OK\r\n${fields}Content-Length: 0\r\n\r\n`]).reusable
  expect(closes('1.1', '')).toBe(false)
  expect(closes('1.1', 'Connection: Close\r\n')).toBe(true)
  expect(closes('1.0', '')).toBe(true)
  expect(closes('1.0', 'Connection: Keep-Alive\r\n')).toBe(false)
})
