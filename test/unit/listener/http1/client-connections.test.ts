import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { ClientConnections } from '../../../../src/listener/http1/client-connections.ts'
import type { SocketResponse } from '../../../../src/listener/http1/socket-response.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

/** A connection whose client says what the test says. */
class Wire extends Duplex {
  override _read(): void {}

  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done()
  }

  destroySoon(): void {
    this.end(() => this.destroy())
  }
}

let responses: SocketResponse[]
let late: Socket[]
let handedOver: Socket[]
let asked: Set<Socket>
let connections: ClientConnections

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate'] })
  responses = []
  late = []
  handedOver = []
  asked = new Set()
  connections = new ClientConnections(
    { maxHeaderSize: 16_384, maxTarget: 8192, headerTimeout: 10_000, keepaliveTimeout: 5000, bodyTimeout: 3000 },
    {
      request: (response) => responses.push(response),
      handOver: (socket) => handedOver.push(socket),
      hasAsked: (socket) => asked.has(socket),
      endlessLine: () => {},
      late: (socket) => late.push(socket),
    },
  )
  connections.start()
})

afterEach(() => {
  connections.stop()
  jest.useRealTimers()
})

function open(): { readonly wire: Wire; readonly socket: Socket } {
  const wire = new Wire()
  const socket = wire as unknown as Socket
  connections.serve(socket)
  return { wire, socket }
}

async function says(wire: Wire, text: string): Promise<void> {
  wire.push(text, 'latin1')
  await turn()
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

async function answer(): Promise<void> {
  responses.at(-1)?.sendWhole(200, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  await turn()
}

/** A client that does not end its side may say what it likes: nobody hears it, and soon its connection is gone. */
async function endsForGood(wire: Wire): Promise<void> {
  const heard = responses.length
  await says(wire, GET)
  expect([responses.length, wire.destroyed]).toEqual([heard, false])
  jest.advanceTimersByTime(2000)
  expect(wire.destroyed).toBe(true)
}

describe('a new client', () => {
  test('that says nothing is late after its time, once', () => {
    const { socket } = open()
    jest.advanceTimersByTime(9500)
    expect(late).toEqual([])
    jest.advanceTimersByTime(20_000)
    expect(late).toEqual([socket])
  })

  test('that has been handed over to node:http has no more time than that either', async () => {
    const { wire, socket } = open()
    jest.advanceTimersByTime(9000)
    await says(wire, 'G')
    expect(handedOver).toEqual([socket])
    jest.advanceTimersByTime(1500)
    expect(late).toEqual([socket])
  })

  test('is not late where node:http has had a request of it', async () => {
    const { wire, socket } = open()
    await says(wire, GET + GET)
    asked.add(socket)
    jest.advanceTimersByTime(60_000)
    expect([handedOver, late]).toEqual([[socket], []])
  })

  test('is forgotten where it has gone', async () => {
    open().wire.destroy()
    await turn()
    jest.advanceTimersByTime(60_000)
    expect(late).toEqual([])
  })
})

describe('a client that has asked', () => {
  test('may take as long as its answer does', async () => {
    const { wire } = open()
    await says(wire, GET)
    jest.advanceTimersByTime(600_000)
    expect([wire.destroyed, late]).toEqual([false, []])
  })

  test('and was answered may be idle for keepalive_timeout, and what may be under way', async () => {
    const { wire } = open()
    await says(wire, GET)
    jest.advanceTimersByTime(100_000)
    await answer()
    jest.advanceTimersByTime(5500)
    expect(wire.destroyed).toBe(false)
    await says(wire, GET)
    await answer()
    jest.advanceTimersByTime(5500)
    expect(wire.destroyed).toBe(false)
    jest.advanceTimersByTime(1000)
    expect([wire.writableEnded, late]).toEqual([true, []])
    await endsForGood(wire)
  })

  test('is under other times from one reload on', async () => {
    const { wire } = open()
    await says(wire, GET)
    await answer()
    connections.settings = { ...connections.settings, keepaliveTimeout: 60_000 }
    jest.advanceTimersByTime(30_000)
    expect(wire.destroyed).toBe(false)
  })
})

test('an answer that waits for those to others reaches a client that ends its side meanwhile', async () => {
  const { wire } = open()
  await says(wire, GET)
  await says(open().wire, GET)
  await says(open().wire, GET)
  const written: unknown[] = []
  const write = jest.spyOn(wire, '_write').mockImplementation((chunk, _encoding, done) => {
    written.push(String(chunk))
    done()
  })
  const text = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'
  responses[0]?.sendWhole(200, text)
  expect(write).not.toHaveBeenCalled()
  wire.emit('end')
  expect([written, wire.writableEnded]).toEqual([[text], true])
})

describe('an answer that still waits for those to others', () => {
  const text = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'
  let wire: Wire
  let write: ReturnType<typeof jest.spyOn>
  let told: unknown[]

  beforeEach(async () => {
    wire = open().wire
    for (const each of [wire, open().wire, open().wire]) await says(each, GET)
    write = jest.spyOn(wire, '_write')
    told = []
    responses[0]?.sendWhole(200, text, () => told.push('not needed'))
    responses[0]?.afterWrite((lost) => told.push(lost?.code))
  })

  test('has not begun, though it is complete', async () => {
    expect([responses[0]?.headersSent, responses[0]?.writableEnded]).toEqual([false, true])
    await turn()
    await turn()
    expect([responses[0]?.headersSent, told]).toEqual([true, [undefined, 'not needed']])
  })

  test.each([
    ['is known to be gone', turn],
    ['is about to be known to be gone', async () => {}],
  ])(
    'is not written where its client %s when its turn comes, and whoever waits for its end learns why',
    async (_when, known) => {
      wire.destroy()
      await known()
      for (const other of responses.slice(1)) other.sendWhole(200, text)
      await turn()
      await turn()
      expect(write).not.toHaveBeenCalled()
      expect([responses[0]?.headersSent, told]).toEqual([false, ['not needed', 'GW_CLIENT_CLOSED']])
    },
  )
})

test.each<[answer: string, begin: (response: SocketResponse | undefined) => void]>([
  ['that comes in pieces', (response) => response?.writeHead(200, undefined, ['Transfer-Encoding', 'chunked'])],
  ['that its client reads slowly', (response) => response?.sendWhole(200, 'HTTP/1.1 200 OK\r\n\r\n')],
  ['that takes long', () => jest.advanceTimersByTime(500)],
  ['that was given up', (response) => response?.req.socket.destroy()],
])('an answer %s is waited for by no other', async (_answer, begin) => {
  const slow = open().wire
  jest.spyOn(slow, '_write').mockImplementation(() => {})
  await says(slow, GET)
  begin(responses[0])
  await turn()
  const { wire } = open()
  await says(wire, GET)
  const write = jest.spyOn(wire, '_write')
  responses[1]?.sendWhole(200, 'HTTP/1.1 200 OK\r\n\r\n')
  expect(write).toHaveBeenCalledTimes(1)
})

test('what comes when the end of a connection has begun is read and dropped', async () => {
  const { wire } = open()
  wire.end()
  await says(wire, GET)
  await says(wire, GET.slice(0, 5))
  expect([responses, handedOver, wire.readableLength]).toEqual([[], [], 0])
})

describe('what comes while an answer is on its way', () => {
  test('is not handed on before', async () => {
    const { wire } = open()
    await says(wire, GET)
    await says(wire, 'POST /2 HTTP/1.1\r\nContent-Length: 3\r\n\r\n')
    await says(wire, 'abc')
    expect(responses).toHaveLength(1)
    await answer()
    expect(responses.map(({ req }) => [req.url, req.wholeBody?.toString()])).toEqual([
      ['/', undefined],
      ['/2', 'abc'],
    ])
  })

  test('is not read without bound', async () => {
    const { wire } = open()
    await says(wire, GET)
    for (let i = 0; i < 100; i++) await says(wire, 'x'.repeat(16_000))
    expect(wire.isPaused()).toBe(true)
    // The reader's own buffer holds what the socket would leave with the system.
    expect(wire.readableLength).toBe(95 * 16_000)
  })

  test('counts for more than its bytes where it comes one by one', async () => {
    const { wire } = open()
    await says(wire, GET)
    let reads = 0
    for (; reads < 1000 && !wire.isPaused(); reads++) await says(wire, 'G')
    expect(reads).toBe(Math.ceil((64 * 1024) / 257))
    await answer()
    expect(wire.isPaused()).toBe(false)
  })

  test('may be a whole request that reached the bound, and what follows is read', async () => {
    const { wire } = open()
    await says(wire, GET)
    const reads = Math.ceil((64 * 1024) / 257)
    const bytes = GET.replace('/', `/${'a'.repeat(reads - GET.length)}`)
    for (const byte of bytes) await says(wire, byte)
    expect(wire.isPaused()).toBe(true)
    await answer()
    await answer()
    await says(wire, GET)
    expect([responses.map(({ req }) => req.url?.length), handedOver]).toEqual([[1, 1 + reads - GET.length, 1], []])
  })

  test('is dropped where the end of the connection begins with the end of the answer', async () => {
    const { wire } = open()
    await says(wire, GET)
    await says(wire, GET)
    responses[0]?.once('close', () => wire.end())
    await answer()
    expect([responses.length, handedOver]).toEqual([1, []])
  })

  test('is dropped where the answer was the last', async () => {
    const { wire } = open()
    await says(wire, GET)
    await says(wire, GET)
    const [response] = responses
    if (response) response.shouldKeepAlive = false
    response?.writeHead(200, undefined, ['Content-Length', '0'])
    response?.end()
    await turn()
    await says(wire, GET)
    await turn()
    expect([responses.length, handedOver, wire.destroyed]).toEqual([1, [], true])
  })
})

test.each([
  ['says so', 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'],
  ['speaks HTTP/1.0', 'GET / HTTP/1.0\r\nHost: a\r\n\r\n'],
])(
  'the connection of a client that %s ends with the answer, and nothing behind the request is read',
  async (_who, last) => {
    const { wire } = open()
    await says(wire, last)
    await says(wire, GET)
    expect([responses.length, wire.destroyed]).toEqual([1, false])
    await answer()
    await says(wire, GET)
    expect([responses.length, handedOver, wire.destroyed]).toEqual([1, [], true])
  },
)

describe('a body that comes after its head', () => {
  const POST = (length: number) => `POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`

  function textOf(response: SocketResponse | undefined): () => string {
    let text = ''
    response?.req.body.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
    })
    return () => text
  }

  test('is read as it comes, and what is behind it is the next request, after the answer', async () => {
    const { wire } = open()
    await says(wire, `${POST(10)}01`)
    const [response] = responses
    const text = textOf(response)
    expect([response?.req.complete, response?.req.wholeBody]).toEqual([false, undefined])
    await says(wire, '234')
    await says(wire, `56789${GET}`)
    expect([text(), response?.req.complete, responses.length]).toEqual(['0123456789', true, 1])
    await answer()
    expect(responses.map(({ req }) => req.url)).toEqual(['/1', '/'])
    expect(handedOver).toEqual([])
  })

  test('is no request where it was answered before its end, and what is behind it is one', async () => {
    const { wire } = open()
    await says(wire, POST(2 * GET.length))
    await answer()
    responses[0]?.req.body.resume()
    await says(wire, GET.repeat(3))
    expect(responses.map(({ req }) => req.url)).toEqual(['/1', '/'])
  })

  test('may pause for client_body_timeout where it was answered already; the next request has its own time from its end on', async () => {
    const { wire } = open()
    await says(wire, POST(8))
    jest.advanceTimersByTime(60_000)
    await answer()
    responses[0]?.req.body.resume()
    for (const half of ['half', 'body']) {
      jest.advanceTimersByTime(2500)
      await says(wire, half)
    }
    jest.advanceTimersByTime(5500)
    expect(wire.destroyed).toBe(false)
    jest.advanceTimersByTime(1000)
    expect(wire.writableEnded).toBe(true)
    await endsForGood(wire)
  })

  test.each([true, false])(
    'that never ends holds its connection no longer where it was answered already, whether anybody reads it (%s)',
    async (isRead) => {
      const { wire } = open()
      await says(wire, POST(1_000_000))
      await answer()
      if (isRead) responses[0]?.req.body.resume()
      await says(wire, 'half')
      jest.advanceTimersByTime(2500)
      expect(wire.destroyed).toBe(false)
      jest.advanceTimersByTime(1000)
      expect(wire.writableEnded).toBe(true)
      await endsForGood(wire)
    },
  )

  test('is not read faster than it is taken', async () => {
    const { wire } = open()
    await says(wire, POST(1_000_000))
    for (let i = 0; i < 50; i++) await says(wire, 'x'.repeat(16_000))
    expect(wire.isPaused()).toBe(true)
    expect(responses[0]?.req.body.readableLength).toBeLessThan(64 * 1024 + 16_000)
    const text = textOf(responses[0])
    await turn()
    expect([text().length, wire.isPaused()]).toEqual([800_000, false])
  })

  test('does not make what is behind it be read where that has to wait', async () => {
    const { wire } = open()
    await says(wire, POST(2))
    await says(wire, `ab${'x'.repeat(70_000)}`)
    const text = textOf(responses[0])
    await turn()
    expect([text(), wire.isPaused()]).toEqual(['ab', true])
  })

  test.each([
    ['before the answer', async () => {}],
    ['after it', answer],
  ])('ends without an end where the client leaves %s', async (_when, before) => {
    const { wire } = open()
    await says(wire, `${POST(4)}bo`)
    await before()
    wire.destroy()
    await turn()
    const [response] = responses
    expect([response?.req.body.destroyed, response?.req.complete, response?.closed]).toEqual([true, false, true])
  })
})
