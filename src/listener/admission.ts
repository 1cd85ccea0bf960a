import { GatewayError } from '../errors.ts'
import { FORGIVEN_BY_OPTIONAL_NO_CA } from '../tls-cert-utils/verify-errors.ts'
import type { Connection, Verification, VerifyMode, VirtualServer } from '../types.ts'

/** What each of nginx's modes lets in: a missing certificate is a matter of `NONE`, a bad one of `FAILED`. */
const ACCEPTS: Record<VerifyMode, (verification: Verification) => boolean> = {
  off: () => true,
  optional: ({ result }) => result !== 'FAILED',
  on: ({ result }) => result === 'SUCCESS',
  optional_no_ca: (verification) =>
    verification.result !== 'FAILED' || FORGIVEN_BY_OPTIONAL_NO_CA.has(verification.code),
}

/** Whether a server with this mode lets such a client in. */
export function accepts(mode: VerifyMode, verification: Verification): boolean {
  return ACCEPTS[mode](verification)
}

const EXPIRED: Verification = { result: 'FAILED', code: 'CERT_HAS_EXPIRED', reason: 'certificate has expired' }

/**
 * Whether a connection may ask this server for anything. It must have been judged by the server's own policy, whatever
 * name the client gave in its handshake (RFC 9110 7.4), and its certificate must still be valid: connections and
 * sessions outlive certificates.
 *
 * @throws GatewayError GW_MISDIRECTED, GW_CLIENT_CERTIFICATE_REQUIRED or GW_CLIENT_CERTIFICATE_INVALID
 */
export function admit(server: VirtualServer, connection: Connection, now = Date.now()): void {
  if (server.policy !== connection.policy) {
    throw new GatewayError(
      'GW_MISDIRECTED',
      `server ${server.name} has another trust policy than the connection, whose server name is ${connection.serverName ?? 'missing'}`,
    )
  }
  const verification = now > connection.expiresAt ? EXPIRED : connection.verification
  if (accepts(server.verify, verification)) return
  if (verification.result === 'FAILED') {
    const { reason, hint } = verification
    const detail = `client certificate verify error: ${reason}${hint ? ` (${hint})` : ''}`
    throw new GatewayError('GW_CLIENT_CERTIFICATE_INVALID', detail)
  }
  throw new GatewayError('GW_CLIENT_CERTIFICATE_REQUIRED', 'client sent no required certificate')
}
