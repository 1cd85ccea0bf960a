import { type ErrorCode, GatewayError } from '../errors.ts'
import { NO_ANSWER } from './http1/answer-parser.ts'

/** For how many milliseconds others are asked in place of what cannot be reached, a target or one of its addresses: nginx's default for `fail_timeout`. */
export const FAIL_TIMEOUT = 10_000

const TIMEOUTS = new Set(['ETIMEDOUT'])
const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EADDRNOTAVAIL',
  // For a Unix socket that does not exist yet, or that we may not use.
  'ENOENT',
  'EACCES',
  'ENOTSOCK',
])
/** No file descriptor is left, for the process or the system. That is not the target's fault, and another one would fare the same. */
const EXHAUSTED = new Set(['EMFILE', 'ENFILE'])
const RESETS = new Set(['ECONNRESET', 'EPIPE'])

/**
 * The alerts by which an upstream says that it does not want our certificate. Under TLS 1.3 they arrive with the first
 * read, after a handshake that looked complete (RFC 8446 4.4.2.4).
 */
const CERTIFICATE_ALERT =
  /alert (bad certificate|unsupported certificate|certificate (revoked|expired|unknown|required)|unknown ca|access denied)|ALERT_(BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_(REVOKED|EXPIRED|UNKNOWN|REQUIRED)|UNKNOWN_CA|ACCESS_DENIED)/i

/** How many addresses of one name are shown in a line of the log. */
const MOST_ADDRESSES = 8

interface SystemError extends Error {
  readonly code?: string
  readonly reason?: string
}

/**
 * A failure of an upstream as a refusal with a stable code.
 * @param where names the target in the log
 * @param isPlain whether it was spoken to without TLS
 */
export function upstreamFailure(error: Error, where: string, isPlain = false): GatewayError {
  if (error instanceof GatewayError) {
    // The client's connection has ended, or a limit of ours was reached: no target is to blame.
    if (error.entry.fault !== 'upstream') return error
    const remedy = isPlain && error.detail === NO_ANSWER ? '; does it speak TLS, https:// in its url?' : ''
    return new GatewayError(error.code, `${where}: ${error.detail}${remedy}`, { cause: error })
  }
  return new GatewayError(codeFor(error), `${where}: ${reasonOf(error)}`, { cause: error })
}

function codeFor(error: SystemError): ErrorCode {
  const code = error.code ?? ''
  if (CERTIFICATE_ALERT.test(code) || CERTIFICATE_ALERT.test(error.message)) return 'GW_UPSTREAM_REFUSED_CERTIFICATE'
  if (TIMEOUTS.has(code)) return 'GW_UPSTREAM_TIMEOUT'
  if (UNREACHABLE.has(code)) return 'GW_UPSTREAM_CONNECT'
  if (EXHAUSTED.has(code)) return 'GW_OVERLOADED'
  if (RESETS.has(code)) return 'GW_UPSTREAM_RESET'
  if (isTlsFailure(code)) return 'GW_UPSTREAM_TLS'
  return 'GW_UPSTREAM_RESPONSE'
}

/** Node's names for a failed verification are OpenSSL's (`CERT_HAS_EXPIRED`, `SELF_SIGNED_CERT_IN_CHAIN` …), besides its own for the name. */
function isTlsFailure(code: string): boolean {
  return /^(ERR_TLS_|ERR_SSL_|CERT_|CRL_|KEYUSAGE_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|INVALID_(CA|PURPOSE)|PATH_LENGTH|HOSTNAME_MISMATCH|EPROTO)/.test(
    code,
  )
}

/** What happened, in the words of the log. */
export function reasonOf(error: SystemError): string {
  // The error of each address of a name: Node's own text for all of them is empty.
  if (error instanceof AggregateError) return error.errors.slice(0, MOST_ADDRESSES).map(reasonOf).join('; ')
  // OpenSSL's message wraps the reason in a thread, a file and a line of its source; the cause keeps these.
  const said = error.code?.startsWith('ERR_SSL_') ? (error.reason ?? error.message) : error.message
  const [reason = ''] = said.split(NODES_ADVICE)
  const whole = error.code && !reason.includes(error.code) ? `${reason} (${error.code})` : reason
  const remedy = remedyFor(error.code ?? '')
  return remedy === undefined ? whole : `${whole}; ${remedy}`
}

/** It is about a flag of Node's, which would trust whatever the system does; what we trust is a setting. */
const NODES_ADVICE = '; if the root CA is installed locally'

/** The setting to change, where the code alone says little. */
function remedyFor(code: string): string | undefined {
  if (/^(UNABLE_TO_(GET_ISSUER|VERIFY_LEAF)|SELF_SIGNED|DEPTH_ZERO_SELF)/.test(code))
    return 'does proxy_ssl_trusted_certificate, or ca_certificates of the service, hold its authority?'
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return 'proxy_ssl_name is the name that it must hold, where another is meant'
  if (code.endsWith('_ALERT_CERTIFICATE_REQUIRED'))
    return 'no certificate was shown: set proxy_ssl_certificate, or client_certificate of the service'
  // So says of a missing certificate OpenSSL over TLS 1.2 (Apache, Python), and Go in any version (Caddy, Traefik).
  if (/_ALERT_(HANDSHAKE_FAILURE|BAD_CERTIFICATE)$/.test(code))
    return 'if it demands a certificate: is one that it trusts set as proxy_ssl_certificate, or client_certificate of the service?'
  if (/^ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|RECORD_LAYER_FAILURE)$/.test(code))
    return 'does it speak plain HTTP, http:// in its url?'
  return undefined
}
