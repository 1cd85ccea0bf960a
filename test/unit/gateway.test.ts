import { Duplex, PassThrough } from 'node:stream'
import { beforeEach, describe, expect, test } from '@jest/globals'
import { GatewayError } from '../../src/errors.ts'
import { Gateway, type Phases } from '../../src/gateway.ts'
import type { HttpRequest, HttpResponse } from '../../src/http-messages.ts'
import type { Call, Identity, Match, RequestHead, RequestRecord, Service } from '../../src/types.ts'
import { fakeConnection } from '../support/fake-connection.ts'

let told: unknown[]
let finished: { status: number; code: string | undefined }[]
let socket: Duplex

beforeEach(() => {
  told = []
  finished = []
  socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
})

/** Phases that refuse every request by its head. */
function phases(parts: Partial<Phases> = {}): Phases {
  const record: Partial<RequestRecord> = {
    finish(status) {
      finished.push({ status, code: record.error?.code })
    },
  }
  const all: Partial<Phases> = {
    requestId: () => 'id',
    begin: () => record as RequestRecord,
    readHead: () => {
      throw new GatewayError('GW_BAD_REQUEST', 'of this test')
    },
    refuse: () => {},
    answered: () => {},
    refuseUpgrade: () => {},
    failed: (defect) => told.push(defect),
    ...parts,
  }
  return all as Phases
}

function requestWith(fields: Partial<HttpRequest> = {}): HttpRequest {
  return { socket, complete: true, body: new PassThrough(), ...fields } as HttpRequest
}

const response = { headersSent: false, statusCode: 200, afterWrite: (then) => then() } as HttpResponse

const nobody: Identity = { user: undefined, methods: [], credential: undefined, expiresAt: Number.POSITIVE_INFINITY }

/** Phases that let every request in, to this service. */
function letIn(service: Service, parts: Partial<Phases> = {}): Partial<Phases> {
  const match: Match = { route: { name: 'route', service }, upstreamPath: '/', strippedPrefix: '', preserveHost: false }
  return {
    readHead: () => ({ destination: { host: 'api.test', path: '/' }, framing: { kind: 'none' } }) as RequestHead,
    serverFor: () => ({}) as never,
    connectionOf: (_server, connection) => connection,
    admit: () => {},
    verify: (_server, _route, connection) => connection,
    route: () => match,
    authenticate: () => nobody,
    authorize: () => {},
    admitted: () => {},
    target: () => '/',
    headers: () => ({ received: [], own: [], constant: [] }),
    ...parts,
  }
}

describe('a defect of the gateway costs one connection and not the process', () => {
  const defect = new Error('a defect')
  const failing = () => {
    throw defect
  }
  test.each(['refuse', 'requestId', 'begin'] as const)('in %s', async (phase) => {
    await new Gateway(phases({ [phase]: failing })).handle(requestWith(), response, fakeConnection())
    expect(socket.destroyed).toBe(true)
    expect(told).toEqual([defect])
    if (phase === 'refuse') expect(finished).toEqual([{ status: 0, code: 'GW_INTERNAL' }])
  })
  test.each(['refuseUpgrade', 'requestId', 'begin'] as const)('in %s, of an upgrade', async (phase) => {
    const gateway = new Gateway(phases({ [phase]: failing }))
    await gateway.upgrade(requestWith(), socket, Buffer.alloc(0), fakeConnection())
    expect(socket.destroyed).toBe(true)
    expect(told).toEqual([defect])
  })
})

describe('who is calling is settled before anything is forwarded', () => {
  const refusal = new GatewayError('GW_FORBIDDEN', 'of this test')
  const inOtherWords = new GatewayError('GW_FORBIDDEN', 'in other words')

  async function handled(
    parts: Partial<Phases>,
    translateRefusal?: Service['translateRefusal'],
  ): Promise<{ identity: Identity | undefined; refused: unknown[] }> {
    const refused: unknown[] = []
    let identity: Identity | undefined
    const service = {
      name: 'api',
      forward: async (call: Call) => {
        identity = call.identity
      },
      upgrade: async () => {},
      ...(translateRefusal && { translateRefusal }),
    }
    const all = letIn(service, { authenticate: () => nobody, refuse: (error) => refused.push(error), ...parts })
    await new Gateway(phases(all)).handle(requestWith({ method: 'GET' }), response, fakeConnection())
    return { identity, refused }
  }

  test.each([
    ['at once', () => nobody],
    ['after a wait', () => Promise.resolve(nobody)],
  ])('%s', async (_when, authenticate) => {
    expect(await handled({ authenticate })).toEqual({ identity: nobody, refused: [] })
  })
  test.each(['authenticate', 'authorize'] as const)('a refusal in %s forwards nothing', async (phase) => {
    const throws = () => {
      throw refusal
    }
    expect(await handled({ [phase]: throws })).toEqual({ identity: undefined, refused: [refusal] })
    const rejects = () => Promise.reject(refusal)
    expect(await handled({ [phase]: rejects })).toEqual({ identity: undefined, refused: [refusal] })
  })
  test.each([
    ['before a route is found', 'admit', refusal],
    ['once a route is found', 'verify', inOtherWords],
    ['once a route is found', 'authenticate', inOtherWords],
    ['once a route is found', 'authorize', inOtherWords],
    ['once a route is found', 'headers', inOtherWords],
  ] as const)("a refusal %s, in %s, and its service's words", async (_when, phase, told) => {
    const throws = () => {
      throw refusal
    }
    const tell = (error: GatewayError) => (error === refusal ? inOtherWords : error)
    expect((await handled({ [phase]: throws }, tell)).refused).toEqual([told])
  })
})

describe('an upgrade', () => {
  const refused: unknown[] = []
  const refuseUpgrade = (error: GatewayError) => void refused.push(error.code)
  async function upgraded(upgrade: Service['upgrade'], parts: Partial<Phases> = {}): Promise<unknown[]> {
    refused.length = 0
    const service = { name: 'api', forward: async () => {}, upgrade }
    const gateway = new Gateway(phases(letIn(service, { refuseUpgrade, ...parts })))
    await gateway.upgrade(requestWith({ method: 'GET' }), socket, Buffer.alloc(0), fakeConnection())
    return refused
  }

  test('with a body is refused, and nothing of it forwarded', async () => {
    let asked = 0
    const readHead = () =>
      ({ destination: { host: 'api.test', path: '/' }, framing: { kind: 'chunked' } }) as unknown as RequestHead
    expect(await upgraded(async () => void asked++, { readHead })).toEqual(['GW_BAD_REQUEST'])
    expect(asked).toBe(0)
    expect(await upgraded(async () => void asked++)).toEqual([])
    expect(asked).toBe(1)
  })

  test('that fails is refused where nothing has been answered, and else only ended', async () => {
    const failing = (upstreamStatus: number | undefined) => (call: Call) => {
      call.record.upstreamStatus = upstreamStatus
      return Promise.reject(new GatewayError('GW_UPSTREAM_CONNECT', 'of this test'))
    }
    expect(await upgraded(failing(undefined))).toEqual(['GW_UPSTREAM_CONNECT'])
    expect(socket.destroyed).toBe(false)
    expect(await upgraded(failing(101))).toEqual([])
    expect(socket.destroyed).toBe(true)
    expect(finished.map(({ status }) => status)).toEqual([502, 101])
  })
})

test('nothing waits for the rest of a request whose client has left', async () => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = timers()
  const left = new PassThrough().destroy()
  await new Gateway(phases()).handle(requestWith({ complete: false, body: left }), response, fakeConnection())
  expect(timers()).toBe(before)
  const body = new PassThrough()
  await new Gateway(phases()).handle(requestWith({ complete: false, body }), response, fakeConnection())
  expect(timers()).toBe(before + 1)
  body.destroy()
})

describe('what has been let in and goes on', () => {
  const identity = { user: undefined, methods: [] } as unknown as Identity
  const refusal = new GatewayError('GW_FORBIDDEN', 'of this test')
  const match = { route: { name: 'route' } } as Match
  const gateway = (parts: Partial<Phases>) => {
    const all: Partial<Phases> = {
      readHead: () => ({ destination: { host: 'api.test', path: '/' } }) as RequestHead,
      serverFor: () => ({}) as never,
      admit: () => {},
      route: () => match,
      verify: (_server, _route, connection) => connection,
      recognize: () => {},
      authorize: () => {},
      ...parts,
    }
    return new Gateway(phases(all))
  }
  const served = () => [requestWith({ method: 'GET' }), fakeConnection(), identity] as const
  const objection = (parts: Partial<Phases>) => gateway(parts).objection(...served())
  const throws = () => {
    throw refusal
  }

  test('may go on where every phase would let it in again, without asking anybody who he is', async () => {
    expect(await objection({})).toBeUndefined()
    expect(await objection({ authorize: async () => {} })).toBeUndefined()
  })

  test.each(['readHead', 'admit', 'route', 'verify', 'recognize', 'authorize'] as const)(
    'may not where %s would refuse it',
    async (phase) => {
      expect(await objection({ [phase]: throws })).toBe(
        'its request would be refused by now: GW_FORBIDDEN: of this test',
      )
    },
  )

  test('may not where its route is gone, or where it is refused after a wait', async () => {
    expect(await objection({ route: () => undefined })).toContain('GW_ROUTE_NOT_FOUND')
    expect(await objection({ authorize: () => Promise.reject(refusal) })).toContain('GW_FORBIDDEN')
  })

  test('is judged by time without asking anybody', () => {
    const byTime = (authorizeByTime: () => void) =>
      gateway({ authorize: throws, recognize: throws, authorizeByTime }).objectionByTime(...served())
    expect(byTime(() => {})).toBeUndefined()
    expect(byTime(throws)).toBe('its request would be refused by now: GW_FORBIDDEN: of this test')
  })

  test('is neither let go on nor ended where nobody can tell', async () => {
    const away = new GatewayError('GW_UNDECIDED', 'away')
    const isAway = () => {
      throw away
    }
    await expect(objection({ authorize: () => Promise.reject(away) })).rejects.toBe(away)
    await expect(objection({ authorize: isAway })).rejects.toBe(away)
  })
})
