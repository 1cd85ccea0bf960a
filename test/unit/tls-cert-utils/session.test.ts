import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type SecureVersion, type TLSSocket } from 'node:tls'
import { describe, expect, test } from '@jest/globals'
import { certificateInSession, clientCertificate } from '../../../src/tls-cert-utils/session.ts'
import { authority, type Issued } from '../../support/pki.ts'

const root = authority('root')
const ada = root.client('ada')
const versions: readonly SecureVersion[] = ['TLSv1.2', 'TLSv1.3']

interface Seen {
  readonly certificate: Buffer | undefined
  readonly resumed: boolean
}

/** What a server of node:tls finds out of its clients: one after the other, each with the session of the one before. */
async function seenOf(client: Issued | undefined, version: SecureVersion): Promise<readonly Seen[]> {
  const seen: Seen[] = []
  const { chain: cert, key } = root.server('localhost')
  const trust = { ca: root.certificate, requestCert: true, rejectUnauthorized: false }
  const server = createServer({ cert, key, ...trust, minVersion: version, maxVersion: version }, (socket) => {
    seen.push({ certificate: clientCertificate(socket), resumed: socket.isSessionReused() })
    socket.end('seen')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const own = client ? { cert: client.chain, key: client.key } : {}
  let session: Buffer | undefined
  try {
    for (const _ of [1, 2]) {
      const socket = connect({
        port,
        host: '127.0.0.1',
        servername: 'localhost',
        ca: root.certificate,
        session,
        ...own,
      })
      socket.on('session', (made: Buffer) => {
        session = made
      })
      socket.resume()
      await once(socket, 'close')
    }
  } finally {
    server.close()
  }
  return seen
}

describe.each(versions)('over %s', (version) => {
  test('the certificate of a client is found, and found again in a resumed session', async () => {
    expect(await seenOf(ada, version)).toEqual([
      { certificate: ada.der, resumed: false },
      { certificate: ada.der, resumed: true },
    ])
  })

  test('none is found where the client has shown none', async () => {
    const seen = await seenOf(undefined, version)
    expect(seen.map(({ certificate }) => certificate)).toEqual([undefined, undefined])
  })
})

test('what a session holds besides, such as its keys, is wiped', () => {
  const session = Buffer.from('300702010104021234', 'hex')
  expect(clientCertificate({ getSession: () => session } as TLSSocket)).toBeUndefined()
  expect(session).toEqual(Buffer.alloc(9))
})

test('none is found in a session of an unknown form, and where there is no session', () => {
  for (const session of [undefined, Buffer.alloc(0), Buffer.from('no session')])
    expect(clientCertificate({ getSession: () => session } as TLSSocket)).toBeUndefined()
  expect(() => certificateInSession(Buffer.from('no session'))).toThrow('goes past the end')
})
