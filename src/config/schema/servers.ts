/** The virtual servers of a listener: which clients each one trusts, with the words of nginx's ssl module. */
import * as z from 'zod'
import type { Problem } from '../../errors.ts'
import { pem, pems } from '../pem.ts'
import { type Secret, secret } from '../secret.ts'
import { wildcardName } from './addresses.ts'
import { type AuthorizationConfig, authorization } from './authorization.ts'
import { certificateHeaderSettings, checkCertificateHeader } from './certificate-header.ts'
import { checkCrlSizes, crl, listSize, revocationCheckMode } from './crl.ts'
import { block, field, type Located, list } from './field.ts'
import { checkNameRules, nameRule } from './name-rules.ts'
import { checkOcsp, ocspSettings } from './ocsp.ts'
import { choice, duration, integer, matching, onOff, text } from './scalars.ts'
import { checkServerKey } from './server-keys.ts'
import { cipherList, SOUND_CIPHERS, tlsProtocol } from './tls.ts'

const extendedKeyUsage = matching(
  /^(clientAuth|serverAuth|codeSigning|emailProtection|timeStamping|OCSPSigning|\d+(\.\d+)+)$/,
  'clientAuth, serverAuth, codeSigning, emailProtection, timeStamping, OCSPSigning or an object identifier',
)

export const server = block('One virtual server.', {
  server_names: list(wildcardName, {
    default: [],
    env: 'SALLYPORT_SERVER_NAMES',
    about:
      'The names it answers to: exact, *.example.com or www.example.*; exact names win, then the longest wildcard. Needed but for the default server.',
  }),
  default_server: field(onOff, {
    otherwise: 'on for the first server of the listener',
    about: 'Whether it takes the clients whose name no server has, or that name none.',
  }),
  ssl_certificate: field(pems, {
    env: 'SALLYPORT_SSL_CERTIFICATE',
    otherwise: 'the certificate whose snis match',
    about:
      "The server's certificate, followed by its intermediate certificates. A list holds one for each type of key (RSA, ECDSA, Ed25519), of which each client gets the one that it can check.",
  }),
  ssl_certificate_key: field(pems, {
    env: 'SALLYPORT_SSL_CERTIFICATE_KEY',
    secret: true,
    about: 'The private key of ssl_certificate; of several certificates as many, in the same order.',
  }),
  ssl_password: field(secret, {
    env: 'SALLYPORT_SSL_PASSWORD',
    secret: true,
    about: 'The passphrase of ssl_certificate_key.',
  }),
  ssl_password_file: field(text, {
    env: 'SALLYPORT_SSL_PASSWORD_FILE',
    about: 'A file with passphrases for ssl_certificate_key, one a line; each is tried.',
  }),
  ssl_client_certificate: field(pem, {
    env: 'SALLYPORT_SSL_CLIENT_CERTIFICATE',
    about: 'The authorities that may have issued the certificates of clients. Their names are sent to clients.',
  }),
  ssl_trusted_certificate: field(pem, {
    env: 'SALLYPORT_SSL_TRUSTED_CERTIFICATE',
    about: 'Further such authorities, whose names are not sent.',
  }),
  send_ca_dn: field(onOff, {
    otherwise: 'on with ssl_client_certificate',
    env: 'SALLYPORT_SEND_CA_DN',
    about: 'Whether clients are told the names of the authorities, by which browsers choose a certificate.',
  }),
  ssl_verify_client: field(choice('off', 'optional', 'on', 'optional_no_ca'), {
    otherwise: 'off, or on with verify_and_map',
    env: 'SALLYPORT_SSL_VERIFY_CLIENT',
    about:
      'off: ask for no certificate. optional: verify one if it is sent. on: demand one. ' +
      'optional_no_ca: ask, but let the backend judge a certificate of an unknown authority.',
  }),
  ...certificateHeaderSettings,
  ssl_verify_failure: field(choice('respond', 'reject'), {
    default: 'respond',
    env: 'SALLYPORT_SSL_VERIFY_FAILURE',
    about:
      'What becomes of a client that ssl_verify_client does not let in. respond: 400, as in nginx. reject: no HTTP at all; ' +
      'the handshake fails with the alert that says why (docs/operations.md).',
  }),
  ssl_reject_handshake: field(onOff, {
    default: 'off',
    env: 'SALLYPORT_SSL_REJECT_HANDSHAKE',
    about:
      "Whether handshakes for this server's names fail with the alert unrecognized_name; for the default server, those with unknown names or none. Such a server needs no certificate.",
  }),
  ssl_verify_depth: field(integer(0, 64), {
    default: 1,
    env: 'SALLYPORT_SSL_VERIFY_DEPTH',
    about: "How many intermediate certificates may stand between the client's certificate and the authority.",
  }),
  allow_partial_chain: field(onOff, {
    default: 'off',
    env: 'SALLYPORT_ALLOW_PARTIAL_CHAIN',
    about: 'Whether an intermediate authority, or a certificate itself, can be trusted without its root.',
  }),
  pinned_certs: list(matching(/^[A-Fa-f0-9]{64}$/, 'the SHA-256 of a public key: 64 hexadecimal digits'), {
    default: [],
    env: 'SALLYPORT_PINNED_CERTS',
    about:
      "The SHA-256 of the public keys (SubjectPublicKeyInfo) that clients may have, besides all other checks; as in NATS. 'sallyport inspect' shows it.",
  }),
  ssl_verify_extended_key_usage: list(extendedKeyUsage, {
    default: [],
    env: 'SALLYPORT_SSL_VERIFY_EXTENDED_KEY_USAGE',
    about: 'What the extended key usage of a certificate must list, each of them: clientAuth, or object identifiers.',
  }),
  ssl_verify_policies: list(matching(/^\d+(\.\d+)+$/, 'an object identifier such as 2.23.140.1.2.1'), {
    default: [],
    env: 'SALLYPORT_SSL_VERIFY_POLICIES',
    about: 'Certificate policies; a certificate must have been issued under one of them.',
  }),
  ssl_verify_allow: z
    .array(nameRule)
    .optional()
    .describe('What a certificate may be called: one of these rules must fit. Without it, anything.'),
  ssl_crl: field(crl, {
    env: 'SALLYPORT_SSL_CRL',
    about:
      'Revocation lists, PEM (several in one file) or DER, in one file, several or a folder. Every authority of a chain ' +
      'needs one, as in nginx.',
  }),
  ssl_crl_max_size: field(listSize, {
    default: '512m',
    env: 'SALLYPORT_SSL_CRL_MAX_SIZE',
    about: 'How large a file of ssl_crl may be, in bytes. The default is enough for more than ten million entries.',
  }),
  ssl_crl_check: field(choice('chain', 'leaf'), {
    default: 'chain',
    env: 'SALLYPORT_SSL_CRL_CHECK',
    about:
      'Which certificates need a list, with ssl_crl. chain: every one from the client up to the root, as in nginx. ' +
      "leaf: the client's alone.",
  }),
  ssl_crl_fetch: field(onOff, {
    default: 'off',
    env: 'SALLYPORT_SSL_CRL_FETCH',
    about:
      'Whether lists that ssl_crl does not have are fetched from where the certificates say (see crl_fetch). Roots need none then.',
  }),
  revocation_check_mode: field(revocationCheckMode, {
    default: 'STRICT',
    env: 'SALLYPORT_REVOCATION_CHECK_MODE',
    about:
      'What a list means that is missing or past its next update. STRICT: its clients are refused, as in nginx. ' +
      'IGNORE_CA_ERROR: they are let in unless an old list has them, and the log says so. SKIP: nobody looks at lists.',
  }),
  ...ocspSettings,
  ssl_protocols: list(tlsProtocol, {
    default: ['TLSv1.2', 'TLSv1.3'],
    env: 'SALLYPORT_SSL_PROTOCOLS',
    about: 'The TLS versions that are spoken.',
  }),
  ssl_ciphers: field(cipherList, {
    default: SOUND_CIPHERS,
    env: 'SALLYPORT_SSL_CIPHERS',
    about:
      "The cipher suites, in OpenSSL's format. The first of them that a client has too is agreed upon; ChaCha20 where the client asks for that first. As in nginx, a list that names none of TLS 1.3 (TLS_…) leaves that version OpenSSL's own; ssl_protocols turns it off. A list that names no others turns TLS 1.2 off.",
  }),
  ssl_session_tickets: field(onOff, {
    default: 'on',
    env: 'SALLYPORT_SSL_SESSION_TICKETS',
    about: 'Whether clients may resume sessions. A session is only good for the trust policy that made it.',
  }),
  ssl_session_timeout: field(duration, {
    default: '5m',
    env: 'SALLYPORT_SSL_SESSION_TIMEOUT',
    about:
      'A session can be resumed for so long, counted from its full handshake, and no longer once what is trusted changes.',
  }),
  verify_and_map: field(onOff, {
    default: 'off',
    env: 'SALLYPORT_VERIFY_AND_MAP',
    about:
      'Whether each request needs a certificate that belongs to a user, unless its route says otherwise. It turns ssl_verify_client on where that is not written.',
  }),
  mapping: field(choice('strict', 'nats'), {
    otherwise: 'strict; nats with the tls block of NATS',
    env: 'SALLYPORT_MAPPING',
    about: 'How authorization.users are compared: strict, by typed rules; nats, as nats-server does.',
  }),
  certmap: list(text, {
    default: ['local'],
    about:
      "Who knows the user of a certificate, in order: local for authorization.users and consumers, any other name for a plugin (docs/plugins.md), as Docker's certmap.",
  }),
  authorization: authorization.prefault({}),
})

export type WrittenServer = z.output<typeof server> & Located

/** A virtual server as it is used. */
export interface ServerConfig
  extends Omit<
    WrittenServer,
    'ssl_password' | 'ssl_password_file' | 'default_server' | 'ssl_verify_client' | 'authorization'
  > {
  /** Already `on` where verify_and_map implies it. */
  readonly ssl_verify_client: VerifyClient
  readonly authorization: AuthorizationConfig
  readonly default_server: boolean
  /** The passphrases to try for `ssl_certificate_key`, in order. */
  readonly ssl_passwords: readonly Secret[]
}

export type VerifyClient = NonNullable<WrittenServer['ssl_verify_client']>

/** NATS: verify_and_map implies verify. */
export function verifyClientOf({ ssl_verify_client: mode, verify_and_map: maps }: WrittenServer): VerifyClient {
  return mode ?? (maps ? 'on' : 'off')
}

export function checkServer(given: WrittenServer): Problem[] {
  const problems = [...checkTrust(given), ...checkNameRules(given.ssl_verify_allow, `${given.at}.ssl_verify_allow`)]
  if (given.ssl_protocols.length === 0) {
    problems.push({ path: `${given.at}.ssl_protocols`, message: 'is empty; expected TLSv1.2, TLSv1.3 or both' })
  }
  return [...problems, ...checkCertificateHeader(given, verifyClientOf(given)), ...checkServerKey(given)]
}

/** What has no effect where no certificate is asked for. */
const FOR_CERTIFICATES = [
  'ssl_trusted_certificate',
  'send_ca_dn',
  'ssl_crl',
  'pinned_certs',
  'ssl_verify_extended_key_usage',
  'ssl_verify_policies',
  'ssl_verify_allow',
] as const

function checkTrust(given: WrittenServer): Problem[] {
  const { at, ssl_client_certificate: announced, ssl_trusted_certificate: trusted } = given
  const problems: Problem[] = []
  const mode = verifyClientOf(given)
  if (given.verify_and_map && (mode === 'off' || mode === 'optional_no_ca')) {
    problems.push({
      path: `${at}.verify_and_map`,
      message: `has no use while ssl_verify_client is ${mode}, which verifies nothing; set it to on or optional, or remove it`,
    })
  }
  if ((mode === 'on' || mode === 'optional') && !announced && !trusted) {
    problems.push({
      path: `${at}.ssl_verify_client`,
      message:
        'no ssl_client_certificate or ssl_trusted_certificate for ssl_verify_client: set one to the file with the authorities of the clients (SALLYPORT_SSL_CLIENT_CERTIFICATE)',
    })
  }
  const written = FOR_CERTIFICATES.filter((name) => {
    const value = given[name]
    return value !== undefined && !(Array.isArray(value) && value.length === 0)
  })
  problems.push(...checkOcsp(given, mode), ...checkCrlSizes(given.ssl_crl, given.ssl_crl_max_size, 'ssl_crl_max_size'))
  for (const name of mode === 'off' ? written : []) {
    problems.push({
      path: `${at}.${name}`,
      message: `has no effect while ssl_verify_client is off; set it to on or optional, or remove ${name}`,
    })
  }
  return [...problems, ...checkAnnouncement(given)]
}

function checkAnnouncement(given: WrittenServer): Problem[] {
  const { at, ssl_client_certificate: announced, send_ca_dn: sends } = given
  if (sends === true && !announced) {
    return [
      {
        path: `${at}.send_ca_dn`,
        message: 'is on, but there are no names to send; set ssl_client_certificate, or remove send_ca_dn',
      },
    ]
  }
  return []
}
