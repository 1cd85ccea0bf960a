// Nobody may be let in on our own verdict whom OpenSSL would refuse: chains of every make are judged by both.
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createSecureContext, createServer, type TLSSocket } from 'node:tls'
import { describe, expect, test } from '@jest/globals'
import { Intermediates } from '../../../src/listener/intermediates.ts'
import { TrustPolicy } from '../../../src/listener/trust-policy.ts'
import { type CertificateFacts, readCertificate } from '../../../src/tls-cert-utils/certificate.ts'
import { verifyChain } from '../../../src/tls-cert-utils/verify.ts'
import { verifyStrictly } from '../../../src/tls-cert-utils/verify-strictly.ts'
import {
  bitString,
  boolean,
  explicit,
  generalizedTime,
  implicit,
  objectIdentifier,
  octetString,
  rawInteger,
  sequence,
  time,
  utcTime,
} from '../../support/der.ts'
import { nameOf } from '../../support/names.ts'
import { authority, extension, selfSigned } from '../../support/pki.ts'
import fc from '../../support/random.ts'

const DAY = 86_400_000
const KEYS = {
  a: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  b: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  c: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  short: generateKeyPairSync('rsa', { modulusLength: 1024 }),
} as const
type KeyName = keyof typeof KEYS

const SIGNATURES = {
  sha256: { ec: '1.2.840.10045.4.3.2', rsa: '1.2.840.113549.1.1.11' },
  sha512: { ec: '1.2.840.10045.4.3.4', rsa: '1.2.840.113549.1.1.13' },
  sha1: { ec: '1.2.840.10045.4.1', rsa: '1.2.840.113549.1.1.5' },
} as const

interface Make {
  readonly subject: string
  readonly issuer: string
  readonly key: KeyName
  readonly signer: KeyName
  readonly digest: keyof typeof SIGNATURES
  readonly days: readonly [from: number, to: number]
  readonly extensions: readonly Buffer[]
}

function make({ subject, issuer, key, signer, digest, days, extensions }: Make): CertificateFacts {
  const { privateKey } = KEYS[signer]
  const isEc = privateKey.asymmetricKeyType === 'ec'
  const algorithm = sequence(
    objectIdentifier(SIGNATURES[digest][isEc ? 'ec' : 'rsa']),
    ...(isEc ? [] : [Buffer.from([5, 0])]),
  )
  const [from, to] = days.map((each) => time(new Date(Date.now() + each * DAY))) as [Buffer, Buffer]
  const body = sequence(
    explicit(0, rawInteger(Buffer.from([2]))),
    rawInteger(Buffer.from([1])),
    algorithm,
    nameOf(['CN', issuer]),
    sequence(from, to),
    nameOf(['CN', subject]),
    KEYS[key].publicKey.export({ type: 'spki', format: 'der' }),
    ...(extensions.length > 0 ? [explicit(3, sequence(...extensions))] : []),
  )
  const signature = sign(digest, body, privateKey as KeyObject)
  return readCertificate(sequence(body, algorithm, bitString(signature)))
}

const usage = (...bits: number[]) => bitString(Buffer.from([bits.reduce((sum, bit) => sum | (0x80 >> bit), 0)]))
const purposes = (...last: string[]) => sequence(...last.map((each) => objectIdentifier(each)))
const CLIENT = '1.3.6.1.5.5.7.3.2'
const SERVER = '1.3.6.1.5.5.7.3.1'
const ANY = '2.5.29.37.0'

const BASIC = {
  none: [],
  end: [extension('2.5.29.19', sequence(), true)],
  ca: [extension('2.5.29.19', sequence(boolean(true)), true)],
  'ca, not critical': [extension('2.5.29.19', sequence(boolean(true)))],
  'ca with length 0': [extension('2.5.29.19', sequence(boolean(true), rawInteger(Buffer.from([0]))), true)],
  'ca with length -1': [extension('2.5.29.19', sequence(boolean(true), rawInteger(Buffer.from([0xff]))), true)],
  twice: [extension('2.5.29.19', sequence(boolean(true)), true), extension('2.5.29.19', sequence(), true)],
}
const USAGE = {
  none: [],
  signs: [extension('2.5.29.15', usage(0), true)],
  agrees: [extension('2.5.29.15', usage(4), true)],
  enciphers: [extension('2.5.29.15', usage(2), true)],
  issues: [extension('2.5.29.15', usage(5, 6), true)],
}
const PURPOSES = {
  none: [],
  client: [extension('2.5.29.37', purposes(CLIENT))],
  server: [extension('2.5.29.37', purposes(SERVER))],
  both: [extension('2.5.29.37', purposes(SERVER, CLIENT))],
  any: [extension('2.5.29.37', purposes(ANY))],
}
const permitted = (name: string) => sequence(explicit(0, sequence(implicit(2, Buffer.from(name)))))
const OTHERS = {
  none: [],
  unknown: [extension('1.2.3.4', octetString(Buffer.alloc(1)))],
  'unknown and critical': [extension('1.2.3.4', octetString(Buffer.alloc(1)), true)],
  'name constraints': [extension('2.5.29.30', permitted('example.test'), true)],
  'constraints that forbid all names': [
    extension('2.5.29.30', sequence(explicit(1, sequence(explicit(4, sequence())))), true),
  ],
  'Netscape client': [extension('2.16.840.1.113730.1.1', usage(0))],
  'Netscape server': [extension('2.16.840.1.113730.1.1', usage(1))],
  'Netscape CA': [extension('2.16.840.1.113730.1.1', usage(5))],
  proxy: [extension('1.3.6.1.5.5.7.1.14', sequence(sequence(objectIdentifier('1.3.6.1.5.5.7.21.1'))), true)],
  'policy constraints': [extension('2.5.29.36', sequence(implicit(0, Buffer.from([0]))), true)],
  'malformed name constraints': [extension('2.5.29.30', sequence(implicit(0, Buffer.from('00'))))],
  names: [extension('2.5.29.17', sequence(implicit(2, Buffer.from('evil.test'))))],
  'names within': [extension('2.5.29.17', sequence(implicit(2, Buffer.from('a.example.test'))))],
}

/** The usual one more often than the others, or hardly any chain would be good. */
const mostly = <T>(usual: T, all: Readonly<Record<string, T>>) =>
  fc.oneof(
    { weight: 5, arbitrary: fc.constant(usual) },
    { weight: 2, arbitrary: fc.constantFrom(...Object.values(all)) },
  )

const extensionsOf = (kind: 'leaf' | 'authority') =>
  fc
    .tuple(
      mostly(kind === 'leaf' ? BASIC.end : BASIC.ca, BASIC),
      mostly(kind === 'leaf' ? USAGE.signs : USAGE.issues, USAGE),
      mostly(kind === 'leaf' ? PURPOSES.client : PURPOSES.none, PURPOSES),
      mostly(OTHERS.none, OTHERS),
    )
    .map((parts) => parts.flat())

const DAYS = { now: [-1, 9], past: [-9, -1], future: [1, 9] } as const
const days = mostly<readonly [number, number]>(DAYS.now, DAYS)
const digest = mostly<keyof typeof SIGNATURES>('sha256', { sha256: 'sha256', sha512: 'sha512', sha1: 'sha1' })

interface Chain {
  readonly sent: readonly [CertificateFacts, ...CertificateFacts[]]
  readonly trusted: readonly CertificateFacts[]
  readonly key: KeyName
}

/** Leaf, up to two intermediates and a root, each with oddities; of these some are sent, some trusted. */
const chains: fc.Arbitrary<Chain> = fc
  .record({
    key: mostly<KeyName>('a', { rsa: 'rsa', short: 'short' }),
    parts: fc.tuple(
      extensionsOf('leaf'),
      extensionsOf('authority'),
      extensionsOf('authority'),
      extensionsOf('authority'),
    ),
    days: fc.tuple(days, days, days, days),
    digests: fc.tuple(digest, digest, digest, digest),
    intermediates: fc.nat(2),
    wrongSigner: mostly(-1, { leaf: 0, first: 1 }),
    forgets: mostly(-1, { first: 1, second: 2 }),
    sendsRoot: fc.boolean(),
    trusts: mostly('root', { root: 'root', none: 'none', intermediate: 'intermediate', impostor: 'impostor' }),
  })
  .map(({ key, parts, days: validity, digests, intermediates, wrongSigner, forgets, sendsRoot, trusts }) => {
    const names = ['leaf', 'one', 'two'].slice(0, intermediates + 1).concat('root')
    const keys: KeyName[] = [key, 'b', 'c', 'rsa']
    const all = names.map((subject, i) => {
      const above = Math.min(i + 1, names.length - 1)
      const own = (at: number): KeyName => (at === names.length - 1 ? 'rsa' : (keys[at] as KeyName))
      return make({
        subject,
        issuer: names[above] as string,
        key: own(i),
        signer: i === wrongSigner ? 'a' : own(above),
        digest: digests[i] as 'sha256',
        days: validity[i] as [number, number],
        extensions: parts[i] as Buffer[],
      })
    })
    const root = all.at(-1) as CertificateFacts
    const impostor = make({
      subject: 'root',
      issuer: 'root',
      key: 'c',
      signer: 'c',
      digest: 'sha256',
      days: [-1, 9],
      extensions: BASIC.ca,
    })
    const store = { root: [root], none: [], intermediate: all.slice(1), impostor: [impostor] }[
      trusts
    ] as CertificateFacts[]
    const between = all.slice(1, -1).filter((_, i) => i + 1 !== forgets)
    const sent = [all[0] as CertificateFacts, ...between, ...(sendsRoot ? [root] : [])] as const
    return { sent, trusted: store, key }
  })

/** What a server sees of a client whose handshake it has let finish; undefined where none came about. */
async function handshake<T>(
  { sent, key }: Chain,
  { trusted, partialChain = false }: { trusted: readonly CertificateFacts[]; partialChain?: boolean },
  look: (socket: TLSSocket) => T,
): Promise<T | undefined> {
  const identity = selfSigned('server', { purposes: ['serverAuth'] })
  const ca = trusted.length > 0 ? trusted.map(({ pem }) => pem) : [nobody.certificate]
  const context = createSecureContext({
    cert: identity.certificate,
    key: identity.key,
    ca,
    allowPartialTrustChain: partialChain,
  })
  const server = createServer({
    SNICallback: (_name, done) => done(null, context),
    requestCert: true,
    rejectUnauthorized: false,
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const seen = new Promise<T | undefined>((resolve) => {
    server.once('tlsClientError', () => resolve(undefined))
    server.once('secureConnection', (socket: TLSSocket) => {
      socket.on('error', () => {})
      resolve(look(socket))
      socket.destroy()
    })
  })
  try {
    const { port } = server.address() as AddressInfo
    const cert = sent.map(({ pem }) => pem).join('')
    const ownKey = KEYS[key].privateKey.export({ type: 'pkcs8', format: 'pem' })
    const outgoing = connect({
      port,
      host: '127.0.0.1',
      servername: 'server',
      cert,
      key: ownKey,
      rejectUnauthorized: false,
      ciphers: 'DEFAULT@SECLEVEL=0',
    })
    outgoing.on('error', () => {})
    const verdict = await seen
    outgoing.destroy()
    return verdict
  } catch {
    return undefined
  } finally {
    server.close()
  }
}

const nobody = authority('nobody')

/** Node's authorizationError for a handshake, null where it authorized the client; undefined where no handshake came about. */
function handshakeVerdict(chain: Chain, { partialChain = false } = {}): Promise<string | null | undefined> {
  return handshake(chain, { trusted: chain.trusted, partialChain }, (socket) =>
    socket.authorized && socket.getPeerX509Certificate() ? null : String(socket.authorizationError),
  )
}

const ours = ({ sent, trusted }: Chain, { partialChain = false } = {}) =>
  verifyStrictly({ sent, trusted, partialChain })

test.each([false, true])('whoever is accepted here, OpenSSL accepts too: partial chains %s', async (partialChain) => {
  await fc.assert(
    fc.asyncProperty(chains, async (chain) => {
      fc.pre(ours(chain, { partialChain }).code === undefined)
      expect(await handshakeVerdict(chain, { partialChain })).toBe(null)
    }),
    { numRuns: 20 },
  )
})

test('and the other way round, but for what is refused here on purpose', async () => {
  const onPurpose = /are not judged here|stands there twice|basicConstraints|Netscape/
  await fc.assert(
    fc.asyncProperty(chains, async (chain) => {
      const { code, findings } = ours(chain)
      if (code === undefined || findings.some(({ detail = '' }) => onPurpose.test(detail))) return
      expect(await handshakeVerdict(chain)).not.toBe(null)
    }),
    { numRuns: 150 },
  )
})

/** A policy whose authorities OpenSSL does not know, as they are not announced. */
function policyTrusting(trusted: readonly CertificateFacts[]): TrustPolicy {
  return new TrustPolicy(
    {
      ...{ id: 'a'.repeat(64), verify: 'on', rejects: false, demands: '', requirement: () => undefined },
      ...{ ca: [nobody.certificate], unannounced: trusted.map(({ pem }) => pem), announced: true, partialChain: false },
      ...{ minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3', ciphers: 'HIGH', verifyDepth: 3 },
      ...{ sessionTickets: true, sessionTimeout: 1000, handshakeTimeout: 1000 },
    },
    {
      ...{
        inForce: { demands: [], basis: () => '' },
        intermediates: new Intermediates(),
        sessionContext: '',
      },
      ticketSecret: { bytes: Buffer.alloc(32), since: 0 },
    },
  )
}

test('a policy lets nobody in by an authority that is not announced whom OpenSSL refuses where it is', async () => {
  await fc.assert(
    fc.asyncProperty(chains, async (chain) => {
      const policy = policyTrusting(chain.trusted)
      const result = await handshake(
        chain,
        { trusted: [] },
        (socket) => policy.judge(policy.see(socket, policy.certificateOf(socket))).verification,
      )
      fc.pre(result?.result === 'SUCCESS')
      expect(await handshakeVerdict(chain)).toBe(null)
    }),
    { numRuns: 12 },
  )
})

describe('refused, one by one', () => {
  const good: Make = {
    subject: 'leaf',
    issuer: 'root',
    key: 'a',
    signer: 'rsa',
    digest: 'sha256',
    days: [-1, 9],
    extensions: [...BASIC.end, ...USAGE.signs, ...PURPOSES.client],
  }
  const rootOf = (extra: readonly Buffer[] = []): Make => ({
    ...good,
    subject: 'root',
    key: 'rsa',
    extensions: [...BASIC.ca, ...USAGE.issues, ...extra],
  })
  const between = (extensions: readonly Buffer[], signer: KeyName = 'rsa'): Make => ({
    ...good,
    subject: 'one',
    key: 'b',
    signer,
    extensions,
  })
  const judged = (leaf: Partial<Make>, { issuers = [], root = rootOf() }: { issuers?: Make[]; root?: Make } = {}) =>
    verifyStrictly({ sent: [make({ ...good, ...leaf }), ...issuers.map(make)], trusted: [make(root)] })
  const below: Partial<Make> = { issuer: 'one', signer: 'b' }

  test('a good one is accepted, also below an intermediate', () => {
    expect(judged({}).findings).toEqual([])
    expect(judged(below, { issuers: [between([...BASIC.ca, ...USAGE.issues])] }).findings).toEqual([])
  })

  test.each<[string, ReturnType<typeof judged>, string]>([
    [
      'a name that the root may not certify',
      judged({}, { root: rootOf(OTHERS['constraints that forbid all names']) }),
      'UNSPECIFIED',
    ],
    [
      'a name that an intermediate may not certify',
      judged(below, { issuers: [between([...BASIC.ca, ...OTHERS['constraints that forbid all names']])] }),
      'UNSPECIFIED',
    ],
    ['a proxy certificate', judged({ extensions: [...good.extensions, ...OTHERS.proxy] }), 'UNSPECIFIED'],
    [
      'an unknown critical extension',
      judged({ extensions: [...good.extensions, ...OTHERS['unknown and critical']] }),
      'UNSPECIFIED',
    ],
    [
      'an extension that stands there twice',
      judged({ extensions: [...good.extensions, ...PURPOSES.server] }),
      'UNSPECIFIED',
    ],
    ['a certificate for servers', judged({ extensions: [...BASIC.end, ...PURPOSES.server] }), 'INVALID_PURPOSE'],
    [
      'one for any purpose, which OpenSSL does not take for a client',
      judged({ extensions: [...BASIC.end, ...PURPOSES.any] }),
      'INVALID_PURPOSE',
    ],
    [
      'a Netscape type for servers',
      judged({ extensions: [...good.extensions, ...OTHERS['Netscape server']] }),
      'INVALID_PURPOSE',
    ],
    [
      'an issuer for servers',
      judged(below, { issuers: [between([...BASIC.ca, ...PURPOSES.server])] }),
      'INVALID_PURPOSE',
    ],
    ['an issuer without basicConstraints', judged(below, { issuers: [between(USAGE.issues)] }), 'INVALID_CA'],
    ['an issuer that is none', judged(below, { issuers: [between([...BASIC.end, ...USAGE.signs])] }), 'INVALID_CA'],
    [
      'a negative path length',
      judged(below, { issuers: [between([...BASIC['ca with length -1'], ...USAGE.issues])] }),
      'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    ],
    [
      'an issuer that the root lets issue nobody',
      judged(below, { issuers: [between(BASIC.ca)], root: { ...rootOf(), extensions: BASIC['ca with length 0'] } }),
      'PATH_LENGTH_EXCEEDED',
    ],
    ['a root of version 3 that says nothing', judged({}, { root: { ...rootOf(), extensions: [] } }), 'INVALID_CA'],
    ['SHA-1', judged({ digest: 'sha1' }), 'UNSPECIFIED'],
    ['a short key', judged({ key: 'short' }), 'UNSPECIFIED'],
    ['a signature of somebody else with the issuer’s name', judged({ signer: 'c' }), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    ['an expired root', judged({}, { root: { ...rootOf(), days: [-9, -1] } }), 'CERT_HAS_EXPIRED'],
    [
      'a root of the right name with another key',
      judged({}, { root: { ...rootOf(), key: 'c', signer: 'c' } }),
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    ],
  ])('%s', (_what, { findings }, code) => {
    expect(findings.map((finding) => finding.code)).toContain(code)
  })

  test('nothing of it is hidden behind an error that optional_no_ca forgives', () => {
    const odd = { ...good, issuer: 'leaf', signer: 'a', extensions: [...good.extensions, ...OTHERS.proxy] } as const
    const options = { sent: [make(odd)], trusted: [make(rootOf())] } as const
    expect(verifyChain(options).code).toBe('DEPTH_ZERO_SELF_SIGNED_CERT')
    expect(verifyStrictly(options).code).toBe('UNSPECIFIED')
  })

  test('a client that signs another certificate with its own', () => {
    const client = authority('root').clientThatSigns('ada')
    const mallory = client.client('mallory')
    const facts = [mallory, client].map(({ der }) => readCertificate(der)) as [CertificateFacts, CertificateFacts]
    const root = authority('root')
    expect(verifyStrictly({ sent: facts, trusted: [readCertificate(root.der)] }).code).toBeDefined()
  })

  const soon = time(new Date(Date.now() + DAY))
  const past = time(new Date(Date.now() - DAY))
  test.each<[string, readonly [Buffer, Buffer], string]>([
    ['a beginning with an offset', [utcTime('2001010000+0100'), soon], 'ERROR_IN_CERT_NOT_BEFORE_FIELD'],
    ['an end with an offset', [past, generalizedTime('20400101000000+0000')], 'ERROR_IN_CERT_NOT_AFTER_FIELD'],
    ['an end with a fraction', [past, generalizedTime('20400101000000.5Z')], 'ERROR_IN_CERT_NOT_AFTER_FIELD'],
  ])('%s, which OpenSSL cannot read', (_what, dates, code) => {
    const root = authority('root')
    const client = readCertificate(root.client('ada', { dates }).der)
    const options = { sent: [client], trusted: [readCertificate(root.der)] } as const
    expect([verifyChain(options).code, verifyStrictly(options).code]).toEqual([code, code])
  })

  test('a key that describes its curve instead of naming it', () => {
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256', paramEncoding: 'explicit' })
    const root = authority('root')
    const options = {
      sent: [readCertificate(root.client('ada', { keys }).der)],
      trusted: [readCertificate(root.der)],
    } as const
    expect([verifyChain(options).code, verifyStrictly(options).code]).toEqual(['UNSPECIFIED', 'UNSPECIFIED'])
  })

  test('a signature that was changed', () => {
    const der = Buffer.from(make(good).raw)
    der[der.length - 1] = (der.at(-1) as number) ^ 1
    expect(verifyStrictly({ sent: [readCertificate(der)], trusted: [make(rootOf())] }).code).toBe(
      'CERT_SIGNATURE_FAILURE',
    )
  })

  test('RSA-PSS with a digest that nobody names, which means SHA-1', () => {
    const { raw } = make({ ...good, signer: 'rsa' })
    const oid = objectIdentifier('1.2.840.113549.1.1.11')
    const pss = Buffer.from(raw)
    for (let at = pss.indexOf(oid); at !== -1; at = pss.indexOf(oid, at + 1))
      objectIdentifier('1.2.840.113549.1.1.10').copy(pss, at)
    expect(verifyStrictly({ sent: [readCertificate(pss)], trusted: [make(rootOf())] }).code).toBe('UNSPECIFIED')
  })
})
