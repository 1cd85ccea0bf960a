/** The facts about a connection that a backend can be sent: nginx's `$ssl_*` variables and a few more. */
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import type { Connection, Identity, Verification } from '../types.ts'

const CERTIFICATE_FIELDS = {
  /** RFC 2253, as `$ssl_client_s_dn`. */
  subject_dn: (certificate) => certificate.subject,
  issuer_dn: (certificate) => certificate.issuer,
  /** `/C=DE/CN=ada`, as `$ssl_client_s_dn_legacy`. Ambiguous in older OpenSSL: nothing should be decided on it. */
  subject_dn_legacy: (certificate) => certificate.subjectOneline,
  issuer_dn_legacy: (certificate) => certificate.issuerOneline,
  /** Upper-case hexadecimal, as `$ssl_client_serial`. */
  serial: (certificate) => certificate.serial,
  /** SHA-1 in lower-case hexadecimal, as `$ssl_client_fingerprint`. */
  fingerprint: (certificate) => certificate.fingerprintSha1,
  fingerprint_sha256: (certificate) => certificate.fingerprintSha256,
  /** `Feb  3 00:55:52 2015 GMT`, as `$ssl_client_v_start` and `$ssl_client_v_end`. */
  not_before: (certificate) => certificate.notBeforeText,
  not_after: (certificate) => certificate.notAfterText,
  /** PEM, percent-encoded, as `$ssl_client_escaped_cert`. */
  escaped_cert: (certificate) => certificate.escapedPem,
  /** `:base64 DER:`, the value of RFC 9440's Client-Cert. */
  rfc9440_cert: (certificate) => certificate.rfc9440,
  /** The DER in base64, as HAProxy's `ssl_c_der,base64` and Caddy's `certificate_der_base64`. */
  cert_base64: (certificate) => certificate.rfc9440.slice(1, -1),
  /** `x5t#S256` of RFC 8705: base64url of the DER's SHA-256. */
  x5t_s256: (certificate) => Buffer.from(certificate.fingerprintSha256, 'hex').toString('base64url'),
  serial_decimal: (certificate) => decimal(certificate.serial),
  subject_cn: (certificate) => commonName(certificate),
  san_dns: (certificate) => alternativeNames(certificate, 'dns'),
  san_email: (certificate) => alternativeNames(certificate, 'email'),
  san_uri: (certificate) => alternativeNames(certificate, 'uri'),
  san_ip: (certificate) => alternativeNames(certificate, 'ip'),
  spki_sha256: (certificate) => certificate.publicKeySha256,
} as const satisfies Record<string, (certificate: CertificateFacts) => string | undefined>

const CONNECTION_FIELDS = {
  /** `NONE`, `SUCCESS` or `FAILED:reason`, as `$ssl_client_verify`. */
  verify: (connection) => verificationText(connection.verification),
  /** `r` for a resumed session, `.` for a full handshake, as `$ssl_session_reused`. */
  session_reused: (connection) => (connection.resumed ? 'r' : '.'),
  protocol: (connection) => connection.protocol,
  cipher: (connection) => connection.cipher,
  server_name: (connection) => connection.serverName,
  /** RFC 9440's Client-Cert-Chain: the issuers by which the certificate was verified, without the root. */
  chain_rfc9440: ({ chain }) => (chain.length > 0 ? chain.map(({ rfc9440 }) => rfc9440).join(', ') : undefined),
} as const satisfies Record<string, (connection: Connection) => string | undefined>

const USER_FIELDS = {
  /** The user's name, where the route asked who is calling. */
  user: ({ user }) => user && wholeName(user.name),
  user_id: ({ user }) => user && wholeName(user.id),
  custom_id: ({ user }) => user?.customId,
  /** Joined with `,`, as Kong's X-Consumer-Groups. */
  groups: ({ user }) => user?.groups.map((group) => wholeName(group).replaceAll(',', '%2C')).join(','),
  credential: ({ credential }) => credential,
  /** `true` for a caller whom an anonymous route let pass without a user, as Kong's X-Anonymous-Consumer. */
  anonymous: ({ user, methods }) => (user === undefined && methods.includes('anonymous') ? 'true' : undefined),
} as const satisfies Record<string, (identity: Identity) => string | undefined>

export type IdentityField = keyof typeof CERTIFICATE_FIELDS | keyof typeof CONNECTION_FIELDS | keyof typeof USER_FIELDS

/** Every field's name: a test compares them with those that the configuration takes. */
export const IDENTITY_FIELDS = [
  ...Object.keys(CONNECTION_FIELDS),
  ...Object.keys(CERTIFICATE_FIELDS),
  ...Object.keys(USER_FIELDS),
] as readonly IdentityField[]

/** The field's value, always safe in a header; undefined where the connection has none, as without a certificate. */
export function identityValue(
  field: IdentityField,
  connection: Connection,
  identity?: Identity | undefined,
): string | undefined {
  const value = rawValue(field, connection, identity)
  return value === undefined ? undefined : printable(value)
}

function rawValue(field: IdentityField, connection: Connection, identity: Identity | undefined): string | undefined {
  if (isConnectionField(field)) return CONNECTION_FIELDS[field](connection)
  if (isUserField(field)) return identity && USER_FIELDS[field](identity)
  return connection.certificate && CERTIFICATE_FIELDS[field](connection.certificate)
}

function isConnectionField(field: IdentityField): field is keyof typeof CONNECTION_FIELDS {
  return Object.hasOwn(CONNECTION_FIELDS, field)
}

function isUserField(field: IdentityField): field is keyof typeof USER_FIELDS {
  return Object.hasOwn(USER_FIELDS, field)
}

/** nginx's `$ssl_client_verify`. */
export function verificationText(verification: Verification): string {
  return verification.result === 'FAILED' ? `FAILED:${verification.reason}` : verification.result
}

/**
 * All names of one type, joined with `, `. In each name, `%`, `,` and every byte of its UTF-8 that is not visible ASCII are percent-encoded. So
 * splitting at `, ` and decoding returns exactly the names, and no name can look like two (`spiffe://td/x, DNS:admin`, CVE-2021-44532).
 */
function alternativeNames(certificate: CertificateFacts, type: string): string {
  return certificate.alternativeNames
    .filter((name) => name.type === type)
    .map((name) => percentEncode(name.value, /[^\x21-\x24\x26-\x2b\x2d-\x7e]/gu))
    .join(', ')
}

/** The first common name. */
function commonName({ subjectAttributes }: CertificateFacts): string | undefined {
  const found = subjectAttributes.flat().find(({ shortName }) => shortName === 'CN')
  return found && wholeName(found.value)
}

/**
 * A name that nobody can take for another one. Percent-encoded are `%`, whatever is not ASCII, and a blank at either end, which every reader of
 * headers removes: certificates, plugins and other issuers choose names.
 */
function wholeName(name: string): string {
  return percentEncode(name, /^ | $|[^\x20-\x24\x26-\x7e]/gu)
}

/** From nginx's spelling of a serial number. */
export function decimal(serial: string): string {
  const digits = /^(-?)([0-9A-F]+)$/.exec(serial)
  return digits ? `${digits[1]}${BigInt(`0x${digits[2]}`)}` : ''
}

/**
 * A last defence: node:http throws on a control character or one above U+00FF, so a certificate could otherwise fail every request that carries it.
 * Names are ASCII already (nginx's `\C3\A9`); anything else, such as an odd server name, is percent-encoded.
 */
export function printable(value: string): string {
  return percentEncode(value, /[^\x20-\x7e]/gu)
}

function percentEncode(value: string, unsafe: RegExp): string {
  return value.replace(unsafe, (character) =>
    Buffer.from(character, 'utf8').toString('hex').toUpperCase().replace(/../g, '%$&'),
  )
}
