import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { expect, test } from '@jest/globals'
import { describeConnection, factsOf as factsAbout, peerOf, UNIX_PEER } from '../../../src/listener/connection.ts'
import { failed } from '../../../src/listener/demand.ts'
import type { CertificateFacts } from '../../../src/tls-cert-utils/certificate.ts'
import { factsOf } from '../../support/facts.ts'
import { keepsNotes } from '../../support/fake-connection.ts'
import { authority } from '../../support/pki.ts'

const socket = {
  getProtocol: () => 'TLSv1.3',
  getCipher: () => ({ name: 'TLS_AES_256_GCM_SHA384' }),
  isSessionReused: () => false,
} as TLSSocket

test('each connection has an id of its own, however many there are', () => {
  const facts = { policy: 'p', peer: UNIX_PEER, shown: undefined, verification: { result: 'NONE' } } as const
  const ids = Array.from({ length: 5000 }, () => describeConnection(socket, facts).id)
  expect(ids.filter((id) => !/^[0-9a-f]{16}$/.test(id))).toEqual([])
  expect(new Set(ids).size).toBe(ids.length)
})

test('each connection keeps what is made of it for its next request', () => {
  const facts = { policy: 'p', peer: UNIX_PEER, shown: undefined, verification: { result: 'NONE' } } as const
  expect(keepsNotes(describeConnection(socket, facts))).toBe(true)
})

test('issuers are told only where they were verified, and without the root', () => {
  const root = authority('root')
  const middle = root.authority('middle')
  const [certificate, ...chain] = [middle.client('ada'), middle, root].map(factsOf) as [CertificateFacts]
  const shown = { certificate, chain, error: undefined }
  expect(factsAbout(shown, { result: 'SUCCESS' })).toMatchObject({ certificate, chain: chain.slice(0, 1) })
  expect(factsAbout(shown, failed('CERT_REVOKED'))).toMatchObject({ certificate, chain: [] })
  expect(factsAbout(undefined, { result: 'NONE' })).toMatchObject({ certificate: undefined, chain: [] })
})

test('a connection is good for no longer than any certificate of its chain', () => {
  const certificate = { notAfter: 2000 } as CertificateFacts
  const chain = [{ notAfter: 1000 }] as CertificateFacts[]
  const verified = { result: 'SUCCESS' } as const
  expect(factsAbout({ certificate, chain, error: undefined }, verified).expiresAt).toBe(1000)
  expect(factsAbout({ certificate, chain: [], error: undefined }, verified).expiresAt).toBe(2000)
})

test.each([
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['::ffff:1:2', '::ffff:1:2'],
  ['2001:db8::1', '2001:db8::1'],
  ['192.0.2.1', '192.0.2.1'],
])('a peer at %s is told as %s', (remoteAddress, told) => {
  expect(peerOf({ remoteAddress, remotePort: 1, localPort: 2 } as Socket, false)).toMatchObject({ remoteAddress: told })
})

test('a client that left before it was accepted has no address', () => {
  for (const gone of ['remoteAddress', 'remotePort', 'localPort']) {
    const facts = { remoteAddress: '192.0.2.1', remotePort: 1, localPort: 2, [gone]: undefined }
    expect(peerOf(facts as unknown as Socket, false)).toBeUndefined()
    expect(peerOf(facts as unknown as Socket, true)).toBe(UNIX_PEER)
  }
})
