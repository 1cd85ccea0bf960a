import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type TLSSocket } from 'node:tls'
import type { Authority, Issued } from '../../../src/tls-cert-utils/development-pki.ts'

/** One finished handshake with a client certificate, seen from the server. */
export interface Handshake {
  readonly socket: TLSSocket
  close(): void
}

/** A TLS handshake in which the server asks for a certificate and trusts `authority`. The caller closes it. */
export async function handshake(
  authority: Authority,
  client: Pick<Issued, 'chainPem' | 'keyPem'>,
  trusted = authority.pem,
): Promise<Handshake> {
  const identity = await authority.issue({ subject: 'server', dnsNames: ['localhost'] })
  const server = createServer({
    cert: identity.pem,
    key: identity.keyPem,
    ca: trusted,
    requestCert: true,
    rejectUnauthorized: false,
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const accepted = once(server, 'secureConnection')
  const outgoing = connect({
    port,
    host: '127.0.0.1',
    cert: client.chainPem,
    key: client.keyPem,
    rejectUnauthorized: false,
  })
  outgoing.on('error', () => {})
  const [socket] = (await accepted) as [TLSSocket]
  socket.on('error', () => {})
  return {
    socket,
    close() {
      outgoing.destroy()
      socket.destroy()
      server.close()
    },
  }
}
