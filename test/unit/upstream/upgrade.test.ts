import { once } from 'node:events'
import type { Socket } from 'node:net'
import { Duplex, PassThrough } from 'node:stream'
import { describe, expect, test } from '@jest/globals'
import { GatewayError } from '../../../src/errors.ts'
import type { AnswerHeaders } from '../../../src/types.ts'
import type { AnswerHandler } from '../../../src/upstream/http1/connection.ts'
import { readHeadText } from '../../../src/upstream/http1/head-reader.ts'
import { ConnectionPool } from '../../../src/upstream/pool.ts'
import { carryUpgrade, type UpgradeRequest } from '../../../src/upstream/upgrade.ts'
import { waitFor } from '../../support/wait.ts'
import { connectorThatFails, connectorTo, GET } from './http1/exchanges.ts'
import { callOf, ROOM, socketPair, startTcp } from './support.ts'

const ANSWER_HEADERS: AnswerHeaders = { lines: () => undefined, forward: () => [], trailers: () => [] }
const LIMITS = { readTimeout: 5000, idleTimeout: 5000, maxIdle: 8, maxRequests: 1000, maxConnections: 1 }
const SWITCHED = readHeadText('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n')
const REFUSED = readHeadText('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\n')

function carry(
  pool: ConnectionPool,
  socket: Duplex = new PassThrough(),
  again: UpgradeRequest['again'] = ({ error }) => {
    throw error
  },
): Promise<void> {
  return carryUpgrade({
    pool,
    outgoing: { ...GET, upgrade: true },
    again,
    protocol: 'websocket',
    call: callOf(undefined, { sendTimeout: 100 }),
    answerHeaders: ANSWER_HEADERS,
    readTimeout: 1000,
    socket,
    head: Buffer.alloc(0),
  })
}

function listeners(socket: Duplex): number[] {
  return ['data', 'end', 'close', 'drain'].map((event) => socket.listenerCount(event))
}

const failure = new Error('refused')

test.each(['at once', 'later'] as const)(
  'a connection that fails %s holds no place in the pool, nor a listener on the socket',
  async (when) => {
    const pool = new ConnectionPool('api:80', connectorThatFails(failure, when), LIMITS, ROOM)
    const socket = new PassThrough()
    const before = listeners(socket)
    for (let i = 0; i < 2; i++) await expect(carry(pool, socket)).rejects.toBe(failure)
    expect([pool.size, pool.idleConnections]).toEqual([0, 0])
    expect(listeners(socket)).toEqual(before)
  },
)

test('a pool that is full leaves nothing on the socket', async () => {
  const socket = new PassThrough()
  const before = listeners(socket)
  const pool = new ConnectionPool('api:80', connectorThatFails(failure), { ...LIMITS, maxConnections: 0 }, ROOM)
  await expect(carry(pool, socket)).rejects.toMatchObject({ code: 'GW_OVERLOADED' })
  expect(listeners(socket)).toEqual(before)
  expect(pool.size).toBe(0)
})

test('whether the request was sent is told of the attempt that failed, not of one before it', async () => {
  const port = await startTcp((socket) => socket.once('data', () => socket.destroy()))
  const pools = [connectorTo(port), connectorThatFails(failure, 'later')].map(
    (connect) => new ConnectionPool('api:80', connect, LIMITS, ROOM),
  ) as [ConnectionPool, ConnectionPool]
  const sent: boolean[] = []
  const over = carry(pools[0], new PassThrough(), (outcome) => {
    sent.push(outcome.sent)
    if (sent.length > 1) throw outcome.error
    return { pool: pools[1], outgoing: { ...GET, upgrade: true } }
  })
  await expect(over).rejects.toBe(failure)
  expect(sent).toEqual([true, false])
})

test.each<[string, string, (client: Side) => unknown]>([
  ['ended his side', 'end', (client) => client.push(null)],
  ['closed', 'close', (client) => client.destroy()],
])('an upgrade whose client has %s before it is sent is given up at once', async (_how, event, leave) => {
  const upstream: Socket[] = []
  const port = await startTcp((socket) => upstream.push(socket.resume()))
  const pool = new ConnectionPool('api:80', connectorTo(port), LIMITS, ROOM)
  const client = new Side(0)
  const left = once(client.resume(), event)
  leave(client)
  await left
  await expect(carry(pool, client)).rejects.toMatchObject({ code: 'GW_CLIENT_CLOSED' })
  await waitFor('the end at the upstream', () => upstream[0]?.destroyed)
  expect(pool.size).toBe(0)
})

test('a client that leaves ends the attempt that is under way, not one that has failed at once', async () => {
  const upstream: Socket[] = []
  const port = await startTcp((socket) => upstream.push(socket.resume()))
  const [failing, pool] = [connectorThatFails(failure), connectorTo(port)].map(
    (connect) => new ConnectionPool('api:80', connect, LIMITS, ROOM),
  ) as [ConnectionPool, ConnectionPool]
  const client = new Side(0)
  const over = carry(failing, client, ({ error }) => {
    if (error !== failure) throw error
    return { pool, outgoing: { ...GET, upgrade: true } }
  })
  const rejected = expect(over).rejects.toMatchObject({ code: 'GW_CLIENT_CLOSED' })
  await waitFor('the request', () => upstream[0]?.bytesRead)
  client.push(null)
  await rejected
  expect(pool.size).toBe(0)
})

test('an upstream that turns to another protocol is left at once, and holds no place in the pool', async () => {
  const upstream: Socket[] = []
  const port = await startTcp((socket) => {
    upstream.push(socket)
    socket.once('data', () => socket.write('HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n'))
  })
  const pool = new ConnectionPool('api:80', connectorTo(port), LIMITS, ROOM)
  await expect(carry(pool)).rejects.toMatchObject({ code: 'GW_UPSTREAM_RESPONSE' })
  await waitFor('the end', () => upstream[0]?.destroyed)
  expect(pool.size).toBe(0)
})

describe('a client that leaves before the answer', () => {
  test.each<[string, (far: Socket) => void]>([
    ['ends', (far) => far.end()],
    ['resets', (far) => far.resetAndDestroy()],
  ])('%s: the request is given up, and its connection closes', async (_how, leave) => {
    const upstream: Socket[] = []
    const port = await startTcp((socket) => upstream.push(socket.resume()))
    const pool = new ConnectionPool('api:80', connectorTo(port), LIMITS, ROOM)
    const { near, far } = await socketPair()
    const over = carry(pool, near)
    const rejected = expect(over).rejects.toEqual(expect.any(GatewayError))
    await waitFor('the request', () => upstream[0]?.bytesRead)
    leave(far)
    await rejected
    await expect(over).rejects.toMatchObject({ code: 'GW_CLIENT_CLOSED' })
    await waitFor('the end', () => upstream[0]?.destroyed)
    expect(pool.size).toBe(0)
  })
})

/** One side of an upgraded connection, which takes what is written in its own time. */
class Side extends Duplex {
  readonly taken: Buffer[] = []
  readonly #delay: number
  constructor(delay: number) {
    super({ highWaterMark: 1_000_000 })
    this.#delay = delay
  }
  override _read(): void {}
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    setTimeout(() => {
      this.taken.push(chunk)
      done()
    }, this.#delay)
  }
  setTimeout(): void {}
  get text(): string {
    return Buffer.concat(this.taken).toString('latin1')
  }
}

async function joined(end: (upstream: Side) => void): Promise<Side> {
  const [client, upstream] = [new Side(30), new Side(0)]
  const send = (_request: unknown, handler: AnswerHandler) => {
    setImmediate(() => handler.upgraded(SWITCHED, upstream as unknown as Socket, Buffer.from('rest,')))
  }
  const over = carry({ send } as unknown as ConnectionPool, client)
  upstream.push('one,')
  upstream.push('two,')
  upstream.push('three')
  setTimeout(() => end(upstream), 10)
  await over
  return client
}

test('an upstream that ends first: a slow client still gets everything, in its order', async () => {
  const client = await joined((upstream) => {
    upstream.push(null)
    // As a TLS socket, which closes while the other side still writes.
    upstream.once('end', () => upstream.destroy())
  })
  expect(client.text).toMatch(/\r\n\r\nrest,one,two,three$/)
  expect(client.destroyed).toBe(true)
})

test('small last bytes that come in one turn with the end are not lost', async () => {
  const client = await joined((upstream) => {
    upstream.push(',bye')
    upstream.push(null)
    upstream.once('end', () => upstream.destroy())
  })
  expect(client.text).toMatch(/,three,bye$/)
})

test('an upstream that breaks off takes the client with it', async () => {
  const client = await joined((upstream) => upstream.destroy(new Error('reset')))
  expect(client.text).not.toMatch(/three$/)
  expect(client.destroyed).toBe(true)
})

/** A client that takes nothing, and its upstream, once they are joined. */
function withUnreadClient(): { client: Side; upstream: Side; over: Promise<void> } {
  const client = new (class extends Side {
    override _write(): void {}
  })(0)
  const upstream = new Side(0)
  const send = (_request: unknown, handler: AnswerHandler) =>
    void setImmediate(() => handler.upgraded(SWITCHED, upstream as unknown as Socket, Buffer.alloc(0)))
  return { client, upstream, over: carry({ send } as unknown as ConnectionPool, client) }
}

test('a client that sends much before the answer is not read on, so that he cannot fill the memory', async () => {
  const client = new Side(0)
  const connection = { abort: () => {} }
  void carry({ send: () => connection } as unknown as ConnectionPool, client)
  client.push(Buffer.alloc(64 * 1024))
  await new Promise(setImmediate)
  expect(client.isPaused()).toBe(true)
  client.destroy()
})

test('an upstream is read no faster than its client takes it', async () => {
  const { client, upstream, over } = withUnreadClient()
  upstream.push(Buffer.alloc(client.writableHighWaterMark))
  await waitFor('a full client', () => client.writableNeedDrain)
  expect(upstream.isPaused()).toBe(true)
  client.destroy()
  await over
})

test('a client that takes nothing once its upstream has ended is cut off', async () => {
  const { client, upstream, over } = withUnreadClient()
  upstream.push(null)
  upstream.once('end', () => upstream.destroy())
  await over
  expect(client.destroyed).toBe(true)
})

/** Of the buffer that it lies in, an upgrade uses nothing. */
function give(handler: AnswerHandler, bytes: Buffer): void {
  handler.data(bytes, undefined as never, 0)
}

/** What a client of its own pace gets of an answer that refuses the upgrade; `answer` is told to what the pool would tell. */
async function refused(client: Side, answer: (handler: AnswerHandler) => void, told: string[] = []): Promise<string> {
  await carryRefused(client, answer, told)
  await waitFor('the end', () => client.writableFinished)
  client.destroy()
  return client.text
}

function carryRefused(
  client: Side,
  answer: (handler: AnswerHandler) => void,
  told: string[] = [],
  again?: UpgradeRequest['again'],
): Promise<void> {
  const send = (_request: unknown, handler: AnswerHandler) => {
    setImmediate(() => {
      handler.head(REFUSED)
      answer(handler)
    })
    const abort = (error: Error) => handler.failed(error)
    return { abort, pause: () => told.push('pause'), resume: () => told.push('resume') }
  }
  return carry({ send } as unknown as ConnectionPool, client, again)
}

test('a client that ends its side once an answer has begun still gets all of it', async () => {
  const client = new Side(0)
  const text = await refused(client, (handler) => {
    client.once('end', () => {
      give(handler, Buffer.from('no'))
      handler.end([])
    })
    client.push(null)
  })
  expect(text).toMatch(/^HTTP\/1\.1 403 [\s\S]*\r\n\r\nno$/)
})

test('what a slow client has yet to take of an answer is not overwritten by the next read', async () => {
  const text = await refused(new Side(30), (handler) => {
    const read = Buffer.from('no')
    give(handler, read)
    read.fill('x')
    handler.end([])
  })
  expect(text).toMatch(/\r\n\r\nno$/)
})

test('an answer is read no faster than a slow client takes it, and what is read after it is not its own', async () => {
  const [client, told] = [new Side(10), [] as string[]]
  const full = Buffer.alloc(client.writableHighWaterMark)
  await refused(
    client,
    (handler) => {
      give(handler, full)
      give(handler, full)
      expect(told).toEqual(['pause'])
      client.once('drain', () => {
        expect(told).toEqual(['pause', 'resume'])
        give(handler, full)
        handler.end([])
      })
    },
    told,
  )
  expect(told).toEqual(['pause', 'resume', 'pause'])
})

test('that an answer has begun is told of a failure, so that no other is written behind it', async () => {
  const outcomes: unknown[] = []
  const over = carryRefused(
    new Side(0),
    (handler) => handler.failed(failure),
    [],
    (outcome) => {
      outcomes.push(outcome)
      throw failure
    },
  )
  await expect(over).rejects.toBe(failure)
  expect(outcomes).toEqual([expect.objectContaining({ answered: true })])
})

test('a client that takes nothing of a short answer is cut off too', async () => {
  const client = new (class extends Side {
    override _write(): void {}
  })(0)
  await carryRefused(client, (handler) => handler.end([]))
  await waitFor('the end', () => client.destroyed)
})
