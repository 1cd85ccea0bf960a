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

  const refused = () => {
    throw new Error('lent')
  }
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
