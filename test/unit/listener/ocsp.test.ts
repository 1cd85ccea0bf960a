import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Shown } from '../../../src/listener/demand.ts'
import { type OcspOptions, OcspStatuses } from '../../../src/listener/ocsp.ts'
import { readCertificate } from '../../../src/tls-cert-utils/certificate.ts'
import { implicit, objectIdentifier, sequence } from '../../support/der.ts'
import { factsOf } from '../../support/facts.ts'
import { OCSP_PEERS, startResponder } from '../../support/ocsp.ts'
import { type OcspAnswer, ocspAnswer } from '../../support/ocsp-answers.ts'
import { describeWith } from '../../support/peers.ts'
import { authority, extension, type Issued } from '../../support/pki.ts'
import { waitFor } from '../../support/wait.ts'

const ca = authority('ca')
const ada = ca.client('ada')
const bob = ca.client('bob')

const shownBy = ({ der }: { readonly der: Buffer }): Shown => ({
  certificate: readCertificate(der),
  chain: [readCertificate(ca.der)],

  error: undefined,
})

function statusesOf(responder: string, parts: Partial<OcspOptions> = {}): OcspStatuses {
  return new OcspStatuses({
    certificates: 'leaf',
    responder,
    timeout: 5000,
    nonce: false,
    cacheSize: 10,
    failed: () => {},
    ...parts,
  })
}

describeWith(OCSP_PEERS, 'statuses of clients', () => {
  test('an answer is renewed ahead of its end for those who are still connected, and judges them', async () => {
    const responder = await startResponder(ca, [ada], { minutes: 1 })
    const statuses = statusesOf(responder.url)
    const { demand } = statuses
    const shown = shownBy(ada)
    await statuses.settle(shown)
    const first = demand(shown, Date.now())
    expect(first.failure).toBeUndefined()
    expect(first.until).toBeLessThan(Date.now() + 60_000)
    await responder.stop()
    await responder.start([ada])
    // As the sweeper asks when that time has come; by then the old answer still counts.
    const renewing = demand(shown, first.until)
    expect(renewing).toMatchObject({ failure: undefined })
    expect(renewing.until).toBeLessThanOrEqual(first.until + 1000)
    await waitFor('the new answer', () => demand(shown, Date.now()).failure?.code === 'CERT_REVOKED')
  })

  test('nothing is waited for where the answer is known, nor asked about somebody who is not verified', async () => {
    const responder = await startResponder(ca, [ada], { minutes: 60 })
    const statuses = statusesOf(responder.url)
    await statuses.settle(shownBy(ada))
    expect(statuses.settle(shownBy(ada))).toBeUndefined()
    expect(statuses.settle({ ...shownBy(bob), error: 'CERT_HAS_EXPIRED' })).toBeUndefined()
    expect(responder.questions).toBe(1)
  })

  test('no more answers are remembered than there may be', async () => {
    const responder = await startResponder(ca, [ada, bob], { minutes: 60 })
    const statuses = statusesOf(responder.url, { cacheSize: 1 })
    for (const each of [ada, bob]) await statuses.settle(shownBy(each))
    expect(statuses.settle(shownBy(bob))).toBeUndefined()
    expect(statuses.settle(shownBy(ada))).toBeInstanceOf(Promise)
  })

  test('an answer that made room for others still counts for whoever it let in, until it ends', async () => {
    const responder = await startResponder(ca, [ada, bob], { minutes: 60 })
    const statuses = statusesOf(responder.url, { cacheSize: 1 })
    const [first, second] = [shownBy(ada), shownBy(bob)]
    for (const each of [first, second]) await statuses.settle(each)
    const opinions = [first, second].map((each) => statuses.demand(each, Date.now()))
    expect(opinions.map(({ failure }) => failure)).toEqual([undefined, undefined])
    expect(responder.questions).toBe(2)
    expect(statuses.demand(first, Date.now() + 3_700_000).failure).toMatchObject({ code: 'OCSP_NO_ANSWER' })
  })

  test('a chain is settled however few answers are remembered', async () => {
    const responder = await startResponder(ca, [ada, ca], { minutes: 60 })
    const statuses = statusesOf(responder.url, { cacheSize: 1, certificates: 'chain' })
    // The authority stands for one in between: its status is asked about too.
    const [issuer] = shownBy(ada).chain
    const shown = { ...shownBy(ada), chain: [issuer, issuer] } as Shown
    await statuses.settle(shown)
    expect(statuses.settle(shown)).toBeUndefined()
    expect(statuses.demand(shown, Date.now()).failure).toBeUndefined()
    expect(responder.questions).toBe(2)
  })

  test('a certificate that names no responder has no status where none is configured', async () => {
    const reasons: string[] = []
    const statuses = statusesOf('', {
      responder: undefined,
      failed: (_certificate, _url, reason) => reasons.push(reason),
    })
    await statuses.settle(shownBy(ada))
    expect(statuses.demand(shownBy(ada), Date.now()).failure).toMatchObject({
      reason: 'certificate status request failed',
    })
    expect(reasons[0]).toContain('ssl_ocsp_responder can')
  })
})

describe('with a responder whose answers are chosen', () => {
  let server: Server
  let url: string
  let questions = 0
  /** How it answers. */
  let answers: (response: ServerResponse, about: Issued) => void
  const given = new Map<string, OcspAnswer>()
  const middle = ca.authority('middle')
  const eve = middle.client('eve')

  beforeAll(async () => {
    server = createServer((request, response) => {
      void buffer(request).then((question) => {
        questions += 1
        const about = [ada, bob, eve, middle].find(({ serial }) => question.includes(serial))
        if (about) answers(response, about)
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  })
  afterAll(() => void server.close())
  beforeEach(() => {
    given.clear()
    questions = 0
    answers = (response, about) => {
      const answer = given.get(about.name) ?? { about, issuer: about === eve ? middle : ca }
      response.setHeader('Content-Type', 'application/ocsp-response')
      response.end(ocspAnswer(answer))
    }
  })
  const answered = (about: Issued, parts: Partial<OcspAnswer>) => given.set(about.name, { about, issuer: ca, ...parts })
  const codeFor = ({ demand }: OcspStatuses, shown: Shown) => demand(shown, Date.now()).failure?.code

  test('the newest answer counts, also for whoever was let in by one before', async () => {
    const statuses = statusesOf(url, { cacheSize: 1 })
    const connected = shownBy(ada)
    await statuses.settle(connected)
    await statuses.settle(shownBy(bob))
    expect(codeFor(statuses, connected)).toBeUndefined()
    answered(ada, { status: 'revoked' })
    await statuses.settle(shownBy(ada))
    expect(codeFor(statuses, connected)).toBe('CERT_REVOKED')
  })

  test('an answer counts for whoever was let in by it, also where another client had asked for it', async () => {
    const statuses = statusesOf(url, { cacheSize: 1 })
    await statuses.settle(shownBy(ada))
    const second = shownBy(ada)
    expect(statuses.settle(second)).toBeUndefined()
    await statuses.settle(shownBy(bob))
    expect(codeFor(statuses, second)).toBeUndefined()
  })

  test('without an answer nobody is let in, but asked for again and judged at once', async () => {
    answers = (response) => void response.writeHead(500).end()
    const statuses = statusesOf(url)
    const shown = shownBy(ada)
    await statuses.settle(shown)
    const now = Date.now()
    expect(statuses.demand(shown, now)).toMatchObject({ failure: { code: 'OCSP_NO_ANSWER' }, until: now })
    expect(questions).toBe(1)
    await waitFor('the next question', () => questions === 2)
  })

  test('whoever is revoked is judged again when the answer ends', async () => {
    answered(ada, { status: 'revoked', nextUpdate: 1 })
    const statuses = statusesOf(url)
    await statuses.settle(shownBy(ada))
    const { failure, until } = statuses.demand(shownBy(ada), Date.now())
    expect(failure?.code).toBe('CERT_REVOKED')
    expect(until).toBeGreaterThan(Date.now())
    expect(until).toBeLessThan(Date.now() + 3_700_000)
  })

  test('a responder that does not know a certificate lets nobody in', async () => {
    answered(ada, { status: implicit(2, Buffer.alloc(0)) })
    const statuses = statusesOf(url)
    await statuses.settle(shownBy(ada))
    expect(codeFor(statuses, shownBy(ada))).toBe('OCSP_STATUS_UNKNOWN')
  })

  test('a chain is judged again when the first of its answers ends', async () => {
    const statuses = statusesOf(url, { certificates: 'chain' })
    const shown = { ...shownBy(eve), chain: [middle, ca].map(factsOf) }
    given.set('eve', { about: eve, issuer: middle, nextUpdate: 1 })
    answered(middle, { nextUpdate: 9 })
    await statuses.settle(shown)
    const { failure, until } = statuses.demand(shown, Date.now())
    expect(failure).toBeUndefined()
    expect(until).toBeLessThan(Date.now() + 3_700_000)
    answered(middle, { status: 'revoked' })
    const later = statusesOf(url, { certificates: 'chain' })
    await later.settle(shown)
    expect(codeFor(later, shown)).toBe('CERT_REVOKED')
  })

  test('with leaf the issuers are not asked about', async () => {
    answered(middle, { status: 'revoked' })
    const statuses = statusesOf(url)
    const shown = { ...shownBy(eve), chain: [middle, ca].map(factsOf) }
    await statuses.settle(shown)
    expect(codeFor(statuses, shown)).toBeUndefined()
    expect(questions).toBe(1)
  })

  test('many who come at once ask once', async () => {
    const statuses = statusesOf(url)
    await Promise.all([1, 2, 3].map(() => statuses.settle(shownBy(ada))))
    expect(questions).toBe(1)
  })

  test('an answer that is over by a clock that is a little slow lets the client in who waits for it', async () => {
    answered(ada, { nextUpdate: -1 / 60 })
    const statuses = statusesOf(url)
    await statuses.settle(shownBy(ada))
    expect(codeFor(statuses, shownBy(ada))).toBeUndefined()
  })

  test('an answer from before a revocation does not take it back, though it is valid for longer', async () => {
    const statuses = statusesOf(url)
    answered(ada, { status: 'revoked', thisUpdate: -1, nextUpdate: -1 / 60 })
    await statuses.settle(shownBy(ada))
    const later = Date.now() + 60_000
    answered(ada, { thisUpdate: -2 })
    await statuses.settle(shownBy(ada), later)
    expect(statuses.demand(shownBy(ada), later).failure?.code).toBe('OCSP_NO_ANSWER')
    answered(ada, { thisUpdate: -0.5 })
    await statuses.settle(shownBy(ada), later)
    expect(statuses.demand(shownBy(ada), later).failure).toBeUndefined()
  })

  test('an answer that names no end counts for an hour since it was true, not since it came', async () => {
    answered(ada, { thisUpdate: -0.9, nextUpdate: undefined })
    const statuses = statusesOf(url)
    await statuses.settle(shownBy(ada))
    const tenMinutes = 600_000
    expect(codeFor(statuses, shownBy(ada))).toBeUndefined()
    expect(statuses.demand(shownBy(ada), Date.now() + tenMinutes).failure?.code).toBe('OCSP_NO_ANSWER')
  })

  test('a short answer is not renewed as soon as it is there', async () => {
    answered(ada, { nextUpdate: 1 / 120 })
    const statuses = statusesOf(url)
    await statuses.settle(shownBy(ada))
    const now = Date.now()
    expect(statuses.demand(shownBy(ada), now).until).toBeGreaterThan(now + 10_000)
  })

  test('with nonces, an answer to another question lets nobody in', async () => {
    answered(ada, { nonce: Buffer.alloc(16, 1) })
    const statuses = statusesOf(url, { nonce: true })
    await statuses.settle(shownBy(ada))
    expect(codeFor(statuses, shownBy(ada))).toBe('OCSP_NO_ANSWER')
  })

  test.each([
    ['of another type', 200, 'text/plain'],
    ['with another status', 500, 'application/ocsp-response'],
  ])('an answer %s lets nobody in', async (_which, status, type) => {
    answers = (response, about) => {
      response.writeHead(status, { 'Content-Type': type })
      response.end(ocspAnswer({ about, issuer: ca }))
    }
    const statuses = statusesOf(url)
    await statuses.settle(shownBy(ada))
    expect(codeFor(statuses, shownBy(ada))).toBe('OCSP_NO_ANSWER')
  })

  test('the configured responder is asked in place of the one that a certificate names', async () => {
    const access = sequence(
      sequence(objectIdentifier('1.3.6.1.5.5.7.48.1'), implicit(6, Buffer.from('http://127.0.0.1:1/'))),
    )
    const named = ca.client('ada', { serial: ada.serial, extensions: [extension('1.3.6.1.5.5.7.1.1', access)] })
    const statuses = statusesOf(url)
    await statuses.settle(shownBy(named))
    expect(codeFor(statuses, shownBy(named))).toBeUndefined()
  })
})
