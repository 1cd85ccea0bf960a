import { createPublicKey, generateKeyPairSync, type X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { failed } from '../../../src/listener/demand.ts'
import { Intermediates } from '../../../src/listener/intermediates.ts'
import { TrustPolicy, type TrustPolicyOptions } from '../../../src/listener/trust-policy.ts'
import { element, integerOf, sequence } from '../../../src/tls-cert-utils/der-writer.ts'
import { utcTime } from '../../support/der.ts'
import { factsOf } from '../../support/facts.ts'
import { fakeConnection } from '../../support/fake-connection.ts'
import { authority, type CertificateOptions, type Issued, selfSigned } from '../../support/pki.ts'

const root = authority('root')
const ada = root.client('ada')
function policyOf(options: Partial<TrustPolicyOptions> = {}): TrustPolicy {
  return new TrustPolicy(
    {
      id: 'a'.repeat(64),
      verify: 'optional_no_ca',
      ca: [root.certificate],
      unannounced: [],
      demands: '',
      rejects: false,
      announced: true,
      partialChain: false,
      requirement: () => undefined,
      verifyDepth: 1,
      minVersion: 'TLSv1.2',
      maxVersion: 'TLSv1.3',
      ciphers: 'HIGH',
      sessionTickets: true,
      sessionTimeout: 300_000,
      handshakeTimeout: 10_000,
      ...options,
    },
    {
      inForce: { demands: [], basis: () => '' },
      intermediates: new Intermediates(),
      ticketSecret: { bytes: Buffer.alloc(32), since: 0 },
      sessionContext: '',
    },
  )
}

const policy = policyOf()

/** What `judge` looks at: the certificate, what OpenSSL said of it, and whether the session is an old one. */
function socketOf(as: Issued, error: string | undefined, resumed: boolean, issuers: readonly Issued[] = []): TLSSocket {
  const chain = [as, ...issuers].map(({ x509 }) => x509)
  for (const [i, x509] of chain.entries()) Object.defineProperty(x509, 'issuerCertificate', { value: chain[i + 1] })
  const socket: Partial<TLSSocket> = {
    getPeerX509Certificate: () => chain[0],
    getSession: () => undefined,
    isSessionReused: () => resumed,
    authorized: error === undefined,
    authorizationError: error as unknown as Error,
  }
  return socket as TLSSocket
}

function judge(...facts: Parameters<typeof socketOf>) {
  const socket = socketOf(...facts)
  return policy.judge(policy.see(socket, policy.certificateOf(socket))).verification
}

describe('a resumed session', () => {
  test('of a client that was verified says SUCCESS', () => {
    expect(judge(ada, undefined, false)).toEqual({ result: 'SUCCESS' })
    expect(judge(ada, undefined, true)).toEqual({ result: 'SUCCESS' })
  })

  test('whose chain was too long says so again', () => {
    const one = root.authority('one')
    const two = one.authority('two')
    const deep = two.client('deep')
    const first = judge(deep, undefined, false, [two, one])
    expect(first).toMatchObject({ result: 'FAILED', code: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY' })
    expect(judge(deep, undefined, true)).toEqual(first)
  })

  test('of a stranger says what OpenSSL says', () => {
    const stranger = selfSigned('mallory')
    const failure = { result: 'FAILED', code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }
    expect(judge(stranger, 'DEPTH_ZERO_SELF_SIGNED_CERT', false)).toMatchObject(failure)
    expect(judge(stranger, 'DEPTH_ZERO_SELF_SIGNED_CERT', true)).toMatchObject(failure)
  })

  test('that is not remembered is judged by the chain that can be found again', () => {
    expect(judge(root.client('unseen'), undefined, true)).toEqual({ result: 'SUCCESS' })
    const middle = root.authority('known')
    judge(middle.client('first'), undefined, false, [middle])
    expect(judge(middle.client('second'), undefined, true)).toEqual({ result: 'SUCCESS' })
  })

  test('that is not remembered and whose chain is not known is not trusted', () => {
    expect(judge(root.authority('middle').client('unseen'), undefined, true)).toMatchObject({
      code: 'SESSION_FORGOTTEN',
    })
  })
})

test('an end that OpenSSL could not compare is told as that, and not as one that has passed', () => {
  const odd = root.client('odd', { dates: [utcTime('260101000000Z'), utcTime('490101000000+0000')] })
  expect(judge(odd, 'ERROR_IN_CERT_NOT_AFTER_FIELD', false)).toMatchObject({ code: 'ERROR_IN_CERT_NOT_AFTER_FIELD' })
})

test('strangers take no place in the memory, so that they cannot evict those who were verified', () => {
  const stranger = selfSigned('mallory')
  judge(stranger, 'DEPTH_ZERO_SELF_SIGNED_CERT', false)
  // Had the failure been remembered, it would be told here.
  expect(judge(stranger, undefined, true)).toMatchObject({ code: 'SESSION_FORGOTTEN' })
})

test('what is read of a certificate is kept for those who were verified alone: others can make as many as they like', () => {
  const own = policyOf()
  const seen = (as: Issued, error: string | undefined, issuers: readonly Issued[] = [], resumed = false) => {
    const socket = socketOf(as, error, resumed, issuers)
    return own.see(socket, own.certificateOf(socket))
  }
  const middle = root.authority('middle')
  const bob = middle.client('bob')
  const lookAlike = authority('root').authority('middle')
  expect(seen(ada, undefined)?.certificate).toBe(seen(ada, undefined)?.certificate)
  expect(seen(bob, undefined, [middle])?.chain[0]).toBe(seen(bob, undefined, [middle])?.chain[0])
  for (const [stranger, error] of [
    [selfSigned('mallory'), 'DEPTH_ZERO_SELF_SIGNED_CERT'],
    [authority('unknown').client('eve'), 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'],
  ] as const) {
    expect(seen(stranger, error)?.certificate).not.toBe(seen(stranger, error)?.certificate)
    expect(seen(stranger, error, [], true)?.certificate).not.toBe(seen(stranger, error)?.certificate)
  }
  let read = 0
  const sentAlong = {
    fingerprint256: lookAlike.x509.fingerprint256,
    get raw() {
      read += 1
      return lookAlike.der
    },
  }
  for (const times of [1, 2]) {
    expect(seen(ada, undefined, [{ x509: sentAlong } as unknown as Issued])).toMatchObject({ error: undefined })
    expect(read).toBe(times)
  }
})

describe('a client who comes back', () => {
  const brief = authority('brief', { validUntil: 1 })
  const bob = brief.client('bob', { validUntil: 7 })
  const middle = root.authority('middle')
  const ca = [root.certificate, brief.certificate]
  let own: TrustPolicy
  beforeEach(() => {
    own = policyOf({ ca })
  })
  afterEach(() => void jest.restoreAllMocks())

  /** What is seen on a new connection, whether Node was asked for the certificate, and whether the session was read. */
  function seen(as: Issued, error?: string, issuers: readonly Issued[] = [root], resumed = false) {
    const socket = socketOf(as, error, resumed, issuers)
    const asked = jest.spyOn(socket, 'getPeerX509Certificate')
    // OpenSSL's SSL_SESSION, with all that comes before the certificate left out.
    const read = jest.spyOn(socket, 'getSession')
    read.mockImplementation(() => Buffer.from(sequence(integerOf('01'), element(0xa3, as.der))))
    const shown = own.see(socket, own.certificateOf(socket))
    return { shown, asked: asked.mock.calls.length > 0, read: read.mock.calls.length > 0 }
  }

  test('is recognized, without a new object for his certificate, where his issuers are authorities of ours', () => {
    const first = seen(ada)
    const emptied = jest.spyOn(first.shown?.certificate.x509 as X509Certificate, 'checkIssued')
    const second = seen(ada)
    expect(emptied).toHaveBeenCalled()
    expect([first.asked, second.asked]).toEqual([true, false])
    expect(second.shown).toEqual(first.shown)
    expect(second.shown?.certificate).toBe(first.shown?.certificate)
    expect(second.shown?.chain.map(({ subject }) => subject)).toEqual(['CN=root'])
  })

  test('stands for nobody else who comes after him', () => {
    seen(ada)
    const other = seen(bob)
    expect(other.asked).toBe(true)
    expect(other.shown?.certificate.subject).toBe('CN=bob')
  })

  test('is looked at again, for less, where he sends his own certificate alone', () => {
    seen(ada, undefined, [])
    expect(seen(ada, undefined, [])).toMatchObject({ asked: true, read: false })
  })

  test('is looked at again, for less, where he resumes a session, which has his own certificate alone', () => {
    seen(ada)
    expect(seen(ada, undefined, [], true)).toMatchObject({ asked: true, read: false, shown: { error: undefined } })
  })

  test('is looked at now and then, as he may send something else', () => {
    const asked = Array.from({ length: 300 }, () => seen(ada).asked)
    expect(asked.filter((each) => each)).toHaveLength(2)
  })

  test('is looked at again where he sends an issuer along, which may be another one each time', () => {
    const carol = middle.client('carol')
    seen(carol, undefined, [middle])
    expect(seen(carol, undefined, [middle])).toMatchObject({ asked: true, read: false })
  })

  test('is looked at again where OpenSSL accepts him no more', () => {
    seen(ada)
    expect(seen(ada, 'CERT_HAS_EXPIRED')).toMatchObject({ asked: true, shown: { error: 'CERT_HAS_EXPIRED' } })
  })

  test('is looked at again where the authority has ended by which he was known', () => {
    seen(bob)
    const end = factsOf(brief).notAfter
    jest.spyOn(Date, 'now').mockReturnValue(end - 1)
    expect(seen(bob).asked).toBe(false)
    jest.spyOn(Date, 'now').mockReturnValue(end)
    expect(seen(bob).asked).toBe(true)
  })

  describe('of two forms of his authority with the same key', () => {
    const keys = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
    const day = 24 * 60 * 60 * 1000
    const fingerprints = ({ shown }: ReturnType<typeof seen>) => shown?.chain.map((each) => each.fingerprintSha256)

    test('is told the one that has begun since, as anybody else', () => {
      const current = root.authority('middle', { keys })
      const next = root.authority('middle', { keys, validFrom: 2, validUntil: 300 })
      own = policyOf({ ca: [next, current, root].map(({ certificate }) => certificate) })
      const client = current.client('dora', { validUntil: 20 })
      expect(fingerprints(seen(client))?.[0]).toBe(factsOf(current).fingerprintSha256)
      expect(seen(client).asked).toBe(false)
      jest.spyOn(Date, 'now').mockReturnValue(Date.now() + 3 * day)
      expect(fingerprints(seen(client))?.[0]).toBe(factsOf(next).fingerprintSha256)
      jest.restoreAllMocks()
      expect(fingerprints(seen(client))?.[0]).toBe(factsOf(current).fingerprintSha256)
    })

    test('is judged by the other where one ends before he is', () => {
      const ending = authority('twice', { keys, validUntil: 1 })
      const lasting = authority('twice', { keys, validUntil: 300 })
      own = policyOf({ ca: [ending.certificate, lasting.certificate] })
      const client = ending.client('dora', { validUntil: 20 })
      expect(fingerprints(seen(client))).toEqual([factsOf(ending).fingerprintSha256])
      const recognized = seen(client)
      expect(recognized.asked).toBe(false)
      jest.spyOn(Date, 'now').mockReturnValue(factsOf(ending).notAfter)
      const judged = own.see({} as TLSSocket, recognized.shown)
      expect(judged && own.judge(judged).verification).toEqual({ result: 'SUCCESS' })
    })
  })

  test('is looked at like anybody else where none was verified', () => {
    expect(seen(ada, 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY').asked).toBe(true)
    expect(seen(ada).asked).toBe(true)
  })
})

test.each(['INVALID_PURPOSE', 'CERT_HAS_EXPIRED', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'])(
  'of the certificates that a stranger sends along no more are looked at than a chain may have (%s)',
  (error) => {
    const middle = authority('root').authority('middle')
    const { x509 } = middle.client('eve')
    let seen = 0
    const withLookAlikes = <T extends object>(certificate: T, left: number): T =>
      Object.defineProperty(certificate, 'issuerCertificate', {
        get() {
          seen += 1
          const { raw, fingerprint256 } = middle.x509
          return left > 0 ? withLookAlikes({ raw, fingerprint256 }, left - 1) : undefined
        },
      })
    withLookAlikes(x509, 60)
    const socket = {
      ...{ getPeerX509Certificate: () => x509, isSessionReused: () => false },
      ...{ authorized: false, authorizationError: error },
    } as unknown as TLSSocket
    for (const each of [policy, policyOf({ partialChain: true })]) {
      seen = 0
      expect(each.judge(each.see(socket, x509)).verification).toMatchObject({ result: 'FAILED', code: error })
      expect(seen).toBeLessThanOrEqual(4)
    }
  },
)

test('a certificate of the chain that has expired since the handshake refuses, whatever OpenSSL found then', () => {
  const brief = root.authority('brief', { validUntil: 1 })
  const socket = socketOf(brief.client('lasting', { validUntil: 7 }), undefined, false, [brief])
  const shown = policy.see(socket, policy.certificateOf(socket))
  const tomorrow = factsOf(brief).notAfter
  expect(policy.judge(shown, tomorrow - 1)).toEqual({ verification: { result: 'SUCCESS' }, until: tomorrow })
  expect(policy.judge(shown, tomorrow).verification).toMatchObject({ result: 'FAILED', code: 'CERT_HAS_EXPIRED' })
})

test('a chain that OpenSSL has verified, but that cannot be found again, is not trusted', () => {
  expect(judge(root.authority('unsent').client('ada'), undefined, false)).toMatchObject({
    ...{ result: 'FAILED', code: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY' },
  })
})

describe('what is demanded of a certificate beyond its authority', () => {
  const strict = policyOf({ requirement: () => failed('CERT_NOT_PINNED', { reason: 'certificate not pinned' }) })
  const verdict = (error: string | undefined) => {
    const socket = socketOf(error === undefined ? ada : selfSigned('mallory'), error, false)
    return strict.judge(strict.see(socket, strict.certificateOf(socket))).verification
  }

  test('is demanded of strangers too, whom optional_no_ca would forgive', () => {
    expect(verdict(undefined)).toMatchObject({ code: 'CERT_NOT_PINNED' })
    expect(verdict('DEPTH_ZERO_SELF_SIGNED_CERT')).toMatchObject({ code: 'CERT_NOT_PINNED' })
  })

  test('hides no other reason, which nothing forgives', () => {
    expect(verdict('CERT_SIGNATURE_FAILURE')).toMatchObject({ code: 'CERT_SIGNATURE_FAILURE' })
  })
})

describe('what was verified for a client of another policy', () => {
  const others = authority('others')
  const department = root.authority('department')
  const bob = department.client('bob')
  const both = { ca: [root.certificate, others.certificate] }

  /** Whether it holds for a new policy. */
  function holds(
    from: Partial<TrustPolicyOptions>,
    to: Partial<TrustPolicyOptions>,
    as: Issued | null = bob,
    error?: string,
  ): boolean {
    const old = policyOf({ verify: 'optional', ...from })
    const socket = as && socketOf(as, error, false, [department])
    const shown = socket ? old.see(socket, old.certificateOf(socket)) : undefined
    const { verification } = old.judge(shown)
    const next = policyOf({ verify: 'optional', ...to })
    return next.holdsFor(shown && next.verifiedHere(shown), fakeConnection({ verification }), old)
  }

  test.each<[string, () => boolean]>([
    ['that trusts its authority among others', () => holds({}, both)],
    ['that trusts less, but its authority', () => holds(both, {})],
    ['that demands what the client has shown already', () => holds({}, { verify: 'on' })],
    ['that demands more of a chain, which is judged anew', () => holds({}, { verifyDepth: 0 })],
    ['that trusts it without announcing it, as before', () => holds(hidden(root), hidden(root, others))],
    ['that announces what it did not', () => holds(hidden(root), {})],
    ['that trusts its authority in another form, with the same key', () => holds({}, { ca: [renewed().certificate] })],
    ['that trusts that form without announcing it', () => holds({}, hidden(renewed()))],
  ])('holds for one %s', (_, held) => expect(held()).toBe(true))

  test.each<[string, () => boolean]>([
    ['that trusts others', () => holds({}, { ca: [others.certificate] })],
    [
      'that trusts a form of its authority which may not have issued it',
      () => holds({}, { ca: [renewed({ pathLength: 0 }).certificate] }),
    ],
    ['that trusts a namesake of its authority', () => holds({}, { ca: [authority('root').certificate] })],
    ['that trusts an intermediate of the chain alone', () => holds({}, { ca: [department.certificate] })],
    ['whose own verifier would have to judge the chain', () => holds({}, hidden(root))],
    ['that asks for no certificate', () => holds({}, { verify: 'off' })],
    ['that speaks other versions of TLS', () => holds({}, { minVersion: 'TLSv1.3' })],
    ['with other ciphers', () => holds({}, { ciphers: 'AES128' })],
    ['that asks, which the old one did not', () => holds({ verify: 'off' }, {}, null)],
    ['that demands a certificate, where it has none', () => holds({}, { verify: 'on' }, null)],
    ['if the client was refused', () => holds({}, both, bob, 'CERT_HAS_EXPIRED')],
  ])('does not hold for one %s', (_, held) => expect(held()).toBe(false))

  test('does not hold while a responder or an address of lists must be asked first', () => {
    const [old, asking] = [policyOf(), policyOf(both)]
    let answer: Promise<void> | undefined = Promise.resolve()
    const opinion = () => ({ failure: undefined, until: Number.POSITIVE_INFINITY })
    asking.demand({ demands: [Object.assign(opinion, { prepare: () => answer })], basis: () => '' })
    const socket = socketOf(bob, undefined, false, [department])
    const shown = old.see(socket, old.certificateOf(socket))
    const connection = fakeConnection({ verification: { result: 'SUCCESS' } })
    expect(asking.holdsFor(shown, connection, old)).toBe(false)
    answer = undefined
    expect(asking.holdsFor(shown, connection, old)).toBe(true)
  })

  test('holds for a client without a certificate where none is demanded', () => {
    expect(holds({}, both, null)).toBe(true)
  })

  /** The same authority in a new certificate. */
  function renewed(options: CertificateOptions = {}): Issued {
    const { privateKey } = root
    return authority('root', { keys: { privateKey, publicKey: createPublicKey(privateKey) }, ...options })
  }

  function hidden(...trusted: Issued[]): Partial<TrustPolicyOptions> {
    return { ca: [], unannounced: trusted.map(({ certificate }) => certificate) }
  }
})
