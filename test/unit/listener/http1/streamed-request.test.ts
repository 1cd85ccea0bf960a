import { once } from 'node:events'
import type { Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { describe, expect, test } from '@jest/globals'
import { CountedBody } from '../../../../src/listener/http1/streamed-request.ts'

/** A body of `length` bytes, on a socket of which only the flow counts, and somebody to whom it is handed. */
function bodyOf(length: number, onData: (body: CountedBody, told: string[]) => void = () => {}) {
  const socket = new PassThrough()
  const body = new CountedBody(socket as unknown as Socket, length)
  const told: string[] = []
  const taker = {
    data: (chunk: Buffer) => {
      told.push(String(chunk))
      onData(body, told)
    },
    end: () => told.push('(end)'),
  }
  return { socket, body, told, taker, receive: (text: string) => body.receive(Buffer.from(text)) }
}

describe('a body that is handed on past its stream', () => {
  test('comes in the turn that reads it, what waited first, and not a byte beyond its end', async () => {
    const { body, told, taker, receive } = bodyOf(12)
    const closed = once(body, 'close')
    receive('one,')
    expect(body.handTo(taker)).toBe(true)
    expect(told).toEqual(['one,'])
    expect(receive('two,')).toBe(4)
    expect(told).toEqual(['one,', 'two,'])
    expect(receive('tri.GET / HTTP/1.1')).toBe(4)
    expect(told).toEqual(['one,', 'two,', 'tri.', '(end)'])
    expect(body.complete).toBe(true)
    await closed
  })

  test('holds its client back, with nothing in between', () => {
    const { socket, body, told, taker, receive } = bodyOf(100)
    body.handTo(taker)
    body.pause()
    expect(socket.isPaused()).toBe(true)
    body.resume()
    expect(socket.isPaused()).toBe(false)
    receive('x')
    expect([told, body.readableLength]).toEqual([['x'], 0])
  })

  test('holds its client back from the first piece on', () => {
    const { socket, body, taker, receive } = bodyOf(100, (body) => body.pause())
    receive('x')
    body.handTo(taker)
    expect(socket.isPaused()).toBe(true)
  })

  test('that is held back at its end lets the next request through', () => {
    const { socket, body, told, taker, receive } = bodyOf(1, (body) => body.pause())
    body.handTo(taker)
    receive('x')
    expect([told, socket.isPaused()]).toEqual([['x', '(end)'], false])
  })

  test('and taken back: the rest is dropped as it comes, and it still closes', async () => {
    const { socket, body, told, taker, receive } = bodyOf(300_000)
    const closed = once(body, 'close')
    body.handTo(taker)
    receive('x')
    body.pause()
    body.takeBack()
    expect(socket.isPaused()).toBe(false)
    for (let left = 299_999; left > 0; left -= 99_999) {
      receive('y'.repeat(Math.min(left, 99_999)))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await closed
    expect([told, body.complete, socket.isPaused()]).toEqual([['x'], true, false])
  })

  test('and taken back with a piece: there is no further one, and no end', () => {
    const { body, told, taker, receive } = bodyOf(3, (body) => body.takeBack())
    receive('a')
    receive('b')
    body.handTo(taker)
    receive('c')
    // Node 24 reads pieces that wait in a stream together.
    expect(['a', 'ab']).toContain(told.join('|'))
  })

  test('and taken back with the last piece has no end either', () => {
    const { body, told, taker, receive } = bodyOf(1, (body) => body.takeBack())
    body.handTo(taker)
    receive('a')
    expect(told).toEqual(['a'])
  })

  test('of a client that leaves closes', async () => {
    const { body, told, taker } = bodyOf(3)
    body.handTo(taker)
    body.destroy()
    await once(body, 'close')
    expect(told).toEqual([])
  })
})

test('a body that is there as a whole is a stream', async () => {
  const { body, told, taker, receive } = bodyOf(3)
  receive('all')
  expect(body.handTo(taker)).toBe(false)
  expect(String(await body.toArray())).toBe('all')
  expect(told).toEqual([])
})

test('as a stream it holds its client back when 64 KB wait', async () => {
  const { socket, body, receive } = bodyOf(200_000)
  receive('x'.repeat(70_000))
  expect(socket.isPaused()).toBe(true)
  const piece = once(body, 'data')
  await piece
  expect(socket.isPaused()).toBe(false)
})
