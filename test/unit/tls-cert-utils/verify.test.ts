// The judge is OpenSSL itself: a real handshake in this process, and the openssl program.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { readCertificates } from '../../../src/tls-cert-utils/certificates.ts'
import {
  type Authority,
  type CertificateOptions,
  createAuthority,
  extension,
  type Issued,
  openAuthority,
  selfSigned,
} from '../../../src/tls-cert-utils/development-pki.ts'
import { pemOf } from '../../../src/tls-cert-utils/pem.ts'
import { Revocation } from '../../../src/tls-cert-utils/revocation.ts'
import { readRevocationLists } from '../../../src/tls-cert-utils/revocation-list.ts'
import { type VerifyOptions, verifyChain } from '../../../src/tls-cert-utils/verify.ts'
import { opensslVerify } from './openssl.ts'

const DAY = 86_400_000
const at = (days: number) => new Date(Date.now() + days * DAY)

interface Case {
  readonly client: Pick<Issued, 'keyPem'> & { readonly chainPem: string }
  readonly trusted: readonly string[]
  readonly lists?: readonly string[]
}

/** Node 24 reads one list of a text. */
const CRL = /-----BEGIN X509 CRL-----.*?-----END X509 CRL-----/gs

/** Node's authorizationError for a handshake, null where it authorized the client. */
async function handshakeVerdict({ client, trusted, lists = [] }: Case): Promise<string | null> {
  const identity = await selfSigned({ subject: 'server' })
  const server = createServer({
    cert: identity.pem,
    key: identity.keyPem,
    ca: [...trusted],
    ...(lists.length > 0 ? { crl: lists.flatMap((pem) => pem.match(CRL) ?? []) } : {}),
    requestCert: true,
    rejectUnauthorized: false,
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepted = once(server, 'secureConnection')
  const outgoing = connect({
    port: (server.address() as AddressInfo).port,
    host: '127.0.0.1',
    cert: client.chainPem,
    key: client.keyPem,
    rejectUnauthorized: false,
  })
  outgoing.on('error', () => {})
  const [socket] = (await accepted) as [TLSSocket]
  socket.on('error', () => {})
  const verdict = socket.authorized ? null : String(socket.authorizationError)
  outgoing.destroy()
  socket.destroy()
  server.close()
  return verdict
}

function ours({ client, trusted, lists = [] }: Case): string | null {
  const options: VerifyOptions = {
    sent: readCertificates(client.chainPem) as unknown as VerifyOptions['sent'],
    trusted: trusted.flatMap((pem) => readCertificates(pem)),
    revocation:
      lists.length === 0
        ? undefined
        : new Revocation(
            lists.flatMap((pem) => readRevocationLists(pem)),
            { certificates: 'chain', mode: 'STRICT' },
          ),
  }
  return verifyChain(options).code ?? null
}

async function expectSameAsOpenssl(each: Case): Promise<string | null> {
  const verdict = ours(each)
  expect(verdict).toBe(await handshakeVerdict(each))
  if ((each.lists ?? []).length > 0) return verdict
  const [leaf = '', ...untrusted] = readCertificates(each.client.chainPem).map(({ pem }) => pem)
  const said = await opensslVerify(each.trusted.join(''), leaf, untrusted.join(''))
  expect(/^leaf: OK$/m.test(said)).toBe(verdict === null)
  return verdict
}

let root: Authority
let other: Authority
let middle: Authority

beforeAll(async () => {
  root = await createAuthority({ subject: 'CN=root' })
  other = await createAuthority({ subject: 'CN=other' })
  middle = await root.intermediate({ subject: 'CN=middle' })
})

const client = (options: Partial<CertificateOptions> = {}, issuer: Authority = root): Promise<Issued> =>
  issuer.issue({ subject: 'CN=ada', usages: ['client'], ...options })

describe('the verdict of a handshake', () => {
  const leaves: Record<string, Partial<CertificateOptions>> = {
    good: {},
    expired: { notBefore: at(-9), notAfter: at(-1) },
    'not yet valid': { notBefore: at(1) },
    'for servers only': { usages: ['server'] },
    'without extended key usage': { usages: 'none' },
    'with an unknown critical extension': { extensions: [extension('1.2.3.4', true, Buffer.from([5, 0]))] },
  }
  const issuers: Record<string, () => { issuer: Authority; sends: string; trusts: readonly string[] }> = {
    'a trusted root': () => ({ issuer: root, sends: '', trusts: [root.pem] }),
    'an unknown root': () => ({ issuer: other, sends: '', trusts: [root.pem] }),
    'an unknown root that the client sends': () => ({ issuer: other, sends: other.pem, trusts: [root.pem] }),
    'an intermediate that the client sends': () => ({ issuer: middle, sends: middle.pem, trusts: [root.pem] }),
    'an intermediate that nobody has': () => ({ issuer: middle, sends: '', trusts: [root.pem] }),
    'an intermediate in the trust store': () => ({ issuer: middle, sends: '', trusts: [middle.pem, root.pem] }),
    'a trusted intermediate whose root is missing': () => ({ issuer: middle, sends: '', trusts: [middle.pem] }),
  }
  const cases = Object.keys(leaves).flatMap((leaf) => Object.keys(issuers).map((issuer) => [leaf, issuer] as const))

  test.each(cases)('%s, from %s', async (leaf, from) => {
    const { issuer, sends, trusts } = (issuers[from] as () => ReturnType<(typeof issuers)[string]>)()
    const issued = await client(leaves[leaf], issuer)
    const verdict = await expectSameAsOpenssl({
      client: { chainPem: issued.pem + sends, keyPem: issued.keyPem },
      trusted: trusts,
    })
    if (leaf === 'good' && from === 'a trusted root') expect(verdict).toBeNull()
    if (leaf === 'expired') expect(verdict).toBe('CERT_HAS_EXPIRED')
  })

  test('nobody is trusted where the trust store holds others only', async () => {
    expect(await expectSameAsOpenssl({ client: await client(), trusted: [other.pem] })).not.toBeNull()
  })

  test('self-signed, unknown and trusted', async () => {
    const alone = await selfSigned({ subject: 'CN=alone', usages: ['client'] })
    expect(await expectSameAsOpenssl({ client: alone, trusted: [root.pem] })).toBe('DEPTH_ZERO_SELF_SIGNED_CERT')
    expect(await expectSameAsOpenssl({ client: alone, trusted: [alone.pem] })).toBeNull()
  })

  test('a client certificate that signs another one', async () => {
    const signer = openAuthority(await client({ subject: 'CN=signer' }))
    const below = await signer.issue({ subject: 'CN=root-of-all', usages: ['client'] })
    const chainPem = below.pem + signer.pem
    const verdict = await expectSameAsOpenssl({ client: { chainPem, keyPem: below.keyPem }, trusted: [root.pem] })
    expect(verdict).not.toBeNull()
    const sent = readCertificates(chainPem) as unknown as VerifyOptions['sent']
    const { findings } = verifyChain({ sent, trusted: readCertificates(root.pem) })
    expect(findings).toContainEqual({ check: 'authorities', code: 'INVALID_CA', at: 1 })
  })

  test('a signature that was damaged', async () => {
    const { der, keyPem } = await client()
    der[der.length - 1] = (der.at(-1) ?? 0) ^ 1
    const damaged = { chainPem: pemOf('CERTIFICATE', der), keyPem }
    expect(await expectSameAsOpenssl({ client: damaged, trusted: [root.pem] })).toBe('CERT_SIGNATURE_FAILURE')
  })

  test('a certificate signed with another key than the one of its issuer', async () => {
    const impostor = await createAuthority({ subject: 'CN=root' })
    expect(await expectSameAsOpenssl({ client: await client({}, impostor), trusted: [root.pem] })).not.toBeNull()
  })

  test.each([
    ['above its path length', { pathLength: 0 }],
    ['that may issue for servers only', { usages: ['server'] as const }],
    ['that has expired', { notBefore: at(-9), notAfter: at(-1) }],
  ])('an intermediate %s', async (_what, options) => {
    const upper = await root.intermediate({ subject: 'CN=upper', ...options })
    const lower = await upper.intermediate({ subject: 'CN=lower' })
    const issued = await client({}, lower)
    const verdict = await expectSameAsOpenssl({ client: issued, trusted: [root.pem] })
    expect(verdict).not.toBeNull()
  })

  test('a root that has expired', async () => {
    const old = await createAuthority({ subject: 'CN=old', notBefore: at(-9), notAfter: at(-1) })
    expect(await expectSameAsOpenssl({ client: await client({}, old), trusted: [old.pem] })).toBe('CERT_HAS_EXPIRED')
  })

  test('an authority that shows itself as a client', async () => {
    expect(await expectSameAsOpenssl({ client: middle, trusted: [root.pem] })).toBe('INVALID_PURPOSE')
  })

  test('of two roots with one name, the one that signed', async () => {
    const twin = await createAuthority({ subject: 'CN=root' })
    expect(await expectSameAsOpenssl({ client: await client(), trusted: [twin.pem, root.pem] })).toBeNull()
  })
})

describe('revocation lists', () => {
  const lists: Record<string, (revoked: Issued, issuer: Authority) => Promise<string>> = {
    'a list without it': (_, issuer) => issuer.revocationList(),
    'a list with it': (revoked, issuer) => issuer.revocationList({ revoked: [revoked] }),
    'a list that is too old': (_, issuer) => issuer.revocationList({ thisUpdate: at(-9), nextUpdate: at(-1) }),
    'an old list with it': (revoked, issuer) =>
      issuer.revocationList({ revoked: [revoked], thisUpdate: at(-9), nextUpdate: at(-1) }),
    'a list of the future': (_, issuer) => issuer.revocationList({ thisUpdate: at(1), nextUpdate: at(9) }),
    "another authority's list": () => other.revocationList(),
    'a list of its name that another key has signed': async (revoked) =>
      (await createAuthority({ subject: 'CN=root' })).revocationList({ revoked: [revoked] }),
    'its list among those of a namesake': async (_, issuer) =>
      (await (await createAuthority({ subject: 'CN=root' })).revocationList()) + (await issuer.revocationList()),
  }
  const leaves: Record<string, Partial<CertificateOptions>> = {
    good: {},
    expired: { notBefore: at(-9), notAfter: at(-1) },
  }
  const cases = Object.keys(lists).flatMap((list) => Object.keys(leaves).map((leaf) => [leaf, list] as const))

  test.each(cases)('%s, with %s', async (leaf, list) => {
    const issued = await client(leaves[leaf])
    const made = await (lists[list] as (typeof lists)[string])(issued, root)
    const verdict = await expectSameAsOpenssl({ client: issued, trusted: [root.pem], lists: [made] })
    if (leaf === 'good' && list === 'a list with it') expect(verdict).toBe('CERT_REVOKED')
    if (leaf === 'good' && list === 'a list without it') expect(verdict).toBeNull()
  })

  test.each([
    ['both issuers', () => Promise.all([root.revocationList(), middle.revocationList()]), null],
    ['the root alone', () => Promise.all([root.revocationList()]), 'UNABLE_TO_GET_CRL'],
    ['the intermediate alone', () => Promise.all([middle.revocationList()]), 'UNABLE_TO_GET_CRL'],
    [
      'both, and the intermediate is revoked',
      () => Promise.all([root.revocationList({ revoked: [middle] }), middle.revocationList()]),
      'CERT_REVOKED',
    ],
  ])('a chain with lists of %s', async (_what, make, expected) => {
    const issued = await client({}, middle)
    const verdict = await expectSameAsOpenssl({ client: issued, trusted: [root.pem], lists: await make() })
    expect(verdict).toBe(expected)
  })

  test('of two lists of one issuer, the newer one', async () => {
    const issued = await client()
    const newer = await root.revocationList({ thisUpdate: at(-1) })
    const older = await root.revocationList({ revoked: [issued], thisUpdate: at(-2) })
    expect(ours({ client: issued, trusted: [root.pem], lists: [older, newer] })).toBeNull()
  })
})

describe('what a handshake does not tell', () => {
  const verdict = (issued: Issued, depth: number) =>
    verifyChain({
      sent: readCertificates(issued.chainPem) as unknown as VerifyOptions['sent'],
      trusted: readCertificates(root.pem),
      depth,
    })

  test("depth counts intermediates, as nginx's ssl_verify_depth", async () => {
    const issued = await client({}, await middle.intermediate({ subject: 'CN=lower' }))
    expect(verdict(issued, 2).code).toBeUndefined()
    expect(verdict(issued, 1).code).toBe('UNABLE_TO_GET_ISSUER_CERT_LOCALLY')
    expect(verdict(await client(), 0).code).toBeUndefined()
  })

  test('the chain, and everything that is wrong with it', async () => {
    const issued = await client({ usages: ['server'], notBefore: at(-9), notAfter: at(-1) }, middle)
    const { chain, findings } = verdict(issued, 1)
    expect(chain.map(({ subject }) => subject)).toEqual(['CN=ada', 'CN=middle', 'CN=root'])
    expect(findings.map(({ code, at }) => [code, at])).toEqual([
      ['INVALID_PURPOSE', 0],
      ['CERT_HAS_EXPIRED', 0],
    ])
  })

  test('many certificates that issue each other end', async () => {
    const loop = await createAuthority({ subject: 'CN=loop' })
    const again = await loop.intermediate({ subject: 'CN=loop' })
    const issued = await client({}, again)
    const sent = readCertificates(issued.pem + again.pem.repeat(200)) as unknown as VerifyOptions['sent']
    expect(verifyChain({ sent, trusted: readCertificates(root.pem) }).code).toBeDefined()
  })
})
