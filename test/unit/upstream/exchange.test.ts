import { EventEmitter } from 'node:events'
import { describe, expect, test } from '@jest/globals'
import type { HttpResponse } from '../../../src/http-messages.ts'
import { Exchange, type ExchangeOutcome } from '../../../src/upstream/exchange.ts'
import type { UpstreamConnection } from '../../../src/upstream/http1/connection.ts'
import { readHeadText } from '../../../src/upstream/http1/head-reader.ts'
import { ReadBuffer } from '../../../src/upstream/http1/read-buffer.ts'
import { callOf } from './support.ts'

const RECORD = 16 * 1024

/** Keeps what is written, in the words of HttpResponse. */
class FakeResponse extends EventEmitter {
  readonly req = { method: 'GET', httpVersion: '1.1' }
  readonly persistence = ''
  readonly writableLength = 0
  takesWhole = true
  writableEnded = false
  readonly told: string[] = []

  writeHead(status: number): void {
    this.takesWhole = false
    this.told.push(`head ${status}`)
  }
  write(chunk: Buffer): void {
    this.told.push(`write ${shape(chunk)}`)
  }
  sendWhole(_status: number, message: Buffer): void {
    this.writableEnded = true
    this.told.push(`whole ${shape(message.subarray(message.indexOf('\r\n\r\n') + 4))}`)
  }
  end(): void {
    this.writableEnded = true
    this.told.push('end')
  }
}

/** Length and the different bytes. */
function shape(chunk: Buffer): string {
  return `${chunk.length} of ${[...new Set(chunk)]}`
}

/** One that is to be told an answer of so many records, each filled with `byte`, which was read into `buffer`. */
function exchangeOf(buffer: ReadBuffer, byte: number, records: number) {
  const response = new FakeResponse()
  const request = { socket: { writable: true } }
  const exchange = new Exchange(
    callOf(request),
    response as unknown as HttpResponse,
    { lines: () => undefined, forward: (headers) => [...headers], trailers: (headers) => [...headers] },
    () => {},
  )
  let left = records
  return {
    exchange,
    told: response.told,
    begin: () => exchange.head(readHeadText(`HTTP/1.1 200 OK\r\nContent-Length: ${records * RECORD}\r\n\r\n`)),
    /** So many records come in one turn of the event loop. */
    read: (count: number) => {
      for (let i = 0; i < count; i++) {
        left -= 1
        exchange.data(buffer.next().fill(byte, 0, RECORD).subarray(0, RECORD), buffer, left * RECORD)
        if (left === 0) exchange.end([])
        else exchange.pending()
      }
    },
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

test('an answer of several records that come together leaves in one write', async () => {
  const { told, begin, read } = exchangeOf(new ReadBuffer(), 1, 7)
  begin()
  read(7)
  await turn()
  expect(told).toEqual([`whole ${7 * RECORD} of 1`])
})

test('what came of it leaves at the end of the turn, without the rest', async () => {
  const { told, begin, read } = exchangeOf(new ReadBuffer(), 1, 7)
  begin()
  read(3)
  expect(told).toEqual([])
  await turn()
  expect(told).toEqual(['head 200', `write ${3 * RECORD} of 1`])
  read(4)
  expect(told.slice(2)).toEqual([`write ${4 * RECORD} of 1`, 'end'])
})

test('nothing of the next answer on the same connection leaves with the one before', async () => {
  const buffer = new ReadBuffer()
  const first = exchangeOf(buffer, 1, 3)
  const second = exchangeOf(buffer, 2, 3)
  first.begin()
  first.read(3)
  second.begin()
  second.read(2)
  await turn()
  second.read(1)
  expect(first.told).toEqual([`whole ${3 * RECORD} of 1`])
  expect(second.told).toEqual(['head 200', `write ${2 * RECORD} of 2`, `write ${RECORD} of 2`, 'end'])
})

test('a large answer leaves as it comes', async () => {
  const { told, begin, read } = exchangeOf(new ReadBuffer(), 1, 9)
  begin()
  read(9)
  expect(told).toEqual(['head 200', ...new Array(9).fill(`write ${RECORD} of 1`), 'end'])
})

test('nothing is written for a client that has ended its side, and whoever asked is told that it has left', () => {
  const request = { socket: { writable: false } }
  const response = new FakeResponse()
  const outcomes: ExchangeOutcome[] = []
  const exchange = new Exchange(
    callOf(request),
    response as unknown as HttpResponse,
    { lines: () => undefined, forward: (headers) => [...headers], trailers: (headers) => [...headers] },
    (outcome) => outcomes.push(outcome),
  )
  exchange.connection = { abort: (error: Error) => exchange.failed(error) } as UpstreamConnection
  exchange.head(readHeadText('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'))
  expect(response.told).toEqual([])
  expect(outcomes).toMatchObject([{ error: { code: 'GW_CLIENT_CLOSED' }, answered: false }])
})

describe('small pieces of a body without a length', () => {
  const CHUNKED = readHeadText('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')

  /** One read of pieces with these lengths, each filled with its place. */
  function readInto({ exchange }: ReturnType<typeof exchangeOf>, buffer: ReadBuffer, lengths: readonly number[]): void {
    const room = buffer.next()
    let at = 0
    for (const [i, length] of lengths.entries()) {
      exchange.data(room.subarray(at, at + length).fill(i), buffer, 0)
      at += length
    }
  }

  test('leave in one write for each read, in their order with larger ones', () => {
    const buffer = new ReadBuffer()
    const asked = exchangeOf(buffer, 1, 1)
    asked.exchange.head(CHUNKED)
    readInto(asked, buffer, [2, 3, 4])
    asked.exchange.pending()
    readInto(asked, buffer, [5, 2000, 6, 7])
    asked.exchange.pending()
    readInto(asked, buffer, [8])
    asked.exchange.end([])
    expect(asked.told).toEqual([
      'head 200',
      'write 9 of 0,1,2',
      'write 5 of 0',
      'write 2000 of 1',
      'write 13 of 2,3',
      'write 8 of 0',
      'end',
    ])
  })

  test('that came before a fault are not lost', () => {
    const buffer = new ReadBuffer()
    const asked = exchangeOf(buffer, 1, 1)
    asked.exchange.head(CHUNKED)
    readInto(asked, buffer, [2, 3])
    asked.exchange.failed(new Error('reset'))
    expect(asked.told).toEqual(['head 200', 'write 5 of 0,1'])
  })
})
