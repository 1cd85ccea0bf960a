import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { expect, test } from '@jest/globals'
import { boundedRequest } from '../../src/bounded-request.ts'
import { whenFileEnds } from '../support/cleanup.ts'

/** A server that says `answer` to whatever comes. */
async function serve(
  answer: (socket: Socket) => void,
): Promise<{ url: URL; asked: () => string; closed: Promise<unknown> }> {
  let asked = ''
  const sockets = new Set<Socket>()
  const closed = Promise.withResolvers<void>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => closed.resolve())
    socket.on('data', (bytes) => {
      if (asked === '') answer(socket)
      asked += bytes
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  whenFileEnds(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/path?q`),
    asked: () => asked,
    closed: closed.promise,
  }
}

const BOUNDS = { timeout: 20_000, most: 100 }

function whole(body: string, status = '200 OK', header = 'X-Word: here'): string {
  return `HTTP/1.1 ${status}\r\n${header}\r\nContent-Length: ${body.length}\r\n\r\n${body}`
}

test('sends the question with its length, and gives back status, headers and body', async () => {
  const { url, asked } = await serve((socket) => socket.write(whole('no', '404 Not Found')))
  const answer = await boundedRequest({ url, method: 'POST', agent: false, headers: { Accept: 'a/b' } }, 'é', BOUNDS)
  expect({ ...answer, body: answer.body.toString() }).toMatchObject({
    status: 404,
    headers: { 'x-word': 'here' },
    body: 'no',
  })
  expect(asked()).toMatch(/^POST \/path\?q HTTP\/1\.1\r\n/)
  expect(asked()).toMatch(/\r\naccept: a\/b\r\n/i)
  expect(asked()).toMatch(/\r\ncontent-length: 2\r\n/i)
})

test('follows no redirection', async () => {
  const { url } = await serve((socket) => socket.write(whole('', '302 Found', 'Location: http://127.0.0.1:1/')))
  expect(await boundedRequest({ url, agent: false }, undefined, BOUNDS)).toMatchObject({ status: 302 })
})

test.each<[string, (socket: Socket) => void, number, RegExp]>([
  ['a body that is too large', (socket) => socket.write(whole('x'.repeat(101))), 20_000, /more than 100 bytes/],
  [
    'a body without an end',
    (socket) => socket.write(`HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(101)}`),
    20_000,
    /more than 100 bytes/,
  ],
  ['nothing', () => {}, 50, /^no answer within 50 ms$/],
  ['a head and no body', (socket) => socket.write(whole('xy').slice(0, -1)), 50, /^no answer within 50 ms$/],
  ['half a body', (socket) => socket.end(whole('xy').slice(0, -1)), 20_000, /aborted/],
  [
    'another protocol',
    (socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'),
    20_000,
    /the answer is 101/,
  ],
  ['no HTTP', (socket) => socket.write('hello there\r\n\r\n'), 20_000, /Parse Error/],
])('%s is an error, and the connection is closed', async (_what, answer, timeout, reason) => {
  const { url, closed } = await serve(answer)
  await expect(boundedRequest({ url, agent: false }, undefined, { timeout, most: 100 })).rejects.toThrow(reason)
  await closed
})
