import type { X509Certificate } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { chainDepth } from '../../../src/tls-cert-utils/chain.ts'
import {
  type Authority,
  createAuthority,
  type Issued,
  selfSigned,
} from '../../../src/tls-cert-utils/development-pki.ts'
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

/** The depth that a server sees which trusts `trusted`, told of its store and not told of it. */
async function depthsOf(
  chainPem: string,
  keyPem: string,
  trusted: readonly Pick<Issued, 'pem' | 'certificate'>[],
): Promise<number[]> {
  const { socket, close } = await handshake(root, { chainPem, keyPem }, trusted.map(({ pem }) => pem).join(''))
  try {
    expect(socket.authorized).toBe(true)
    const peer = socket.getPeerX509Certificate() as X509Certificate
    return [
      chainDepth(
        peer,
        trusted.map(({ certificate }) => certificate.x509),
      ),
      chainDepth(peer),
    ]
  } finally {
    close()
  }
}

describe('chainDepth', () => {
  test.each([0, 1, 2, 5])('counts %i intermediates, whether the peer sends the root or not', async (depth) => {
    let issuer = root
    for (let level = 1; level <= depth; level++)
      issuer = await issuer.intermediate({ subject: `intermediate ${level}` })
    const { chainPem, keyPem } = await issuer.issue({ subject: 'ada' })
    expect(await depthsOf(chainPem, keyPem, [root])).toEqual([depth, depth])
    expect(await depthsOf(chainPem + root.pem, keyPem, [root])).toEqual([depth, depth])
  })

  test('counts intermediates that the peer need not send because the store has them', async () => {
    const [exact] = await depthsOf(leaf.pem, leaf.keyPem, [root, middle, low])
    expect(exact).toBe(2)
  })

  test('does not count a root that the peer sends in a cross-signed form while it is trusted itself', async () => {
    const crossSigned = await crossSign(root, await createAuthority({ subject: 'elder' }))
    const [exact] = await depthsOf(leaf.chainPem + crossSigned, leaf.keyPem, [root])
    expect(exact).toBe(2)
  })

  test('is 0 for a self-signed peer that is trusted itself', async () => {
    const alone = await selfSigned({ subject: 'ada' })
    expect(await depthsOf(alone.pem, alone.keyPem, [alone])).toEqual([0, 0])
  })

  test('is infinite where the peer shows another issuer than the one that was verified', async () => {
    const lookalike = await createAuthority({ subject: low.certificate.rawSubject })
    const shown = {
      checkIssued: (issuer: X509Certificate) => issuer === lookalike.certificate.x509,
      verify: (key: Parameters<X509Certificate['verify']>[0]) => leaf.certificate.x509.verify(key),
      issuerCertificate: lookalike.certificate.x509,
    } as unknown as X509Certificate
    expect(chainDepth(shown)).toBe(Number.POSITIVE_INFINITY)
  })

  test('is infinite where the chain goes round', () => {
    const looping = { checkIssued: () => false, verify: () => true } as unknown as X509Certificate
    Object.assign(looping, { issuerCertificate: looping })
    expect(chainDepth(looping)).toBe(Number.POSITIVE_INFINITY)
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
