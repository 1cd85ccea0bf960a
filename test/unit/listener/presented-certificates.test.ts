import { describe, expect, test } from '@jest/globals'
import { createCertificateHeader } from '../../../src/identity/certificate-header.ts'
import type { Shown } from '../../../src/listener/demand.ts'
import { PresentedCertificates } from '../../../src/listener/presented-certificates.ts'
import type { Judgement } from '../../../src/listener/trust-policy.ts'
import type { Connection, Verification } from '../../../src/types.ts'
import { fakeConnection, keepsNotes } from '../../support/fake-connection.ts'
import { authority, type Issued } from '../../support/pki.ts'

const root = authority('root')
const [ada, eve] = [root.client('ada'), root.client('eve')]
const FAILED = { result: 'FAILED', code: 'CERT_REVOKED', reason: 'certificate revoked' } as const

/** A policy that counts how often it verifies, and judges as it is told. */
function policyOf(
  verdict: (shown: Shown | undefined) => Verification = () => ({ result: 'SUCCESS' }),
  until = Number.POSITIVE_INFINITY,
) {
  const counted = { seen: 0, judged: 0 }
  const policy = {
    seeSent: (sent: readonly [Shown['certificate'], ...Shown['chain']]): Shown => {
      counted.seen += 1
      return { certificate: sent[0], chain: [], error: undefined }
    },
    renewed: (shown: Shown) => shown,
    prepare: () => undefined as Promise<void> | undefined,
    judge: (shown: Shown | undefined): Judgement => {
      counted.judged += 1
      return { verification: shown ? verdict(shown) : { result: 'NONE' }, until }
    },
  }
  return { policy, counted }
}

const header = createCertificateHeader('base64_encoded', 'X-Cert')
const headers = (...issued: Issued[]) => issued.flatMap(({ der }) => ['X-Cert', der.toString('base64')])
const balancer = fakeConnection({ remoteAddress: '10.0.0.1', certificate: undefined, policy: 'p' })
const isTrusted = ({ remoteAddress }: { remoteAddress: string }) => remoteAddress === '10.0.0.1'

/** The request's own connection. */
function connectionOf(
  presented: PresentedCertificates,
  ...request: Parameters<PresentedCertificates['presentedBy']>
): Connection {
  const found = presented.presentedBy(...request)
  if (!found || found instanceof Promise) throw new Error('nothing was presented')
  return found.connection
}

describe('on a load balancer’s connection', () => {
  test('each request has the certificate of its own client', () => {
    const { policy } = policyOf()
    const presented = new PresentedCertificates({ header, policy, isTrusted })
    const subjects = [ada, eve, ada].map((as) => connectionOf(presented, balancer, headers(as)).certificate?.subject)
    expect(subjects).toEqual(['CN=ada', 'CN=eve', 'CN=ada'])
  })

  test('the same client is the same frozen object, so that what follows from it is made once', () => {
    const { policy, counted } = policyOf()
    const presented = new PresentedCertificates({ header, policy, isTrusted })
    const first = connectionOf(presented, balancer, headers(ada))
    expect(connectionOf(presented, balancer, headers(ada))).toBe(first)
    expect([Object.isFrozen(first), keepsNotes(first)]).toEqual([true, true])
    expect(first).toMatchObject({
      id: balancer.id,
      policy: 'p',
      verification: { result: 'SUCCESS' },
      expiresAt: ada.x509.validToDate.getTime(),
    })
    expect(counted).toEqual({ seen: 1, judged: 1 })
  })

  test('another connection of it need not verify the certificate again, but judges it', () => {
    const { policy, counted } = policyOf()
    const presented = new PresentedCertificates({ header, policy, isTrusted })
    connectionOf(presented, balancer, headers(ada))
    const other = fakeConnection({ remoteAddress: '10.0.0.1', id: 'other' })
    expect(connectionOf(presented, other, headers(ada)).id).toBe('other')
    expect(counted).toEqual({ seen: 1, judged: 2 })
  })

  test('without the header there is no certificate, not even the load balancer’s own', () => {
    const { policy } = policyOf()
    const presented = new PresentedCertificates({ header, policy, isTrusted })
    const own = connectionOf(presented, balancer, headers(ada))
    const bare = connectionOf(presented, { ...own }, [])
    expect(bare).toMatchObject({
      certificate: undefined,
      chain: [],
      verification: { result: 'NONE' },
      expiresAt: Number.POSITIVE_INFINITY,
    })
  })

  test('is judged again when its time has come', () => {
    let verdict: Verification = { result: 'SUCCESS' }
    const { policy } = policyOf(() => verdict, 1000)
    const presented = new PresentedCertificates({ header, policy, isTrusted })
    expect(connectionOf(presented, balancer, headers(ada), 0).verification.result).toBe('SUCCESS')
    verdict = FAILED
    expect(connectionOf(presented, balancer, headers(ada), 999).verification.result).toBe('SUCCESS')
    expect(connectionOf(presented, balancer, headers(ada), 1000).verification).toEqual(FAILED)
  })

  test('is judged again within a second, as a fetched list may name it, and stays the same object where it does not', () => {
    let verdict: Verification = { result: 'SUCCESS' }
    const { policy } = policyOf(() => verdict)
    const presented = new PresentedCertificates({ header, policy, isTrusted })
    const first = connectionOf(presented, balancer, headers(ada), 0)
    expect(connectionOf(presented, balancer, headers(ada), 1000)).toBe(first)
    verdict = FAILED
    expect(connectionOf(presented, balancer, headers(ada), 2000).verification).toEqual(FAILED)
  })

  test('a refusal is not kept for as long as the connection', () => {
    let verdict: Verification = FAILED
    const { policy } = policyOf(() => verdict)
    const presented = new PresentedCertificates({ header, policy, isTrusted })
    expect(connectionOf(presented, balancer, headers(ada), 0).verification.result).toBe('FAILED')
    verdict = { result: 'SUCCESS' }
    expect(connectionOf(presented, balancer, headers(ada), 4999).verification.result).toBe('FAILED')
    expect(connectionOf(presented, balancer, headers(ada), 5000).verification.result).toBe('SUCCESS')
  })

  test('remembers a bounded number of clients, and is right about those that it has forgotten', () => {
    const { policy, counted } = policyOf()
    const presented = new PresentedCertificates({ header, policy, isTrusted })
    const many = Array.from({ length: 40 }, (_, i) => root.client(`client-${i}`))
    for (const each of [...many, ...many])
      expect(connectionOf(presented, balancer, headers(each)).certificate?.subject).toBe(`CN=${each.name}`)
    expect(counted).toEqual({ seen: 40, judged: 80 })
  })

  test('of those whom nobody has verified it remembers only the latest: anybody could fill the memory with them', () => {
    const { policy, counted } = policyOf()
    const { seeSent } = policy
    policy.seeSent = (sent) => ({ ...seeSent(sent), error: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
    const presented = new PresentedCertificates({ header, policy, isTrusted })
    for (const each of [ada, ada, eve, ada]) connectionOf(presented, balancer, headers(each))
    expect(counted.seen).toBe(3)
  })
})

test('of anybody else nothing is read, not even what could not be understood', () => {
  const { policy, counted } = policyOf()
  const presented = new PresentedCertificates({ header, policy, isTrusted })
  const stranger = fakeConnection({ remoteAddress: '192.0.2.9' })
  expect(presented.presentedBy(stranger, headers(ada, eve))).toBeUndefined()
  expect(counted).toEqual({ seen: 0, judged: 0 })
})

test('what must be known of a certificate first is waited for, and only then is it judged', async () => {
  const { policy, counted } = policyOf()
  let ready = () => {}
  policy.prepare = () => new Promise((resolve) => (ready = resolve))
  const presented = new PresentedCertificates({ header, policy, isTrusted })
  const waiting = presented.presentedBy(balancer, headers(ada))
  expect([waiting instanceof Promise, counted.judged]).toEqual([true, 0])
  ready()
  expect((await waiting)?.connection.verification).toEqual({ result: 'SUCCESS' })
  expect(presented.presentedBy(balancer, headers(ada))).not.toBeInstanceOf(Promise)
})
