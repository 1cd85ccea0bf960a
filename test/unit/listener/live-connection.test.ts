import { EventEmitter } from 'node:events'
import { PassThrough } from 'node:stream'
import { expect, test } from '@jest/globals'
import { ConnectionNotes } from '../../../src/connection-notes.ts'
import type { HttpRequest, HttpResponse } from '../../../src/http-messages.ts'
import type { Shown } from '../../../src/listener/demand.ts'
import { LiveConnection } from '../../../src/listener/live-connection.ts'
import type { TrustPolicy } from '../../../src/listener/trust-policy.ts'
import type { Connection, Verification } from '../../../src/types.ts'
import { fakeCertificate, fakeConnection, keepsNotes } from '../../support/fake-connection.ts'

const REVOKED: Verification = { result: 'FAILED', code: 'CERT_REVOKED', reason: 'revoked' }

const ISSUED = fakeCertificate({ notAfter: 2000 })

/** One that has yet to be looked at after a reload, which finds its client revoked. */
function afterReload() {
  const served: Connection['verification']['result'][] = []
  const handler = {
    request: (_request: HttpRequest, _response: HttpResponse, { verification }: Connection) =>
      void served.push(verification.result),
    malformed: () => Buffer.alloc(0),
  }
  const connection = fakeConnection({ verification: { result: 'SUCCESS' } })
  const facts = { policy: {}, shown: undefined, connection, until: 0 } as unknown as ConstructorParameters<
    typeof LiveConnection
  >[1]
  const live = new LiveConnection(new PassThrough() as unknown as LiveConnection['socket'], facts, handler)
  const beginnings: (HttpRequest | undefined)[] = []
  live.look = (each, beginning) => {
    each.look = undefined
    beginnings.push(beginning)
    each.rejudged(REVOKED)
    if (!each.busy) each.close()
  }
  return { live, served, beginnings }
}

function response(): HttpResponse & EventEmitter {
  const made = Object.assign(new EventEmitter(), {
    req: { complete: true, rawHeaders: [] },
    closed: false,
    shouldKeepAlive: true,
  })
  return made as unknown as HttpResponse & EventEmitter
}

test('no request is served before its connection has been looked at', () => {
  const { live, served, beginnings } = afterReload()
  const asked = response()
  live.serve(asked, 1000)
  expect(served).toEqual(['FAILED'])
  expect(beginnings).toEqual([asked.req])
})

test('nor one that waited for the answer before it when the reload came', () => {
  const { live, served } = afterReload()
  const { look } = live
  live.look = undefined
  const [first, second] = [response(), response()]
  live.serve(first, 1000)
  live.serve(second, 1000)
  live.look = look
  Object.assign(first, { closed: true })
  first.emit('close')
  expect(served).toEqual(['SUCCESS', 'FAILED'])
})

test('a client has asked from its first request on, and is not late any more', () => {
  const { live } = afterReload()
  live.look = undefined
  expect(live.hasAsked).toBe(false)
  live.serve(response(), 1000)
  expect(live.hasAsked).toBe(true)
})

test('nor is a connection upgraded: whoever asks for that is judged, and answered', () => {
  const { live, beginnings } = afterReload()
  const request = {} as HttpRequest
  expect(live.upgrade(request)).toBe(true)
  expect(beginnings).toEqual([request])
  expect([live.connection.verification.result, live.ended]).toEqual(['FAILED', false])
})

test.each<[string, (live: LiveConnection) => void, Partial<Connection>]>([
  ['with another result', (live) => live.rejudged(REVOKED), { verification: REVOKED }],
  ['by another policy', (live) => live.move({ id: 'another' } as TrustPolicy), { policy: 'another' }],
  [
    'by other issuers',
    (live) => live.verifiedAnew({ certificate: ISSUED, chain: [], error: undefined } as Shown),
    { certificate: ISSUED, expiresAt: 2000 },
  ],
])(
  'nothing that was made for a connection is used for one that was judged again %s, and what is made then is',
  (_how, judge, facts) => {
    const { live } = afterReload()
    const before = live.connection
    const notes = new ConnectionNotes<string>()
    notes.set(before, 'made before')
    judge(live)
    expect(live.connection).toEqual({ ...before, ...facts })
    expect(notes.get(live.connection)).toBeUndefined()
    expect([Object.isFrozen(live.connection), keepsNotes(live.connection)]).toEqual([true, true])
  },
)

test('a client whose answer only waits to be written may ask once more after it, where the listener closes', () => {
  const { live, served } = afterReload()
  live.look = undefined
  const [first, second] = [response(), response()]
  live.serve(first, 1000)
  // It says that the connection is kept.
  Object.assign(first, { headersSent: false, writableEnded: true })
  live.close(1000)
  Object.assign(first, { closed: true })
  first.emit('close')
  live.serve(second, 1000)
  expect([first.shouldKeepAlive, served.length]).toEqual([true, 2])
})
