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
    call: callOf(undefined),
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

test('an upstream that breaks off takes the client with it', async () => {
  const client = await joined((upstream) => upstream.destroy(new Error('reset')))
  expect(client.text).not.toMatch(/three$/)
  expect(client.destroyed).toBe(true)
})
