import { ConnectionNotes, connectionOf } from '../connection-notes.ts'
import { GatewayError } from '../errors.ts'
import { FORGIVEN_BY_OPTIONAL_NO_CA } from '../tls-cert-utils/verify-errors.ts'
import type { Connection, Route, Verification, VerifyMode, VirtualServer } from '../types.ts'
import { failed } from './demand.ts'

/** What each of nginx's modes admits: `NONE` stands for a missing certificate, `FAILED` for a bad one. */
const ACCEPTS: Record<VerifyMode, (verification: Verification) => boolean> = {
  off: () => true,
  optional: ({ result }) => result !== 'FAILED',
  on: ({ result }) => result === 'SUCCESS',
  optional_no_ca: (verification) =>
    verification.result !== 'FAILED' || FORGIVEN_BY_OPTIONAL_NO_CA.has(verification.code),
}

/** Whether a server with this mode admits such a client. */
export function accepts(mode: VerifyMode, verification: Verification): boolean {
  return ACCEPTS[mode](verification)
}

const EXPIRED = failed('CERT_HAS_EXPIRED')
const NONE: Verification = Object.freeze({ result: 'NONE' })
const NO_CHAIN: Connection['chain'] = Object.freeze([])

/** For the log. Browsers, Java, Go and GnuTLS keep a certificate back that none of the announced authorities has issued (RFC 8446 4.2.4), as far as they know. */
export const NO_CERTIFICATE =
  'client sent no required certificate: it has none, or sees no way from it to the authorities that it is told (ssl_client_certificate)'

/** Connections without their certificate, for routes that ask for none. The same object each time, since headers are made once per connection. */
const withoutCertificates = new ConnectionNotes<Connection>()

/**
 * Whether a connection may send requests to this server. It must have been judged by the server's own policy, whatever name the client gave in its
 * handshake (RFC 9110 7.4). Where the server demands a certificate, a client without one learns nothing, not even which routes exist.
 * @throws GatewayError GW_MISDIRECTED, GW_CLIENT_CERTIFICATE_REQUIRED or GW_CLIENT_CERTIFICATE_INVALID
 */
export function admit(server: VirtualServer, connection: Connection, now: number): void {
  if (server.policy !== connection.policy) {
    throw new GatewayError(
      'GW_MISDIRECTED',
      `server ${server.name} has another trust policy than the connection, whose server name is ${connection.serverName ?? 'missing'}`,
    )
  }
  if (server.verify === 'on') demand('on', connection, now)
}

/**
 * Checks the client's certificate against the demands of the route, or of the server where the route has none. A route decides for itself only where
 * the server asks every client for a certificate and demands it of none.
 * @throws GatewayError GW_CLIENT_CERTIFICATE_REQUIRED, GW_CLIENT_CERTIFICATE_INVALID or GW_FORBIDDEN
 */
export function verify(
  server: VirtualServer,
  route: Pick<Route, 'certificate'> | undefined,
  connection: Connection,
  now: number,
): Connection {
  const chosen = route?.certificate
  const mode = server.verify === 'on' ? 'on' : (chosen?.verify ?? server.verify)
  demand(mode, connection, now)
  const { certificate } = connection
  if (chosen?.isAllowed && !(certificate && chosen.isAllowed(certificate))) {
    throw new GatewayError('GW_FORBIDDEN', 'no rule of ssl_verify_allow fits the client certificate')
  }
  return mode === 'off' && certificate ? withoutCertificate(connection) : connection
}

/** Connections and sessions outlive certificates, so validity is checked each time. */
function demand(mode: VerifyMode, connection: Connection, now: number): void {
  const verification = now > connection.expiresAt ? EXPIRED : connection.verification
  if (accepts(mode, verification)) return
  if (verification.result === 'FAILED') {
    const { reason, hint } = verification
    const detail = `client certificate verify error: ${reason}${hint ? ` (${hint})` : ''}`
    throw new GatewayError('GW_CLIENT_CERTIFICATE_INVALID', detail)
  }
  throw new GatewayError('GW_CLIENT_CERTIFICATE_REQUIRED', NO_CERTIFICATE)
}

function withoutCertificate(connection: Connection): Connection {
  const known = withoutCertificates.get(connection)
  if (known) return known
  const bare = connectionOf({
    ...connection,
    verification: NONE,
    certificate: undefined,
    chain: NO_CHAIN,
    expiresAt: Number.POSITIVE_INFINITY,
  })
  withoutCertificates.set(connection, bare)
  return bare
}
