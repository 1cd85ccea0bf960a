/** The facts that can be sent to a backend. */

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
  chain_rfc9440: 'its issuers up to the root, without that, as RFC 9440 writes them in Client-Cert-Chain',
  cert_base64: 'the certificate as base64 of its DER',
  x5t_s256: 'the SHA-256 of the certificate in base64url, as x5t#S256 of RFC 8705',
  serial_decimal: 'the serial number, decimal',
  subject_cn: 'the first common name of the subject',
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

/** Facts that may hold any character, as chosen by whoever requested the certificate or named a user. */
export const FREE_TEXT: ReadonlySet<IdentityField> = new Set([
  ...(['subject_dn', 'issuer_dn', 'subject_dn_legacy', 'issuer_dn_legacy', 'subject_cn'] as const),
  ...(['san_dns', 'san_email', 'san_uri', 'san_ip', 'server_name'] as const),
  ...(['user', 'user_id', 'custom_id', 'groups', 'credential'] as const),
])
