/** Against node:http's own classes, on real sockets: what they do is what these must do. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { afterEach, describe, expect, test } from '@jest/globals'
import { ClientRequest, ClientResponse } from '../../../src/listener/client-messages.ts'

type Handler = (request: ClientRequest, response: ClientResponse) => void

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections()
})

async function serve(handler: Handler): Promise<number> {
  const options = {
    IncomingMessage: ClientRequest,
    ServerResponse: ClientResponse,
    optimizeEmptyRequests: true,
    requireHostHeader: false,
  }
  const server = createServer(options, (request, response) => {
    request.handedOut = true
    handler(request, response)
  }).listen(0, '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** Everything that comes back for `bytes`, up to the end of the connection. */
async function exchange(port: number, bytes: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1' })
  let received = ''
  socket.setEncoding('latin1').on('data', (text: string) => {
    received += text
  })
  socket.write(bytes)
  await once(socket, 'close')
  return received
}

const HEADERS = ['X-Name', 'J\xf6rg', 'Content-Length', '3', 'Date', 'Sun, 06 Nov 1994 08:49:37 GMT']
const LAST = 'GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
const WHOLE =
  'HTTP/1.1 201 Made\r\nX-Name: J\xf6rg\r\nContent-Length: 3\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n' +
  'Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\n\x80\xff!'

/** One answer as node:http writes it, or the same in one write. */
const answering =
  (whole: Buffer | string | undefined): Handler =>
  (request, response) => {
    if (request.url === '/last') response.end('last')
    else if (whole !== undefined && response.takesWhole) response.sendWhole(201, whole)
    else response.writeHead(201, 'Made', HEADERS).end('\x80\xff!', 'latin1')
  }

describe('an answer that is sent whole', () => {
  test.each([
    ['1.1', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['1.1, of a request with a body', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab'],
    ['1.0, kept', 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n'],
    ['1.1, twice', 'GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ])('is the same to the byte, and the connection goes on: HTTP/%s', async (_case, request) => {
    const plain = await exchange(await serve(answering(undefined)), request + LAST)
    const text = await exchange(await serve(answering(WHOLE)), request + LAST)
    const bytes = await exchange(await serve(answering(Buffer.from(WHOLE, 'latin1'))), request + LAST)
    const times = request.split('GET /').length > 2 ? 2 : 1
    expect(plain.startsWith(WHOLE.repeat(times))).toBe(true)
    const withoutDate = (answer: string) => answer.replace(/Date: [^\r]* 20\d\d [^\r]*/, 'Date: now')
    expect([text, bytes].map(withoutDate)).toEqual([withoutDate(plain), withoutDate(plain)])
  })

  test('looks ended at once, finished when it is out, and cannot be written to any more', async () => {
    const seen: unknown[] = []
    let given = 0
    const port = await serve((request, response) => {
      if (request.url === '/last') return response.end('last')
      const state = () => [response.headersSent, response.writableEnded, response.writableFinished, response.statusCode]
      seen.push(state())
      response.on('finish', () => seen.push('finish', state())).on('close', () => seen.push('close'))
      response.sendWhole(201, Buffer.from(WHOLE, 'latin1'), () => {
        given += 1
      })
      seen.push(state())
      return response.end()
    })
    const answer = await exchange(port, `GET / HTTP/1.1\r\nHost: a\r\n\r\n${LAST}`)
    expect(answer.startsWith(`${WHOLE}HTTP/1.1 200 OK\r\n`)).toBe(true)
    expect(seen).toEqual([
      [false, false, false, 200],
      [true, true, false, 201],
      'finish',
      [true, true, true, 201],
      'close',
    ])
    expect(given).toBe(1)
  })
})

describe('an answer cannot be sent whole', () => {
  test.each([
    ['that ends the connection', 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'],
    ['of HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n'],
  ])('%s', async (_case, request) => {
    const taken: boolean[] = []
    const port = await serve((_request, response) => {
      taken.push(response.takesWhole)
      response.end()
    })
    await exchange(port, request)
    expect(taken).toEqual([false])
  })

  test('that has begun, or is not the next on its connection', async () => {
    const taken: boolean[] = []
    let first: ClientResponse | undefined
    const port = await serve((request, response) => {
      if (request.url === '/last') {
        taken.push(response.takesWhole)
        first?.end('b')
        response.end()
        return
      }
      first = response
      taken.push(response.takesWhole)
      response.write('a')
      taken.push(response.takesWhole)
    })
    const answer = await exchange(port, `GET / HTTP/1.1\r\nHost: a\r\n\r\n${LAST}`)
    expect(answer).toMatch(/\r\n\r\n(?:2\r\nab|1\r\na\r\n1\r\nb)\r\n0\r\n\r\nHTTP\/1\.1 200 OK/)
    expect(taken).toEqual([true, false, false])
  })
})

describe('the headers of a request', () => {
  test.each([
    ['alone', 'GET / HTTP/1.1\r\nHost: a\r\nAccept: b\r\n', '', { host: 'a', accept: 'b' }],
    ['with a body', 'POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 2\r\n', 'xy', { host: 'a', 'content-length': '2' }],
    [
      'with a chunked body',
      'POST / HTTP/1.1\r\nHost: a\r\nTRANSFER-ENCODING: chunked\r\n',
      '2\r\nxy\r\n0\r\n\r\n',
      { host: 'a', 'transfer-encoding': 'chunked' },
    ],
  ])('%s are all there for whoever gets it, and so is its body', async (_case, head, body, expected) => {
    const seen: unknown[] = []
    const port = await serve((request, response) => {
      let received = ''
      request.on('data', (chunk: Buffer) => {
        received += chunk
      })
      const answer = () => {
        seen.push({ ...request.headers }, received)
        response.writeHead(200, ['Connection', 'close']).end()
      }
      if (body === '') answer()
      else request.on('end', answer)
    })
    await exchange(port, `${head}\r\n${body}`)
    expect(seen).toEqual([expected, body === '' ? '' : 'xy'])
  })

  test('that asks to be told to go on is answered 100', async () => {
    const port = await serve((request, response) => {
      request.resume().on('end', () => response.writeHead(200, ['Connection', 'close']).end())
    })
    const request = 'POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx'
    expect(await exchange(port, request)).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/)
  })
})
