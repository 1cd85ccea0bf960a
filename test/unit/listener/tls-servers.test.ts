import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import type { Server } from 'node:tls'
import { beforeEach, expect, test } from '@jest/globals'
import { TicketKeys } from '../../../src/listener/ticket-keys.ts'
import { type ServerCertificates, type TlsOptions, TlsServers } from '../../../src/listener/tls-servers.ts'
import { readCertificates } from '../../../src/tls-cert-utils/certificates.ts'
import { authority } from '../../support/pki.ts'

const root = authority('root')
const one = certificatesOf('one.test')
const two = certificatesOf('two.test')
let servers: TlsServers
let made: Server[]

function certificatesOf(name: string): ServerCertificates {
  const { chain, key } = root.server(name)
  return { pairs: [{ certificates: readCertificates(chain), keyPem: key }], stapleFor: undefined }
}

beforeEach(() => {
  const options: TlsOptions = {
    ...{ id: 'a'.repeat(64), requestCert: true, ca: [], authorities: [], announced: true, partialChain: false },
    ...{ minVersion: 'TLSv1.2' as const, maxVersion: 'TLSv1.3' as const, ciphers: 'HIGH' },
    ...{ sessionTickets: true, sessionTimeout: 300_000, handshakeTimeout: 10_000 },
  }
  servers = new TlsServers(options, new TicketKeys({ bytes: Buffer.alloc(32), since: 0 }, '', 300_000))
  made = []
  servers.onNew = (server) => made.push(server)
})

/** @returns the server that got the socket */
function accept(certificates: ServerCertificates, basis = ''): Server {
  const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  const before = made.length
  servers.accept(socket as Socket, certificates, basis)
  socket.destroy()
  const server = made.at(-1)
  if (!server) throw new Error(`no server, ${before} before`)
  return server
}

test('the same certificates have one server, whoever else comes in between', () => {
  for (const certificates of [one, two, one, two]) accept(certificates)
  expect(made).toHaveLength(2)
})

test('certificates that are looked at only have none', () => {
  servers.assertUsable(one)
  expect(made).toHaveLength(0)
  expect(() =>
    servers.assertUsable({ pairs: [{ certificates: [], keyPem: 'no key' }], stapleFor: undefined }),
  ).toThrow()
})

test('certificates that nobody shows any more lose their server, and others keep theirs', () => {
  accept(one)
  accept(two)
  servers.keepOnly(new Set([two]))
  accept(two)
  expect(made).toHaveLength(2)
  accept(one)
  expect(made).toHaveLength(3)
})

test('a server opens no session of an earlier basis, also where another one had the first client since', () => {
  const old = accept(one).getTicketKeys()
  const other = accept(two)
  expect(other.getTicketKeys().equals(old)).toBe(true)
  accept(one, 'another list')
  accept(two, 'another list')
  const [first, second] = made.map((server) => server.getTicketKeys())
  expect(second?.equals(old)).toBe(false)
  expect(second?.equals(first ?? old)).toBe(true)
})
