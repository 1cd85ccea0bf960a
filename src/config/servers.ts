/** The virtual servers of a listener: which clients each one trusts, with the words of nginx's ssl module. */
import type { z } from 'zod'
import type { Problem } from '../errors.ts'
import { wildcardName } from './addresses.ts'
import { block, field, type Located, list } from './field.ts'
import { crl, pem } from './pem.ts'
import { choice, duration, integer, onOff, text } from './scalars.ts'
import { type Secret, secret } from './secret.ts'
import { SOUND_CIPHERS, tlsProtocol } from './tls.ts'

export const server = block('One virtual server.', {
  server_names: list(wildcardName, {
    default: [],
    env: 'SALLYPORT_SERVER_NAMES',
    about:
      'The names it answers to: exact, *.example.com or www.example.*; exact names win, then the longest wildcard.',
  }),
  default_server: field(onOff, {
    otherwise: 'on for the first server of the listener',
    about: 'Whether it takes the clients whose name no server has, or that name none.',
  }),
  ssl_certificate: field(pem, {
    env: 'SALLYPORT_SSL_CERTIFICATE',
    otherwise: 'the certificate whose snis match',
    about: "The server's certificate, followed by its intermediate certificates.",
  }),
  ssl_certificate_key: field(pem, {
    env: 'SALLYPORT_SSL_CERTIFICATE_KEY',
    secret: true,
    about: 'The private key of ssl_certificate.',
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
  ssl_verify_client: field(choice('off', 'optional', 'on', 'optional_no_ca'), {
    default: 'off',
    env: 'SALLYPORT_SSL_VERIFY_CLIENT',
    about:
      'off: ask for no certificate. optional: verify one if it is sent. on: demand one. ' +
      'optional_no_ca: ask, but let the backend judge a certificate of an unknown authority.',
  }),
  ssl_verify_depth: field(integer(0, 64), {
    default: 1,
    env: 'SALLYPORT_SSL_VERIFY_DEPTH',
    about: "How many intermediate certificates may stand between the client's certificate and the authority.",
  }),
  ssl_crl: field(crl, {
    env: 'SALLYPORT_SSL_CRL',
    about: 'Revocation lists, PEM (several in one file) or DER. Every authority of a chain needs one, as in nginx.',
  }),
  ssl_crl_check: field(choice('chain', 'leaf'), {
    default: 'chain',
    env: 'SALLYPORT_SSL_CRL_CHECK',
    about:
      'Which certificates need a list, with ssl_crl. chain: every one from the client up to the root, as in nginx. ' +
      "leaf: the client's alone.",
  }),
  revocation_check_mode: field(choice('STRICT', 'IGNORE_CA_ERROR', 'SKIP'), {
    default: 'STRICT',
    env: 'SALLYPORT_REVOCATION_CHECK_MODE',
    about:
      'What a list means that is missing or past its next update. STRICT: its clients are refused, as in nginx. ' +
      'IGNORE_CA_ERROR: they are let in unless an old list has them, and the log says so. SKIP: nobody looks at lists.',
  }),
  ssl_protocols: list(tlsProtocol, {
    default: ['TLSv1.2', 'TLSv1.3'],
    env: 'SALLYPORT_SSL_PROTOCOLS',
    about: 'The TLS versions that are spoken.',
  }),
  ssl_ciphers: field(text, {
    default: SOUND_CIPHERS,
    env: 'SALLYPORT_SSL_CIPHERS',
    about: "The cipher suites, in OpenSSL's format.",
  }),
  ssl_session_tickets: field(onOff, {
    default: 'on',
    env: 'SALLYPORT_SSL_SESSION_TICKETS',
    about: 'Whether clients may resume sessions. A session is only good for the trust policy that made it.',
  }),
  ssl_session_timeout: field(duration, {
    default: '5m',
    env: 'SALLYPORT_SSL_SESSION_TIMEOUT',
    about: 'A session can be resumed for so long.',
  }),
})

export type WrittenServer = z.output<typeof server> & Located

/** A virtual server as it is used. */
export interface ServerConfig extends Omit<WrittenServer, 'ssl_password' | 'ssl_password_file' | 'default_server'> {
  readonly default_server: boolean
  /** The passphrases to try for `ssl_certificate_key`, in order. */
  readonly ssl_passwords: readonly Secret[]
}

export function checkServer(given: WrittenServer): Problem[] {
  const { at } = given
  const problems: Problem[] = []
  const mode = given.ssl_verify_client
  if ((mode === 'on' || mode === 'optional') && !given.ssl_client_certificate) {
    problems.push({
      path: `${at}.ssl_verify_client`,
      message:
        'no ssl_client_certificate for ssl_verify_client: set it to the file with the authorities of the clients (SALLYPORT_SSL_CLIENT_CERTIFICATE)',
    })
  }
  if (given.ssl_crl && mode === 'off') {
    problems.push({
      path: `${at}.ssl_crl`,
      message: 'has no effect while ssl_verify_client is off; set it to on or optional, or remove ssl_crl',
    })
  }
  if (given.ssl_protocols.length === 0) {
    problems.push({ path: `${at}.ssl_protocols`, message: 'is empty; expected TLSv1.2, TLSv1.3 or both' })
  }
  return [...problems, ...checkServerKey(given)]
}

function checkServerKey(given: WrittenServer): Problem[] {
  const { at, ssl_certificate: certificate, ssl_certificate_key: key } = given
  if (certificate && !key) {
    return [
      {
        path: `${at}.ssl_certificate`,
        message: 'has no key: set ssl_certificate_key too (SALLYPORT_SSL_CERTIFICATE_KEY)',
      },
    ]
  }
  if (key && !certificate) {
    return [
      {
        path: `${at}.ssl_certificate_key`,
        message: 'has no certificate: set ssl_certificate too (SALLYPORT_SSL_CERTIFICATE)',
      },
    ]
  }
  if (given.ssl_password && given.ssl_password_file !== undefined) {
    return [{ path: `${at}.ssl_password_file`, message: 'stands beside ssl_password; keep one of them' }]
  }
  return []
}
