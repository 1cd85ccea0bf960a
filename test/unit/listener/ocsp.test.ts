import { expect, test } from '@jest/globals'
import type { Shown } from '../../../src/listener/demand.ts'
import { type OcspOptions, OcspStatuses } from '../../../src/listener/ocsp.ts'
import { readCertificate } from '../../../src/tls-cert-utils/certificate.ts'
import { OCSP_PEERS, startResponder } from '../../support/ocsp.ts'
import { describeWith } from '../../support/peers.ts'
import { authority } from '../../support/pki.ts'
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
