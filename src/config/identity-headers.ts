/** Which headers tell the backend who is calling. */
import type { Problem } from '../errors.ts'
import { map } from './field.ts'
import { choice } from './scalars.ts'

/** What an identity header can hold; the comment gives nginx's variable where there is one. */
export const IDENTITY_FIELDS = {
  verify: 'NONE, SUCCESS or FAILED:reason ($ssl_client_verify)',
  subject_dn: "the subject's distinguished name, RFC 2253 ($ssl_client_s_dn)",
  issuer_dn: "the issuer's distinguished name, RFC 2253 ($ssl_client_i_dn)",
  subject_dn_legacy: 'the subject as /C=DE/CN=ada ($ssl_client_s_dn_legacy)',
  issuer_dn_legacy: 'the issuer as /C=DE/CN=ca ($ssl_client_i_dn_legacy)',
  serial: 'the serial number, upper-case hex ($ssl_client_serial)',
  fingerprint: 'the SHA-1 fingerprint, lower-case hex ($ssl_client_fingerprint)',
  fingerprint_sha256: 'the SHA-256 fingerprint, lower-case hex',
  not_before: 'the start of validity ($ssl_client_v_start)',
  not_after: 'the end of validity ($ssl_client_v_end)',
  escaped_cert: 'the certificate as PEM, percent-encoded ($ssl_client_escaped_cert)',
  rfc9440_cert: 'the certificate as RFC 9440 writes it in Client-Cert',
  san_dns: 'the DNS names of the subjectAltName',
  san_email: 'the mail addresses of the subjectAltName',
  san_uri: 'the URIs of the subjectAltName, SPIFFE ids among them',
  san_ip: 'the IP addresses of the subjectAltName',
  spki_sha256: 'the SHA-256 of the public key (SubjectPublicKeyInfo), lower-case hex',
  session_reused: 'r where the TLS session was resumed, else . ($ssl_session_reused)',
  protocol: 'the TLS version ($ssl_protocol)',
  cipher: 'the cipher suite ($ssl_cipher)',
  server_name: 'the server name that the client asked for ($ssl_server_name)',
  user: 'the name of the user, where the route asks who is calling',
  user_id: "the user's id",
  custom_id: "the user's custom_id, as in Kong",
  groups: "the user's groups, joined with commas",
  credential: 'the name of the credential that was used',
  anonymous: 'true for a caller whom a route with anonymous let pass without a user',
} as const

export type IdentityField = keyof typeof IDENTITY_FIELDS

const names = Object.keys(IDENTITY_FIELDS) as IdentityField[]

/** Header name, as written, to what it holds. */
export type IdentityHeaders = Readonly<Record<string, IdentityField>>

export const identityHeaders = map(choice(...names), {
  default: { VERIFIED: 'verify', DN: 'subject_dn' },
  about:
    'The headers that tell the backend who is calling, by name. Writing this setting replaces the default as a whole. ' +
    'Whatever a client sends under one of these names, in any spelling, is removed.',
})

/** Framing, routing and forwarding belong to HTTP and to the gateway: an identity header of such a name would break or forge them. */
const RESERVED =
  /^(host|connection|content-.*|transfer-encoding|te|trailer|upgrade|keep-alive|proxy-.*|expect|via|forwarded|x-forwarded-.*|x-real-ip|x-request-id|date|cookie|set-cookie|range|if-.*|accept.*|authorization|origin)$/

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** Backends behind CGI cannot tell `X-User`, `X_User` and `X.User` apart. */
function folded(name: string): string {
  return name.toLowerCase().replaceAll(/[_.]/g, '-')
}

export function checkIdentityHeaders(headers: IdentityHeaders, at: string): Problem[] {
  const seen = new Map<string, string>()
  return Object.keys(headers).flatMap((name) => {
    const path = `${at}.${name}`
    const other = seen.get(folded(name))
    seen.set(folded(name), name)
    if (!TOKEN.test(name))
      return [{ path, message: 'is no header name; expected letters, digits and hyphens (RFC 9110 5.6.2)' }]
    if (RESERVED.test(folded(name)))
      return [{ path, message: 'belongs to HTTP or to the gateway; choose another name, such as X-Client-DN' }]
    if (other !== undefined)
      return [{ path, message: `is the same header as "${other}" for many backends; choose another name` }]
    return []
  })
}
