import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { connect, createServer } from 'node:tls'
import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import { type CertificateFacts, readCertificate } from '../../../src/tls-cert-utils/certificate.ts'
import { readCertificates } from '../../../src/tls-cert-utils/certificates.ts'
import {
  findPath,
  intermediatesOf,
  isSoundPath,
  type Path,
  sentWith,
  withKnownIssuers,
  withoutRoot,
} from '../../../src/tls-cert-utils/chain.ts'
import {
  type Authority,
  createAuthority,
  type Issued,
  selfSigned,
} from '../../../src/tls-cert-utils/development-pki.ts'
import { bitString } from '../../support/der.ts'
import { authority, extension } from '../../support/pki.ts'
import { handshake } from './handshake.ts'
import { inFolder, openssl } from './openssl.ts'

let root: Authority
let middle: Authority
let low: Authority
let leaf: Issued

beforeAll(async () => {
  root = await createAuthority({ subject: 'root' })
  middle = await root.intermediate({ subject: 'middle' })
  low = await middle.intermediate({ subject: 'low' })
  leaf = await low.issue({ subject: 'ada' })
})

/** Sixty authorities of two names and one key, each of which may have issued half of the others. */
function mesh(onlyExtensions: readonly Buffer[]): readonly [CertificateFacts, ...CertificateFacts[]] {
  const options = { keys: generateKeyPairSync('ec', { namedCurve: 'P-256' }), onlyExtensions }
  const [one, other] = [authority('one', options), authority('other', options)]
  const certificates = Array.from({ length: 30 }, () => [
    other.authority('one', options),
    one.authority('other', options),
  ])
  const [first, ...others] = certificates.flat().map(({ der }) => readCertificate(der))
  return [first as CertificateFacts, ...others]
}

/** The path from what a server sees in a handshake to what it trusts. */
async function pathOf(
  chainPem: string,
  keyPem: string,
  trusted: readonly Pick<Issued, 'pem' | 'certificate'>[],
): Promise<Path> {
  const { socket, close } = await handshake(root, { chainPem, keyPem }, trusted.map(({ pem }) => pem).join(''))
  try {
    expect(socket.authorized).toBe(true)
    const leaf = socket.getPeerX509Certificate() as X509Certificate
    const sent: CertificateFacts[] = []
    for (let next = leaf.issuerCertificate; next; next = next.issuerCertificate) sent.push(readCertificate(next.raw))
    return findPath(
      [readCertificate(leaf.raw), ...sent],
      trusted.map(({ certificate }) => certificate),
      Date.now(),
    )
  } finally {
    close()
  }
}

const depthOf = async (...handshaken: Parameters<typeof pathOf>) => {
  const path = await pathOf(...handshaken)
  expect(isSoundPath(path)).toBe(true)
  return intermediatesOf(path)
}

describe('the path to a root', () => {
  test.each([0, 1, 2, 5])('counts %i intermediates, whether the peer sends the root or not', async (depth) => {
    let issuer = root
    for (let level = 1; level <= depth; level++)
      issuer = await issuer.intermediate({ subject: `intermediate ${level}` })
    const { chainPem, keyPem } = await issuer.issue({ subject: 'ada' })
    expect(await depthOf(chainPem, keyPem, [root])).toBe(depth)
    expect(await depthOf(chainPem + root.pem, keyPem, [root])).toBe(depth)
  })

  test('counts intermediates that the peer need not send because the store has them', async () => {
    expect(await depthOf(leaf.pem, leaf.keyPem, [root, middle, low])).toBe(2)
  })

  test('does not count a root that the peer sends in a cross-signed form while it is trusted itself', async () => {
    const crossSigned = await crossSign(root, await createAuthority({ subject: 'elder' }))
    expect(await depthOf(leaf.chainPem + crossSigned, leaf.keyPem, [root])).toBe(2)
  })

  test('is found in what the peer sends in any order, also behind a root', async () => {
    const chainPem = [leaf, root, low, middle].map(({ pem }) => pem).join('')
    const { socket, close } = await handshake(root, { chainPem, keyPem: leaf.keyPem }, root.pem)
    const sent = sentWith(socket.getPeerX509Certificate() as X509Certificate)
    close()
    expect(sent.map(({ pem }) => pem)).toEqual([root.pem, low.pem, middle.pem])
  })

  test('is 0 for a self-signed peer that is trusted itself', async () => {
    const alone = await selfSigned({ subject: 'ada' })
    expect(await depthOf(alone.pem, alone.keyPem, [alone])).toBe(0)
  })

  test('passes by a look-alike that the peer sends before the issuer', async () => {
    const lookalike = await root.intermediate({ subject: low.certificate.rawSubject })
    const sent = [leaf, lookalike, low, middle].map(({ certificate }) => certificate) as [CertificateFacts]
    const path = findPath(sent, [root.certificate], Date.now())
    expect(isSoundPath(path)).toBe(true)
    expect(path.chain[1]).toBe(low.certificate)
  })

  test('is not sound where the peer shows another issuer than the one that signed', async () => {
    const lookalike = await root.intermediate({ subject: low.certificate.rawSubject })
    const shown = {
      selfIssued: false,
      rawIssuer: lookalike.certificate.rawSubject,
      x509: { checkIssued: (issuer: X509Certificate) => issuer === lookalike.certificate.x509, verify: () => false },
    } as unknown as CertificateFacts
    const path = findPath([shown, lookalike.certificate], [root.certificate], Date.now())
    expect(path.isAnchored).toBe(true)
    expect(isSoundPath(path)).toBe(false)
  })

  test.each([
    ['whose keys may sign', []],
    ['whose keys may sign nothing', [extension('2.5.29.15', bitString(Buffer.from([0x80]), 7))]],
  ])('is looked for with few signature checks, however many look-alikes a stranger sends %s', (_, extensions) => {
    const verify = jest.spyOn(X509Certificate.prototype, 'verify')
    const { chain } = findPath(mesh(extensions), [root.certificate], Date.now())
    expect(chain.length).toBeGreaterThan(1)
    expect(verify.mock.calls.length).toBeLessThan(100)
    verify.mockRestore()
  })

  test('is not sound where it ends in nobody who is trusted', () => {
    const path = findPath([leaf.certificate, low.certificate], [root.certificate], Date.now())
    expect(isSoundPath(path)).toBe(false)
  })
})

/** A certificate for the name and key of one authority, issued by another, as when an old root vouches for a new one. */
function crossSign(subject: Authority, issuer: Authority): Promise<string> {
  return inFolder((folder) => {
    const file = (name: string, text: string) => {
      writeFileSync(join(folder, name), text)
      return join(folder, name)
    }
    const names = ['-subj', `/CN=${subject.certificate.subject.slice(3)}`, '-days', '1']
    const key = ['-force_pubkey', file('key.pub', openssl(['pkey', '-pubout'], subject.keyPem))]
    const extensions = ['-extfile', file('extensions', 'basicConstraints=critical,CA:true')]
    const signer = ['-CA', file('issuer.pem', issuer.pem), '-CAkey', file('issuer.key', issuer.keyPem)]
    return openssl(['x509', '-new', ...names, ...key, ...extensions, ...signer])
  })
}

/** PEM of all certificates that a TLS server of Node shows which has these, and trusts those. */
async function shownBy(cert: string, key: string, ca: string): Promise<string> {
  const server = createServer({ cert, key, ca }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const client = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  try {
    await once(client, 'secureConnect')
    const certificate = client.getPeerX509Certificate() as X509Certificate
    return [readCertificate(certificate.raw), ...sentWith(certificate)].map(({ pem }) => pem).join('')
  } finally {
    client.destroy()
    server.close()
  }
}

test.each([
  ['has all of its issuers', () => [root, middle, low]],
  ['has its issuer but not the root', () => [low]],
  ['knows other issuers only', () => [root, middle]],
])(
  'a certificate that is configured alone is shown as OpenSSL shows it, where the trust store %s',
  async (_, trusted) => {
    const ca = trusted()
      .map(({ pem }) => pem)
      .join('')
    const shown = withKnownIssuers([leaf.certificate], readCertificates(ca))
    expect(shown).toBe(await shownBy(leaf.pem, leaf.keyPem, ca))
    expect(await shownBy(shown, leaf.keyPem, ca)).toBe(shown)
  },
)

test('a certificate that is configured alone is shown as OpenSSL shows it, where an issuer is there in two forms', async () => {
  const elder = await createAuthority({ subject: 'elder' })
  const ca = [low.pem, middle.pem, await crossSign(root, elder), root.pem, elder.pem].join('')
  const shown = withKnownIssuers([leaf.certificate], readCertificates(ca))
  expect(shown).toBe(await shownBy(leaf.pem, leaf.keyPem, ca))
})

test('a configured chain is shown as it is, whatever else is known', () => {
  const trusted = [root, middle, low].map(({ certificate }) => certificate)
  expect(withKnownIssuers([leaf.certificate, low.certificate], trusted)).toBe(leaf.pem + low.pem)
})

test('issuers are told without their root, and all of them where the last one is none', () => {
  const [top, between, below] = [root, middle, low].map(({ certificate }) => certificate) as CertificateFacts[]
  expect(withoutRoot([below, between, top] as CertificateFacts[])).toEqual([below, between])
  expect(withoutRoot([below, between] as CertificateFacts[])).toEqual([below, between])
})
