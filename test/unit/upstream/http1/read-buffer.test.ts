import { describe, expect, test } from '@jest/globals'
import { ReadBuffer } from '../../../../src/upstream/http1/read-buffer.ts'

const RECORD = 16 * 1024

/** What node:net does: it asks where to read to, and fills that. */
function read(buffer: ReadBuffer, byte: number, length = RECORD): Buffer {
  return buffer.next().fill(byte, 0, length).subarray(0, length)
}

function lent(buffer: ReadBuffer, chunk: Buffer): { bytes: Buffer; done: () => void } {
  let bytes: Buffer = Buffer.alloc(0)
  let done = () => {}
  buffer.lend(chunk, (given, giveBack = () => {}) => {
    bytes = given
    done = giveBack
  })
  return { bytes, done }
}

test('what nobody keeps is read over', () => {
  const buffer = new ReadBuffer()
  expect(read(buffer, 1).buffer).toBe(read(buffer, 2).buffer)
})

describe('what is lent', () => {
  test('stays as it is until it is given back, whoever reads meanwhile', () => {
    const buffer = new ReadBuffer()
    const first = lent(buffer, read(buffer, 1))
    const second = lent(buffer, read(buffer, 2))
    for (let i = 0; i < 200; i++) lent(buffer, read(buffer, 3)).done()
    for (let i = 0; i < 100; i++) read(new ReadBuffer(), 4)
    expect([first.bytes, second.bytes].map((bytes) => new Set(bytes))).toEqual([new Set([1]), new Set([2])])
  })

  test('is read over once it has been given back', () => {
    const buffer = new ReadBuffer()
    const { bytes, done } = lent(buffer, read(buffer, 1))
    read(buffer, 2)
    done()
    expect(new ReadBuffer().next().buffer).toBe(bytes.buffer)
  })

  test('in two parts, is not before both have been given back, each once', () => {
    const buffer = new ReadBuffer()
    const whole = read(buffer, 1)
    const first = lent(buffer, whole.subarray(0, RECORD / 2))
    const second = lent(buffer, whole.subarray(RECORD / 2))
    read(buffer, 2)
    first.done()
    first.done()
    expect(new ReadBuffer().next().buffer).not.toBe(whole.buffer)
    second.done()
    expect(new ReadBuffer().next().buffer).toBe(whole.buffer)
  })

  test('is a copy where it is a small part of its buffer', () => {
    const buffer = new ReadBuffer()
    const { bytes } = lent(buffer, read(buffer, 1, 100))
    expect(read(buffer, 2).buffer).not.toBe(bytes.buffer)
    expect([...bytes]).toEqual(new Array(100).fill(1))
  })
})

function refused(): never {
  throw new Error('handed out')
}

describe('a head before what was read', () => {
  /** A read of `head` and `body` bytes; the body is what is lent. */
  function readBody(buffer: ReadBuffer, head: number, body: number): Buffer {
    return read(buffer, 7, head + body).subarray(head)
  }

  test('is one with it, and is not copied', () => {
    const buffer = new ReadBuffer()
    const body = readBody(buffer, 200, 10_000)
    const text = `${'h'.repeat(299)}\xe9`
    let given: Buffer = Buffer.alloc(0)
    expect(
      buffer.lendBehind(text, body, (bytes) => {
        given = bytes
      }),
    ).toBe(true)
    expect(given.buffer).toBe(body.buffer)
    expect(given.toString('latin1')).toBe(text + '\x07'.repeat(10_000))
  })

  test('stays as it is until it is given back', () => {
    const buffer = new ReadBuffer()
    let given: Buffer = Buffer.alloc(0)
    let done = () => {}
    buffer.lendBehind('head', readBody(buffer, 200, 10_000), (bytes, giveBack) => {
      given = bytes
      done = giveBack
    })
    for (let i = 0; i < 10; i++) read(buffer, 9)
    expect(given.toString('latin1')).toBe(`head${'\x07'.repeat(10_000)}`)
    read(buffer, 9)
    done()
    expect(new ReadBuffer().next().buffer).toBe(given.buffer)
  })

  test('must fit', () => {
    const buffer = new ReadBuffer()
    expect(buffer.lendBehind('h'.repeat(1225), readBody(buffer, 200, 10_000), refused)).toBe(false)
  })
  test('is not written where the body is small, or somebody needs what was read, or it is not from here', () => {
    const buffer = new ReadBuffer()
    expect(buffer.lendBehind('head', readBody(buffer, 200, 100), refused)).toBe(false)
    expect(buffer.lendBehind('head', Buffer.alloc(10_000), refused)).toBe(false)
    const whole = read(buffer, 1)
    lent(buffer, whole)
    expect(buffer.lendBehind('head', whole.subarray(200), refused)).toBe(false)
  })
})

describe('what is gathered', () => {
  /** Reads bodies of several records each, of its own byte, up to the `rest` bytes that are not sent yet. */
  function gather(buffer: ReadBuffer, byte: number, length: number, rest = 0): void {
    for (let left = length; left > 0; left -= RECORD) {
      const size = Math.min(left, RECORD)
      expect(buffer.gather(read(buffer, byte, size), left - size + rest)).toBe(true)
    }
  }

  function taken(buffer: ReadBuffer): { bytes: Buffer; done: () => void } {
    let taken: { bytes: Buffer; done: () => void } = { bytes: Buffer.alloc(0), done: () => {} }
    buffer.takeGathered((bytes, done) => {
      taken = { bytes, done }
    })
    return taken
  }

  test('of several reads is handed out as one, in their order', () => {
    const buffer = new ReadBuffer()
    for (const [byte, left] of [3, 2, 1, 0].entries()) buffer.gather(read(buffer, byte), left * RECORD)
    expect(buffer.hasGathered).toBe(true)
    const { bytes } = taken(buffer)
    expect(bytes.equals(Buffer.concat([0, 1, 2, 3].map((byte) => Buffer.alloc(RECORD, byte))))).toBe(true)
    expect(buffer.hasGathered).toBe(false)
  })

  test('stays as it is until it is given back, whoever reads meanwhile', () => {
    const buffer = new ReadBuffer()
    gather(buffer, 1, RECORD, 100_000)
    const first = taken(buffer)
    gather(buffer, 2, 100_000)
    const second = taken(buffer)
    for (let i = 0; i < 100; i++) {
      gather(buffer, 3, 100_000)
      taken(buffer).done()
    }
    for (let i = 0; i < 100; i++) gather(new ReadBuffer(), 4, 100_000)
    expect([first, second].map(({ bytes }) => [bytes.length, new Set(bytes)])).toEqual([
      [RECORD, new Set([1])],
      [100_000, new Set([2])],
    ])
  })

  test('is read over once all parts have been given back', () => {
    const buffer = new ReadBuffer()
    gather(buffer, 1, RECORD, RECORD)
    const first = taken(buffer)
    gather(buffer, 1, RECORD)
    const second = taken(buffer)
    expect(second.bytes.buffer).toBe(first.bytes.buffer)
    buffer.next()
    const blockOfAnother = () => {
      const other = new ReadBuffer()
      gather(other, 2, RECORD, RECORD)
      return taken(other).bytes.buffer
    }
    second.done()
    expect(blockOfAnother()).not.toBe(first.bytes.buffer)
    first.done()
    expect(blockOfAnother()).toBe(first.bytes.buffer)
  })

  test('is as large as one write is worth, and no larger', () => {
    const most = 128 * 1024
    const gathers = (length: number, rest: number) => {
      const buffer = new ReadBuffer()
      return buffer.gather(read(buffer, 1, length), rest)
    }
    expect([gathers(RECORD, 0), gathers(RECORD, RECORD - 1), gathers(1, RECORD)]).toEqual([false, false, true])
    expect([gathers(RECORD, most - RECORD), gathers(RECORD, most - RECORD + 1)]).toEqual([true, false])
  })

  test('has room for all that is to follow', () => {
    const buffer = new ReadBuffer()
    const most = 128 * 1024
    for (let left = most - 1; left > 0; left -= Math.min(left, 1000)) {
      const size = left === most - 1 ? 1 : 1000
      expect(buffer.gather(read(buffer, 1, size), left)).toBe(true)
      expect(buffer.next().length).toBeGreaterThanOrEqual(left)
    }
  })

  test('is not where a connection reads to that has no answer under way', () => {
    const buffer = new ReadBuffer()
    gather(buffer, 1, 100_000)
    const { bytes } = taken(buffer)
    expect(buffer.next().buffer).not.toBe(bytes.buffer)
    expect(buffer.next().length).toBe(RECORD)
  })

  test('leaves behind its head, where that fits', () => {
    const buffer = new ReadBuffer()
    gather(buffer, 1, RECORD + 100 + RECORD)
    expect(buffer.takeGatheredBehind('h'.repeat(1025), refused)).toBe(false)
    let text = ''
    expect(
      buffer.takeGatheredBehind('h\xe9', (bytes) => {
        text = bytes.toString('latin1')
      }),
    ).toBe(true)
    expect(text).toBe(`h\xe9${'\x01'.repeat(RECORD + 100 + RECORD)}`)
  })

  test('leaves without one where a part has left before', () => {
    const buffer = new ReadBuffer()
    gather(buffer, 1, RECORD, RECORD)
    const part = taken(buffer)
    gather(buffer, 2, RECORD)
    expect(buffer.takeGatheredBehind('head', refused)).toBe(false)
    expect([...new Set(part.bytes)]).toEqual([1])
  })
})
