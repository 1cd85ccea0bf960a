import { EventEmitter } from 'node:events'
import { describe, expect, test } from '@jest/globals'
import { GatewayError } from '../../../src/errors.ts'
import { ConstantHeaders } from '../../../src/http-fields/own-headers.ts'
import type { HttpResponse } from '../../../src/http-messages.ts'
import type { Call } from '../../../src/types.ts'
import { Backend } from '../../../src/upstream/backend.ts'
import { createRoundRobin, type Target } from '../../../src/upstream/balancer.ts'
import type { AnswerHandler } from '../../../src/upstream/http1/connection.ts'
import { readHeadText } from '../../../src/upstream/http1/head-reader.ts'
import type { OutgoingRequest } from '../../../src/upstream/http1/outgoing-request.ts'
import type { ConnectionPool } from '../../../src/upstream/pool.ts'
import { callOf } from './support.ts'

type Attempt = (exchange: AnswerHandler, outgoing: OutgoingRequest) => void

const RESET = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
const HEAD = readHeadText('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n')

const unreachable: Attempt = (exchange) => exchange.failed(Object.assign(new Error(), { code: 'ECONNREFUSED' }))
const dropped: Attempt = (exchange) => {
  exchange.sent()
  exchange.failed(RESET)
}
const malformed: Attempt = (exchange) => {
  exchange.sent()
  exchange.failed(new GatewayError('GW_UPSTREAM_RESPONSE', 'of this test'))
}
const brokenOff: Attempt = (exchange) => {
  exchange.sent()
  exchange.head(HEAD)
  exchange.pending()
  exchange.failed(RESET)
}
const answered: Attempt = (exchange) => {
  exchange.sent()
  exchange.head(readHeadText('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'))
  exchange.end([])
}

const targetNamed = (name: string): Target => ({ name, host: name, port: 443, weight: 1 })

interface Scene {
  readonly retries?: number
  readonly names?: readonly string[]
  readonly full?: readonly string[]
  readonly wholeBody?: Buffer
}

/** What each attempt in turn meets. Returns the names of the targets that were asked, and the code of the refusal, if any. */
async function forwarded(attempts: readonly Attempt[], call: Partial<Call> = {}, scene: Scene = {}) {
  const { retries = 5, names = ['a', 'b'], full = [], wholeBody } = scene
  const asked: string[] = []
  const poolOf = ({ name }: Target) => ({
    isUnavailable: full.includes(name),
    send(outgoing: OutgoingRequest, exchange: AnswerHandler) {
      const attempt = attempts[asked.length] as Attempt
      asked.push(name)
      queueMicrotask(() => attempt(exchange, outgoing))
      return { abort: () => {} }
    },
  })
  const backend = new Backend({
    ...{ name: 'api', retries, readTimeout: 1000, writeTimeout: 1000, hostOf: () => 'api.test' },
    balancer: createRoundRobin(names.map(targetNamed)),
    poolOf: poolOf as unknown as (target: Target) => ConnectionPool,
    answerHeaders: { lines: () => undefined, forward: () => [], trailers: () => [] },
  })
  const request = { socket: { writable: true }, wholeBody }
  const response = Object.assign(new EventEmitter(), {
    ...{ req: { method: 'GET', httpVersion: '1.1' }, persistence: '', takesWhole: true, writableLength: 0 },
    writeHead: () => {},
    write: () => true,
    sendWhole: () => {},
    end: () => {},
  })
  const given: Call = { ...callOf(request), method: 'GET', body: { kind: 'none' }, ...call }
  const code = await backend.forward(given, response as unknown as HttpResponse).then(
    () => undefined,
    (error: GatewayError) => error.code,
  )
  return { asked, code }
}

describe('the next target is asked', () => {
  test.each(['GET', 'PUT', 'DELETE', 'POST', 'PATCH', 'LOCK'])(
    'where nothing of a %s can have been received',
    async (method) => {
      expect(await forwarded([unreachable, answered], { method })).toEqual({ asked: ['a', 'b'], code: undefined })
    },
  )

  test.each(['GET', 'PUT', 'DELETE'])('where a %s may have been received, which may be repeated', async (method) => {
    expect(await forwarded([dropped, answered], { method })).toEqual({ asked: ['a', 'b'], code: undefined })
  })

  test('and the same one where there is no other, as often as retries says', async () => {
    const attempts = [unreachable, unreachable, unreachable, answered]
    expect(await forwarded(attempts, {}, { retries: 2, names: ['a'] })).toEqual({
      asked: ['a', 'a', 'a'],
      code: 'GW_UPSTREAM_CONNECT',
    })
  })

  test('in place of one that is full or was not reached, which is asked only where all are', async () => {
    expect(await forwarded([answered], {}, { full: ['a'] })).toMatchObject({ asked: ['b'] })
    expect(await forwarded([answered], {}, { full: ['a', 'b'] })).toMatchObject({ asked: ['a'] })
  })
})

describe('nobody is asked again', () => {
  test.each(['POST', 'PATCH', 'LOCK'])('where a %s may have been received', async (method) => {
    expect(await forwarded([dropped, answered], { method })).toEqual({ asked: ['a'], code: 'GW_UPSTREAM_RESET' })
  })

  test('after an answer that is malformed, or of which the client has seen a part', async () => {
    expect(await forwarded([malformed, answered])).toEqual({ asked: ['a'], code: 'GW_UPSTREAM_RESPONSE' })
    expect(await forwarded([brokenOff, answered])).toEqual({ asked: ['a'], code: 'GW_UPSTREAM_RESET' })
  })

  test('where the client has left, or the gateway is to blame', async () => {
    for (const code of ['GW_CLIENT_CLOSED', 'GW_BODY_TOO_LARGE'] as const) {
      const failing: Attempt = (exchange) => exchange.failed(new GatewayError(code, 'of this test'))
      expect(await forwarded([failing, answered])).toEqual({ asked: ['a'], code })
    }
  })

  test('once the body has begun to flow, even where it may never have arrived', async () => {
    const begun: Attempt = (exchange, { body }) => {
      Object.assign(body as object, { started: true })
      exchange.failed(RESET)
    }
    const call = { method: 'PUT', body: { kind: 'chunked' } } as const
    expect(await forwarded([begun, answered], call)).toEqual({ asked: ['a'], code: 'GW_UPSTREAM_RESET' })
    expect(await forwarded([unreachable, answered], call)).toEqual({ asked: ['a', 'b'], code: undefined })
  })

  test('once a body that had arrived as a whole may have been received', async () => {
    const call = { method: 'PUT', body: { kind: 'length', length: 2 } } as const
    const whole = { wholeBody: Buffer.from('hi') }
    expect(await forwarded([dropped, answered], call, whole)).toEqual({ asked: ['a'], code: 'GW_UPSTREAM_RESET' })
    expect(await forwarded([unreachable, answered], call, whole)).toEqual({ asked: ['a', 'b'], code: undefined })
  })

  test.each(['GW_UPSTREAM_TLS', 'GW_UPSTREAM_REFUSED_CERTIFICATE'] as const)(
    'where the same target would fail in the same way (%s), but another one is',
    async (code) => {
      const failing: Attempt = (exchange) => exchange.failed(new GatewayError(code, 'of this test'))
      expect(await forwarded([failing, answered], {}, { names: ['a'] })).toEqual({ asked: ['a'], code })
      expect(await forwarded([failing, answered])).toEqual({ asked: ['a', 'b'], code: undefined })
    },
  )
})

test('a body may be as long as client_max_body_size, and nobody is asked for a longer one', async () => {
  const limits = { maxBodySize: 10, bodyTimeout: 5000, sendTimeout: 5000 }
  const asked = (length: number, maxBodySize = 10) =>
    forwarded([answered], { body: { kind: 'length', length }, limits: { ...limits, maxBodySize } }).catch(
      (error: GatewayError) => error.code,
    )
  expect(await asked(10)).toEqual({ asked: ['a'], code: undefined })
  expect(await asked(11)).toEqual({ asked: [], code: 'GW_BODY_TOO_LARGE' })
  expect(await asked(11, 0)).toEqual({ asked: ['a'], code: undefined })
})

test('a header with a line break in it is never written', async () => {
  for (const headers of [
    { received: [], own: ['X-A', 'b\r\nX-Who: eve'], constant: [] },
    { received: [], own: [], constant: [new ConstantHeaders(['X-A', 'b\nX-Who: eve'])] },
  ])
    expect(await forwarded([answered], { headers })).toEqual({ asked: [], code: 'GW_INTERNAL' })
})
