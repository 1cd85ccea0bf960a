import type { X509Certificate } from 'node:crypto'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { chainDepth, chainOf } from '../../../src/tls-cert-utils/chain.ts'
import { type Authority, createAuthority, selfSigned } from '../../../src/tls-cert-utils/development-pki.ts'
import { handshake } from './handshake.ts'

let root: Authority

beforeAll(async () => {
  root = await createAuthority({ subject: 'root' })
})

async function peerChain(depth: number): Promise<{ authorized: boolean; depth: number; names: string[] }> {
  let issuer = root
  for (let level = 1; level <= depth; level++) issuer = await issuer.intermediate({ subject: `intermediate ${level}` })
  const { socket, close } = await handshake(root, await issuer.issue({ subject: 'ada' }))
  const leaf = socket.getPeerX509Certificate() as X509Certificate
  const result = {
    authorized: socket.authorized,
    depth: chainDepth(leaf),
    names: chainOf(leaf).map(({ subject }) => subject),
  }
  close()
  return result
}

describe('chainDepth', () => {
  test.each([0, 1, 2, 5])('counts %i intermediates of a verified peer', async (depth) => {
    const chain = await peerChain(depth)
    expect(chain.authorized).toBe(true)
    expect(chain.depth).toBe(depth)
    expect(chain.names.at(0)).toBe('CN=ada')
    expect(chain.names.at(-1)).toBe('CN=root')
  })

  test('is 0 for a self-signed peer that is trusted itself', async () => {
    const alone = await selfSigned({ subject: 'ada' })
    const { socket, close } = await handshake(root, alone, alone.pem)
    expect(socket.authorized).toBe(true)
    expect(chainDepth(socket.getPeerX509Certificate() as X509Certificate)).toBe(0)
    close()
  })

  test('is 0 for a certificate that was only parsed', () => {
    expect(chainDepth(root.certificate.x509)).toBe(0)
  })

  test('ends where a chain goes round, and is bounded where it does not end', () => {
    const looping = { fingerprint256: 'a', issuerCertificate: { fingerprint256: 'b' } } as unknown as X509Certificate
    Object.assign(looping.issuerCertificate as object, { issuerCertificate: looping })
    expect(chainOf(looping)).toHaveLength(2)
    const endless = (level: number): X509Certificate =>
      ({
        fingerprint256: String(level),
        get issuerCertificate() {
          return endless(level + 1)
        },
      }) as unknown as X509Certificate
    expect(chainOf(endless(0))).toHaveLength(128)
  })
})
