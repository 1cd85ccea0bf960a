import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { describe, expect, test } from '@jest/globals'
import type { BodySink, OutgoingBody } from '../../../../src/upstream/http1/outgoing-request.ts'
import { pause, waitFor } from '../../../support/wait.ts'
import { bodyOf, lineTo, OK } from './exchanges.ts'

const HEAD = 'POST / HTTP/1.1\r\nHost: api\r\n'
const POST = { method: 'POST', head: HEAD }

test('the head of a request leaves at once, though its body has not begun', async () => {
  const line = await lineTo(() => {})
  line.send({ ...POST, body: bodyOf(new Readable({ read() {} })) })
  await waitFor('the head', () => line.received() === `${HEAD}\r\n`)
})

test('a counted body leaves as it is', async () => {
  const line = await lineTo((socket, received) => received.endsWith('two') && socket.write(OK))
  const body = Readable.from([Buffer.from('one,'), Buffer.from('two')])
  expect(await line.send({ ...POST, body: bodyOf(body) }).over).toBe('end')
  expect(line.received()).toBe(`${HEAD}\r\none,two`)
  expect(line.owner).toEqual(['idle'])
})

test('a chunked body leaves in chunks, and with their end', async () => {
  const line = await lineTo((socket, received) => received.endsWith('0\r\n\r\n') && socket.write(OK))
  const body = Readable.from([Buffer.from('one,'), Buffer.alloc(26, 'x')])
  expect(await line.send({ ...POST, body: bodyOf(body), chunked: true }).over).toBe('end')
  expect(line.received()).toBe(`${HEAD}\r\n4\r\none,\r\n1a\r\n${'x'.repeat(26)}\r\n0\r\n\r\n`)
  expect(line.owner).toEqual(['idle'])
})

test('an empty chunked body is its end only', async () => {
  const line = await lineTo((socket, received) => received.endsWith('0\r\n\r\n') && socket.write(OK))
  expect(await line.send({ ...POST, body: bodyOf(Readable.from([])), chunked: true }).over).toBe('end')
  expect(line.received()).toBe(`${HEAD}\r\n0\r\n\r\n`)
})

test('a body that is there already leaves in one write with its head', async () => {
  const line = await lineTo((socket, received) => received.endsWith('\xff') && socket.write(OK))
  const body = { ...bodyOf(new Readable({ read() {} })), takeWhole: () => Buffer.from('one\0\xff', 'latin1') }
  let writes = 0
  const first = line.send()
  await waitFor('the connection', () => line.received() !== '')
  line.far().write(OK)
  await first.over
  const near = line.near()
  const write = near.write.bind(near)
  near.write = (...args: unknown[]) => {
    writes += 1
    return Reflect.apply(write, near, args)
  }
  expect(await line.send({ ...POST, body }).over).toBe('end')
  expect(line.received().endsWith(`${HEAD}\r\none\0\xff`)).toBe(true)
  expect([writes, line.owner]).toEqual([1, ['idle', 'idle']])
})

const MANY = 400
const SOME = Buffer.alloc(64 * 1024, 'x')

test.each([
  ['counted', false],
  ['chunked', true],
])('an upstream that does not read holds the %s body back; once it reads, all of it comes', async (_how, chunked) => {
  let size = 0
  const wire = MANY * SOME.length + `${HEAD}\r\n`.length + (chunked ? MANY * '10000\r\n\r\n'.length + 5 : 0)
  const line = await lineTo(() => {})
  const warm = line.send()
  await waitFor('the connection', () => line.received() !== '')
  line.far().write(OK)
  await warm.over
  line.far().removeAllListeners('data').pause()
  let made = 0
  const body = new Readable({ read: () => void body.push(made++ < MANY ? SOME : null) })
  const answer = line.send({ ...POST, body: bodyOf(body), chunked })
  await waitFor('a body that waits', () => body.isPaused())
  // 256 KiB may wait, and the chunk that reached it.
  expect(line.near().writableLength).toBeLessThan(256 * 1024 + SOME.length)
  expect(made).toBeLessThan(MANY)
  line.far().on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size === wire) line.far().write(OK)
  })
  line.far().resume()
  expect(await answer.over).toBe('end')
  expect(size).toBe(wire)
  expect(line.owner).toEqual(['idle', 'idle'])
})

test('the time for an answer begins when the upstream has taken the last of the body', async () => {
  const line = await lineTo(() => {}, { readTimeout: 1000 })
  let sink: BodySink | undefined
  const body: OutgoingBody = {
    flow: (given) => {
      sink = given
    },
    pause: () => {},
    resume: () => {},
    giveUp: () => {},
  }
  const answer = line.send({ ...POST, body })
  await waitFor('the connection', () => line.received() !== '')
  line.far().removeAllListeners('data').pause()
  while (line.near().writableLength < 2 * SOME.length) {
    sink?.data(SOME)
    await pause(1)
  }
  sink?.end()
  await pause(700)
  line.far().resume()
  await waitFor('the last of the body', () => line.near().writableLength === 0)
  await pause(700)
  line.far().write(OK)
  expect(await answer.over).toBe('end')
})

describe('an answer that comes before the end of the request', () => {
  test('is told whole, and nobody can tell where the next request would begin: the connection closes', async () => {
    const line = await lineTo((socket) => socket.write(OK))
    const body = new Readable({ read() {} })
    const answer = line.send({ ...POST, body: bodyOf(body), chunked: true })
    expect(await answer.over).toBe('end')
    expect(answer.body).toBe('ok')
    expect(body.destroyed).toBe(true)
    expect(line.owner).toEqual(['closed'])
    await waitFor('the end', () => line.far().destroyed)
  })

  test('but not while it is under way: the rest of the body is still sent', async () => {
    const line = await lineTo((socket, received) => {
      if (received === `${HEAD}\r\n`) socket.write(OK.slice(0, -1))
      if (received.endsWith('0\r\n\r\n')) socket.write('k')
    })
    const body = new Readable({ read() {} })
    const answer = line.send({ ...POST, body: bodyOf(body), chunked: true })
    await waitFor('half an answer', () => answer.body === 'o')
    body.push('late')
    body.push(null)
    expect(await answer.over).toBe('end')
    expect(line.received()).toBe(`${HEAD}\r\n4\r\nlate\r\n0\r\n\r\n`)
    expect(line.owner).toEqual(['idle'])
  })
})

test('a body that fails takes the request with it, and the upstream never sees its end', async () => {
  const line = await lineTo(() => {})
  const body = new Readable({ read() {} })
  const answer = line.send({ ...POST, body: bodyOf(body), chunked: true })
  body.push('some')
  await waitFor('some of the body', () => line.received().endsWith('some\r\n'))
  const reason = new Error('the client has left')
  body.destroy(reason)
  expect(await answer.over).toBe('failed')
  expect(answer.error).toBe(reason)
  await waitFor('the end', () => line.far().destroyed)
  expect(line.received()).toBe(`${HEAD}\r\n4\r\nsome\r\n`)
  expect(line.owner).toEqual(['closed'])
})

test.each<[string, (socket: Socket) => void]>([
  ['ends', (socket) => socket.end()],
  ['resets', (socket) => socket.resetAndDestroy()],
])('an upstream that %s within the body: the body is given up', async (_how, close) => {
  const line = await lineTo(close)
  const body = new Readable({ read() {} })
  const answer = line.send({ ...POST, body: bodyOf(body), chunked: true })
  expect(await answer.over).toBe('failed')
  expect(body.destroyed).toBe(true)
  expect(line.owner).toEqual(['closed'])
})
