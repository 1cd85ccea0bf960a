import type { TLSSocket } from 'node:tls'
import { readWhole } from './der.ts'

/** OpenSSL's SSL_SESSION (ssl/ssl_asn1.c): `peer [3] EXPLICIT X509`. */
const PEER = 0xa3

/**
 * The certificate of the other side, in DER, from a session as i2d_SSL_SESSION(3) writes it. Undefined where there was none.
 * @throws {DerError} where it has another form
 */
export function certificateInSession(session: Buffer): Buffer | undefined {
  const peer = readWhole(session).child(PEER)
  return peer && Buffer.from(peer.content)
}

/**
 * The client's certificate, in DER, on a server's socket whose handshake is finished. Undefined where there is none, or it could not be found. It takes a
 * fifth of what `getPeerX509Certificate` does where the client sent issuers along, and more where it sent none. What OpenSSL has left in its queue of
 * errors stays there.
 */
export function clientCertificate(socket: TLSSocket): Buffer | undefined {
  const session = socket.getSession()
  if (!session) return undefined
  try {
    return certificateInSession(session)
  } catch {
    return undefined
  } finally {
    // It also holds what the connection is encrypted with.
    session.fill(0)
  }
}
