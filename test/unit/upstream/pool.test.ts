import { connect, Socket } from 'node:net'
import { describe, expect, jest, test } from '@jest/globals'
import type { UpstreamConnection } from '../../../src/upstream/http1/connection.ts'
import { ConnectionPool, type PoolLimits } from '../../../src/upstream/pool.ts'
import { Pools } from '../../../src/upstream/pools.ts'
import type { Connector } from '../../../src/upstream/tls-identity.ts'
import { waitFor } from '../../support/wait.ts'
import { Answer, connectorThatFails, connectorTo, GET, OK } from './http1/exchanges.ts'
import { ROOM, startTcp } from './support.ts'

const LIMITS: PoolLimits = { readTimeout: 5000, idleTimeout: 5000, maxIdle: 8, maxRequests: 1000, maxConnections: 8 }

/** A pool in front of an upstream that answers each request by `serve`. */
async function poolWith(serve: (socket: Socket) => void, limits: Partial<PoolLimits> = {}) {
  const accepted: Socket[] = []
  const port = await startTcp((socket) => {
    accepted.push(socket)
    socket.on('data', () => serve(socket))
  })
  return { pool: new ConnectionPool('api:80', connectorTo(port), { ...LIMITS, ...limits }, ROOM), accepted }
}

interface Exchange {
  readonly connection: UpstreamConnection
  readonly answer: Answer
  /** Resolves with undefined, or with the error, once the exchange is over. */
  readonly over: Promise<Error | undefined>
}

function exchange(pool: ConnectionPool): Exchange {
  const answer = new Answer()
  const connection = pool.send(GET, answer)
  return { connection, answer, over: answer.over.then(() => answer.error) }
}

test('a connection is used again once its exchange is over', async () => {
  const { pool, accepted } = await poolWith((socket) => socket.write(OK))
  for (let i = 0; i < 3; i++) expect(await exchange(pool).over).toBeUndefined()
  expect(accepted).toHaveLength(1)
  expect([pool.size, pool.idleConnections]).toEqual([1, 1])
})

test('a connection that has carried as many requests as it may is closed, and nobody is sent to it', async () => {
  const { pool, accepted } = await poolWith((socket) => socket.write(OK), { maxRequests: 2 })
  const used: UpstreamConnection[] = []
  for (let i = 0; i < 5; i++) {
    const { connection, over } = exchange(pool)
    used.push(connection)
    expect(await over).toBeUndefined()
  }
  expect(used.map((connection) => used.indexOf(connection))).toEqual([0, 0, 2, 2, 4])
  expect(accepted).toHaveLength(3)
  await waitFor('the used ones to be closed', () => accepted[0]?.destroyed === true && accepted[1]?.destroyed === true)
  expect([pool.size, pool.idleConnections]).toEqual([1, 1])
})

test('two exchanges at a time have two connections', async () => {
  const { pool, accepted } = await poolWith((socket) => setTimeout(() => socket.write(OK), 30))
  const [first, second] = [exchange(pool), exchange(pool)]
  expect(first.connection).not.toBe(second.connection)
  expect([pool.size, pool.idleConnections]).toEqual([2, 0])
  await Promise.all([first.over, second.over])
  expect(accepted).toHaveLength(2)
  expect([pool.size, pool.idleConnections]).toEqual([2, 2])
})

test('the connection that was used last goes first, so that the others grow old', async () => {
  const waiting: Socket[] = []
  const { pool, accepted } = await poolWith((socket) => waiting.push(socket))
  const [first, second] = [exchange(pool), exchange(pool)]
  await waitFor('both requests', () => waiting.length === 2)
  // Whichever the upstream has accepted first: one ends after the other.
  accepted[0]?.write(OK)
  await waitFor('the first end', () => pool.idleConnections === 1)
  const older = first.answer.told.includes('end') ? first : second
  accepted[1]?.write(OK)
  await waitFor('the second end', () => pool.idleConnections === 2)
  const newer = older === first ? second : first
  for (let i = 0; i < 3; i++) {
    const next = exchange(pool)
    expect(next.connection).toBe(newer.connection)
    await waitFor('the request', () => waiting.length === 3 + i)
    waiting.at(-1)?.write(OK)
    await next.over
  }
})

test('no more connections than allowed: GW_OVERLOADED, until one is free', async () => {
  const { pool } = await poolWith((socket) => setTimeout(() => socket.write(OK), 30), { maxConnections: 1 })
  const { over } = exchange(pool)
  const refused = new Answer()
  expect(() => pool.send(GET, refused)).toThrow(expect.objectContaining({ code: 'GW_OVERLOADED' }))
  expect(refused.told).toEqual([])
  await over
  expect(await exchange(pool).over).toBeUndefined()
})

test('a connection that failed makes room for another', async () => {
  const { pool } = await poolWith((socket) => socket.destroy(), { maxConnections: 1 })
  for (let i = 0; i < 3; i++) {
    expect(await exchange(pool).over).toMatchObject({ code: 'GW_UPSTREAM_RESET' })
    expect([pool.size, pool.idleConnections]).toEqual([0, 0])
  }
})

test('no more idle connections than allowed', async () => {
  const { pool, accepted } = await poolWith((socket) => setTimeout(() => socket.write(OK), 30), { maxIdle: 1 })
  await Promise.all([exchange(pool).over, exchange(pool).over, exchange(pool).over])
  expect([pool.size, pool.idleConnections]).toEqual([1, 1])
  await waitFor('the end of two', () => accepted.filter(({ destroyed }) => destroyed).length === 2)
})

test('an idle connection that the upstream closes is forgotten', async () => {
  const { pool, accepted } = await poolWith((socket) => socket.write(OK))
  await exchange(pool).over
  accepted[0]?.end()
  await waitFor('an empty pool', () => pool.size === 0 && pool.idleConnections === 0)
})

test('an idle connection that speaks unasked is not used again', async () => {
  const { pool, accepted } = await poolWith((socket) => socket.write(OK))
  await exchange(pool).over
  accepted[0]?.write(OK)
  await waitFor('an empty pool', () => pool.size === 0 && pool.idleConnections === 0)
  expect(await exchange(pool).over).toBeUndefined()
  expect(accepted).toHaveLength(2)
})

test('an idle connection is closed after the idle timeout', async () => {
  const { pool } = await poolWith((socket) => socket.write(OK), { idleTimeout: 100 })
  await exchange(pool).over
  await waitFor('an empty pool', () => pool.size === 0 && pool.idleConnections === 0)
})

describe('retired', () => {
  test('idle connections close at once', async () => {
    const { pool, accepted } = await poolWith((socket) => setTimeout(() => socket.write(OK), 30))
    await Promise.all([exchange(pool).over, exchange(pool).over, exchange(pool).over])
    pool.retire()
    expect([pool.size, pool.idleConnections]).toEqual([0, 0])
    await waitFor('the end', () => accepted.length === 3 && accepted.every(({ destroyed }) => destroyed))
  })
  test('busy ones with the end of their exchange', async () => {
    const { pool, accepted } = await poolWith((socket) => setTimeout(() => socket.write(OK), 50))
    const { over } = exchange(pool)
    pool.retire()
    expect(pool.size).toBe(1)
    expect(await over).toBeUndefined()
    expect([pool.size, pool.idleConnections]).toEqual([0, 0])
    await waitFor('the end', () => accepted[0]?.destroyed)
  })
})

test('an upgraded connection counts until it closes', async () => {
  const upgrade = 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n'
  const { pool, accepted } = await poolWith((socket) => socket.write(upgrade), { maxConnections: 1 })
  const answer = new Answer()
  pool.send({ ...GET, upgrade: true }, answer)
  expect(await answer.over).toBe('upgraded')
  answer.upgradedTo?.socket.on('error', () => {}).resume()
  expect([pool.size, pool.idleConnections]).toEqual([1, 0])
  expect(() => pool.send(GET, answer)).toThrow(expect.objectContaining({ code: 'GW_OVERLOADED' }))
  // Retired or not: it is in use.
  pool.retire()
  expect(pool.size).toBe(1)
  accepted[0]?.end()
  await waitFor('an empty pool', () => pool.size === 0)
})

describe('why an exchange failed', () => {
  test('where the connection has reported a reason, it is that', async () => {
    const reason = Object.assign(new Error('tlsv13 alert certificate required'), { code: 'ERR_SSL_ALERT' })
    const port = await startTcp(() => {})
    const pool = new ConnectionPool(
      'api:80',
      (done) => {
        const socket = connect({ host: '127.0.0.1', port })
        socket.once('connect', () => {
          done(null, socket)
          socket.emit('error', reason)
          socket.destroy()
        })
        return socket
      },
      LIMITS,
      ROOM,
    )
    expect(await exchange(pool).over).toBe(reason)
    expect(pool.size).toBe(0)
  })
  test('else that the upstream closed the connection', async () => {
    const { pool } = await poolWith((socket) => socket.destroy())
    expect(await exchange(pool).over).toMatchObject({ code: 'GW_UPSTREAM_RESET' })
  })
  test('a connection that could not be opened', async () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
    const pool = new ConnectionPool('api:80', connectorThatFails(refused), LIMITS, ROOM)
    expect(await exchange(pool).over).toBe(refused)
    expect([pool.size, pool.idleConnections]).toEqual([0, 0])
  })
})

describe('a target that cannot be reached', () => {
  const REFUSED = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })

  /** Each attempt to connect waits for the test. */
  function unreliable() {
    const said: (string | undefined)[] = []
    const attempts: Parameters<Connector>[0][] = []
    const connector: Connector = (done) => {
      attempts.push(done)
      return new Socket()
    }
    const pool = new ConnectionPool('api:80', connector, LIMITS, { ...ROOM, reached: (_, reason) => said.push(reason) })
    return { pool, said, attempts }
  }

  function clock() {
    let now = 1_000
    const spy = jest.spyOn(performance, 'now').mockImplementation(() => now)
    return {
      pass: (milliseconds: number) => {
        now += milliseconds
      },
      [Symbol.dispose]: () => spy.mockRestore(),
    }
  }

  test('is left alone for ten seconds; then one request asks whether it is there again, and the others go on without it', () => {
    using time = clock()
    const { pool, attempts } = unreliable()
    pool.send(GET, new Answer())
    expect(pool.isUnavailable).toBe(false)
    attempts[0]?.(REFUSED, null)
    time.pass(9_999)
    expect(pool.isUnavailable).toBe(true)
    time.pass(1)
    expect(pool.isUnavailable).toBe(false)
    pool.send(GET, new Answer())
    expect(pool.isUnavailable).toBe(true)
    attempts[1]?.(null, new Socket())
    // It may hang all the same.
    expect(pool.isUnavailable).toBe(true)
    pool.answered()
    expect(pool.isUnavailable).toBe(false)
  })

  test('is told of once, and so is that it answers again', () => {
    using _time = clock()
    const { pool, attempts, said } = unreliable()
    for (let i = 0; i < 4; i++) pool.send(GET, new Answer())
    attempts[0]?.(REFUSED, null)
    attempts[1]?.(REFUSED, null)
    pool.answered()
    pool.answered()
    expect(said).toEqual(['connect ECONNREFUSED', undefined])
  })

  test('is also one that answers nobody for as long as a request may wait', async () => {
    const { pool } = await poolWith(() => {}, { readTimeout: 200 })
    expect(await exchange(pool).over).toMatchObject({ code: 'GW_UPSTREAM_TIMEOUT' })
    expect(pool.isUnavailable).toBe(true)
  })

  test('is not one that lets a request wait, and answers others', async () => {
    let requests = 0
    const { pool } = await poolWith((socket) => void (++requests > 1 && socket.write(OK)), { readTimeout: 500 })
    const slow = exchange(pool)
    await waitFor('the request', () => requests === 1)
    expect(await exchange(pool).over).toBeUndefined()
    expect(await slow.over).toMatchObject({ code: 'GW_UPSTREAM_TIMEOUT' })
    expect(pool.isUnavailable).toBe(false)
  })

  test('is not one whose client left before it could have been reached', () => {
    using time = clock()
    const { pool, attempts, said } = unreliable()
    const connection = pool.send(GET, new Answer())
    time.pass(2_999)
    connection.abort(new Error('the client has left'))
    attempts[0]?.(REFUSED, null)
    expect([pool.isUnavailable, said]).toEqual([false, []])
  })

  test('is also one that is silent until clients leave, who may be less patient than the connect timeout', () => {
    using time = clock()
    const { pool, said } = unreliable()
    const connection = pool.send(GET, new Answer())
    time.pass(3_000)
    connection.abort(new Error('the client has left'))
    connection.abort(new Error('the client has left'))
    expect([pool.isUnavailable, said]).toEqual([true, ['no connection within 3 s, when the client left']])
  })

  test('is not one that was connected to, however long ago, when the client left', () => {
    using time = clock()
    const { pool, attempts, said } = unreliable()
    const connection = pool.send(GET, new Answer())
    attempts[0]?.(null, new Socket())
    time.pass(3_000)
    connection.abort(new Error('the client has left'))
    expect([pool.isUnavailable, said]).toEqual([false, []])
  })
})

test('the slots of all pools are given back, and what another target keeps idle makes room', async () => {
  let taken = 0
  const slots = {
    enter: () => taken < 2 && ++taken > 0,
    leave: () => {
      taken -= 1
    },
  }
  const refused: string[] = []
  const pools = new Pools(slots, (reason) => refused.push(reason))
  const [one, other] = await Promise.all(
    ['one', 'other'].map(async (serve) => {
      const port = await startTcp((socket) => socket.on('data', () => serve === 'one' && socket.write(OK)))
      const address = { host: '127.0.0.1', port }
      return pools.get({ address, tls: undefined, connectTimeout: 5000, namesStaleFor: 0, limits: LIMITS }, new Set())
    }),
  )
  if (!one || !other) throw new Error('no pools')
  await Promise.all([exchange(one).over, exchange(one).over])
  expect([taken, one.idleConnections]).toEqual([2, 2])
  const busy = [exchange(other), exchange(other)]
  expect([taken, one.size, other.size]).toEqual([2, 0, 2])
  expect(() => other.send(GET, new Answer())).toThrow(expect.objectContaining({ code: 'GW_OVERLOADED' }))
  expect(refused).toEqual(['open_files'])
  for (const { connection } of busy) connection.abort(new Error('enough'))
  expect(taken).toBe(0)
})
