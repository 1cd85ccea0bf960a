import { createServer, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, createServer as createNetServer, type Socket } from 'node:net'
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { feedParser } from '../../../src/listener/parser-feed.ts'
import { waitFor } from '../../support/wait.ts'

const REQUEST = 'GET / HTTP/1.1\r\n\r\n'
const LIMIT = 64

const waiting: ServerResponse[] = []
let received: string[] = []
let mostAtOnce = 0
let client: Socket
const http = createServer({ requireHostHeader: false }, (request, response) => {
  received.push(request.url ?? '')
  waiting.push(response)
  mostAtOnce = Math.max(mostAtOnce, waiting.length)
})
const tcp = createNetServer((socket) => {
  http.emit('connection', socket)
  feedParser(socket, {
    get isFull() {
      return waiting.length >= LIMIT
    },
    parsed: () => {},
  })
})

beforeAll(() => new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve)))
afterAll(() => {
  client.destroy()
  tcp.close()
  http.close()
})
beforeEach(() => {
  client?.destroy()
  client = connect((tcp.address() as AddressInfo).port, '127.0.0.1')
  client.on('error', () => {}).resume()
  waiting.length = 0
  received = []
  mostAtOnce = 0
})

function answerAll(): void {
  const { socket } = waiting[0]?.req ?? {}
  for (const response of waiting.splice(0)) response.end()
  socket?.resume()
}

test('of thousands of requests in one read, hardly more than may wait are parsed; the others come when there is room', async () => {
  client.write(REQUEST.repeat(3600))
  await waitFor('as many as may wait', () => waiting.length >= LIMIT)
  await waitFor('all', () => {
    answerAll()
    return received.length === 3600
  })
  expect(mostAtOnce).toBeLessThan(2 * LIMIT)
})

test('they come in their order, wherever the bytes are split', async () => {
  const paths = Array.from({ length: 300 }, (_, i) => `/${i}`)
  const bytes = paths.map((path) => `POST ${path} HTTP/1.1\r\nContent-Length: 8\r\n\r\n\r\n\r\n\r\n\r\n`).join('')
  for (let at = 0; at < bytes.length; at += 997) client.write(bytes.slice(at, at + 997))
  await waitFor('all', () => {
    answerAll()
    return received.length === paths.length
  })
  expect(received).toEqual(paths)
})

test('while answers wait for a client that does not read, nothing is parsed, whoever resumes the socket', async () => {
  client.pause()
  client.write(REQUEST)
  await waitFor('the first request', () => waiting.length === 1)
  const [first] = waiting
  const socket = first?.req.socket as Socket
  first?.write(Buffer.alloc(20_000_000))
  waiting.length = 0
  client.write(REQUEST.repeat(100))
  await waitFor('some', () => waiting.length > 0)
  const before = waiting.length
  for (let i = 0; i < 10; i++) {
    socket.resume()
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(waiting).toHaveLength(before)
})
