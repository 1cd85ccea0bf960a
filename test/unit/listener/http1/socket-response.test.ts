/** Against node:http's own server, on real sockets: a client must not be able to tell who read its request. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, createServer as createNetServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from '@jest/globals'
import type { HttpResponse } from '../../../../src/http-messages.ts'
import { ClientRequest, ClientResponse } from '../../../../src/listener/client-messages.ts'
import { ClientConnections } from '../../../../src/listener/http1/client-connections.ts'

type Answer = (response: HttpResponse, events: string[]) => void

const PERSISTENCE = 'Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n'
const servers: Server[] = []
const sockets = new Set<Socket>()
afterEach(() => {
  for (const socket of sockets) socket.destroy()
  for (const server of servers.splice(0)) server.close()
})

async function listening(server: Server): Promise<number> {
  servers.push(server.listen(0, '127.0.0.1'))
  server.on('connection', (socket: Socket) => sockets.add(socket))
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

function withNode(answer: Answer, events: string[] = []): Promise<number> {
  const messages = { IncomingMessage: ClientRequest, ServerResponse: ClientResponse }
  const server = createServer({ ...messages, requireHostHeader: false }, (request, response) => {
    request.handedOut = true
    response.persistence = PERSISTENCE
    answer(response, events)
  })
  return listening(server)
}

function withoutNode(answer: Answer, events: string[] = []): Promise<number> {
  const connections = new ClientConnections(
    { maxHeaderSize: 16_384, maxTarget: 8192, headerTimeout: 60_000, keepaliveTimeout: 5000, bodyTimeout: 3000 },
    {
      request: (response) => {
        response.persistence = PERSISTENCE
        answer(response, events)
      },
      handOver: (socket) => socket.destroy(),
      hasAsked: () => false,
      endlessLine: () => {},
      late: () => {},
    },
  )
  return listening(createNetServer({ allowHalfOpen: true }, (socket) => connections.serve(socket)))
}

/** Everything that comes back for two requests, one after the other, up to the end of the connection or the last byte. */
async function exchange(port: number, method = 'GET', version = '1.1'): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1' })
  sockets.add(socket)
  const closed = once(socket, 'close')
  let received = ''
  socket.setEncoding('latin1').on('data', (text: string) => {
    received += text
  })
  for (const path of ['/1', '/2']) {
    socket.write(`${method} ${path} HTTP/${version}\r\nHost: a\r\nConnection: keep-alive\r\n\r\n`)
    // The end of an answer is told by its silence: what frames it is what is tested.
    for (let before = -1; before !== received.length || received === ''; ) {
      before = received.length
      await new Promise((resolve) => setTimeout(resolve, 40))
    }
  }
  socket.end()
  await closed
  return received
}

/** Everything that comes back for one request, after which the server ends the connection. */
async function lastExchange(port: number, method: string, version: string, lines: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1' }).setEncoding('latin1')
  sockets.add(socket)
  socket.write(`${method} / HTTP/${version}\r\nHost: a\r\n${lines}\r\n`)
  return (await socket.toArray()).join('')
}

const withoutTime = (received: string) => received.replaceAll(/Date: [^\r]*/g, 'Date: now')

const HEADERS = ['X-Name', 'J\xf6rg', 'Set-Cookie', 'a=b', 'Set-Cookie', 'c=d']
const LENGTH = [...HEADERS, 'Content-Length', '3']

const answering =
  (status: number, message: string | undefined, headers: string[], body?: string): Answer =>
  (response) => {
    response.writeHead(status, message, headers)
    response.end(body, 'latin1')
  }

const ANSWERS: readonly (readonly [what: string, method: string, answer: Answer])[] = [
  ['with a length', 'GET', answering(200, undefined, LENGTH, '\x80\xff!')],
  ['with a phrase of its own', 'GET', answering(299, 'Well', LENGTH, 'abc')],
  ['without a length', 'GET', answering(200, undefined, HEADERS, 'abc')],
  ['to HEAD', 'HEAD', answering(200, undefined, HEADERS)],
  ['to HEAD, with a length', 'HEAD', answering(200, undefined, LENGTH)],
  ['204', 'GET', answering(204, undefined, HEADERS)],
  ['304', 'GET', answering(304, undefined, HEADERS)],
  [
    'after hints',
    'GET',
    (response) => {
      response.writeInformation(103, ['Link', '</a>', 'Link', '</b>'])
      answering(200, undefined, LENGTH, 'abc')(response, [])
    },
  ],
  [
    'in chunks, with trailers',
    'GET',
    (response) => {
      response.writeHead(200, undefined, HEADERS)
      response.write('')
      response.write(Buffer.from('abc'))
      setImmediate(() => {
        response.write('def')
        response.addTrailers([['X-Sum', '1']])
        response.end()
      })
    },
  ],
  ...[LENGTH, HEADERS].map((headers): [string, string, Answer] => [
    `that ends the connection, with ${headers.length / 2} fields`,
    'GET',
    (response) => {
      response.shouldKeepAlive = false
      answering(200, undefined, headers, 'abc')(response, [])
    },
  ]),
]

describe('an answer is the same to the byte', () => {
  describe.each(['1.1', '1.0'])('to HTTP/%s', (version) => {
    test.each(ANSWERS)('%s', async (_what, method, answer) => {
      const node = await exchange(await withNode(answer), method, version)
      const ours = await exchange(await withoutNode(answer), method, version)
      expect(withoutTime(ours)).toBe(withoutTime(node))
    })
  })

  describe.each([
    ['1.1', 'Connection: close\r\n'],
    ['1.0', 'Connection: close\r\n'],
    ['1.0', ''],
  ])('to the last request, HTTP/%s, %j', (version, lines) => {
    test.each(ANSWERS)('%s', async (_what, method, answer) => {
      const node = await lastExchange(await withNode(answer), method, version, lines)
      const ours = await lastExchange(await withoutNode(answer), method, version, lines)
      expect(withoutTime(ours)).toBe(withoutTime(node))
    })

    test('sent whole', async () => {
      const whole: Answer = (response) => {
        expect(response.takesWhole).toBe(true)
        response.sendWhole(200, `HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 3\r\n${response.persistence}\r\nabc`)
      }
      const node = await lastExchange(
        await withNode(answering(200, undefined, ['Date', 'now', 'Content-Length', '3'], 'abc')),
        'GET',
        version,
        lines,
      )
      expect(await lastExchange(await withoutNode(whole), 'GET', version, lines)).toBe(node)
      expect(node).toContain('\r\nConnection: close\r\n')
    })
  })

  test('sent whole', async () => {
    const whole: Answer = (response) => {
      expect(response.takesWhole).toBe(true)
      response.sendWhole(200, `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n${PERSISTENCE}\r\nok`)
    }
    expect(await exchange(await withoutNode(whole))).toBe(await exchange(await withNode(whole)))
  })
})

test('what it says of itself is what node:http says', async () => {
  const telling: Answer = (response, events) => {
    const note = (when: string) =>
      events.push(
        `${when} ${response.headersSent} ${response.writableEnded} ${response.writableFinished} ${response.closed} ${response.statusCode} ${response.chunkedEncoding}`,
      )
    note('new')
    response.on('close', () => note('close'))
    response.writeHead(202, undefined, HEADERS)
    note('head')
    response.write('abc')
    response.end()
    note('end')
  }
  const node: string[] = []
  const ours: string[] = []
  await exchange(await withNode(telling, node))
  await exchange(await withoutNode(telling, ours))
  expect(ours).toEqual(node)
  expect(ours.filter((event) => event.startsWith('close'))).toHaveLength(2)
})

test.each([
  ['by node:http', withNode],
  ['without it', withoutNode],
])('whoever listens is told in turn, and whoever does not listen any more is not, %s', async (_who, start) => {
  const events: string[] = []
  const answer: Answer = (response) => {
    const note = (who: string) => () => events.push(who)
    const gone = note('gone')
    response.on('close', gone).on('drain', note('drain'))
    response.once('close', () => {
      events.push('once')
      response.off('close', later)
      response.on('close', note('too late'))
    })
    const later = note('later')
    response.on('close', later).off('close', gone).off('close', note('unknown'))
    answering(200, undefined, LENGTH, 'abc')(response, [])
  }
  await exchange(await start(answer))
  expect(events).toEqual(['once', 'later', 'once', 'later'])
})

test.each([
  ['by node:http', withNode],
  ['without it', withoutNode],
])('whoever writes more than the client takes is told when it has taken it, %s', async (_who, start) => {
  const size = 8 * 1024 * 1024
  const events: string[] = []
  const port = await start((response) => {
    response.writeHead(200, undefined, ['Content-Length', String(2 * size)])
    response.once('drain', () => {
      events.push(`drained ${response.writableLength}`)
      response.end(Buffer.alloc(size))
    })
    response.write(Buffer.alloc(size))
    events.push(response.writableLength > 0 ? 'waits' : 'gone')
  }, events)
  const socket = connect({ port, host: '127.0.0.1' }).on('error', () => {})
  sockets.add(socket)
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  let received = 0
  for await (const chunk of socket) {
    received += (chunk as Buffer).length
    if (received > 2 * size) break
  }
  expect(events).toEqual(['waits', 'drained 0'])
})

test.each([
  ['by node:http', withNode],
  ['without it', withoutNode],
])('a client that leaves closes its answer, which is not finished, %s', async (_who, start) => {
  const events: string[] = []
  let begun = () => {}
  const beginning = new Promise<void>((resolve) => {
    begun = resolve
  })
  let ended = () => {}
  const end = new Promise<void>((resolve) => {
    ended = resolve
  })
  const port = await start((response) => {
    response.on('close', () => {
      events.push(`close ${response.closed} ${response.destroyed} ${response.writableFinished}`)
      ended()
    })
    begun()
  }, events)
  const socket = connect({ port, host: '127.0.0.1' })
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await beginning
  socket.destroy()
  await end
  expect(events).toEqual(['close true true false'])
})
