import { ConnectionNotes } from '../connection-notes.ts'
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import type { Connection } from '../types.ts'

/** RFC 8705 3.1: the hash of the certificate in DER, base64url without padding. */
function x5tS256({ fingerprintSha256 }: CertificateFacts): string {
  return Buffer.from(fingerprintSha256, 'hex').toString('base64url')
}

/** Remembered per connection: every request with a bound token asks. */
const known = new ConnectionNotes<string>()

/** The thumbprint of the connection's certificate, whose key the handshake has proved; undefined without one. */
export function thumbprintOf(connection: Connection): string | undefined {
  if (!connection.certificate) return undefined
  const found = known.get(connection)
  if (found !== undefined) return found
  const thumbprint = x5tS256(connection.certificate)
  known.set(connection, thumbprint)
  return thumbprint
}
