/** The fatal TLS alert for a client whose certificate is refused: node:tls lets the handshake finish, and has no way to send an alert. */
import { createCipheriv, createHmac } from 'node:crypto'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Verification } from '../types.ts'

/** RFC 8446 6, and RFC 5246 7.2.2 for TLS 1.2. */
const FATAL = 2
const HANDSHAKE_FAILURE = 40
const UNSUPPORTED_CERTIFICATE = 43
const CERTIFICATE_REVOKED = 44
const CERTIFICATE_EXPIRED = 45
const CERTIFICATE_UNKNOWN = 46
const UNKNOWN_CA = 48
const ACCESS_DENIED = 49
const DECRYPT_ERROR = 51
const BAD_CERTIFICATE = 42
const CERTIFICATE_REQUIRED = 116

/** As OpenSSL maps its errors (ssl/statem/statem_lib.c, ssl_x509err2alert). For errors that only we find, RFC 8446 6.2 chooses the alert. */
const BY_CODE: ReadonlyMap<string, number> = new Map([
  ...each(UNKNOWN_CA, [
    ...['UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    ...['DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'INVALID_CA', 'PATH_LENGTH_EXCEEDED'],
    ...['CERT_CHAIN_TOO_LONG', 'UNABLE_TO_GET_CRL'],
  ]),
  ...each(BAD_CERTIFICATE, [
    ...['CERT_NOT_YET_VALID', 'CRL_NOT_YET_VALID', 'CERT_UNTRUSTED', 'CERT_REJECTED'],
    ...['ERROR_IN_CERT_NOT_BEFORE_FIELD', 'ERROR_IN_CERT_NOT_AFTER_FIELD'],
  ]),
  ...each(CERTIFICATE_EXPIRED, ['CERT_HAS_EXPIRED', 'CRL_HAS_EXPIRED']),
  ...each(DECRYPT_ERROR, ['CERT_SIGNATURE_FAILURE', 'CRL_SIGNATURE_FAILURE']),
  ...each(UNSUPPORTED_CERTIFICATE, ['INVALID_PURPOSE', 'EXTENDED_KEY_USAGE_MISSING']),
  ...each(ACCESS_DENIED, ['CERT_NOT_PINNED', 'CERT_NAME_NOT_ALLOWED']),
  ['CERT_REVOKED', CERTIFICATE_REVOKED],
])

function each(alert: number, codes: readonly string[]): [string, number][] {
  return codes.map((code) => [code, alert])
}

/**
 * Fails a handshake that OpenSSL has just finished. No alert is possible where something has been sent since the client's last message, as OpenSSL's last
 * flight of TLS 1.2 after a wait, and in the cases that `alertRecord` cannot handle.
 */
export function rejectHandshake(
  socket: TLSSocket,
  refused: Verification,
  {
    transport,
    trafficSecret,
    isUnanswered,
  }: { transport: Socket; trafficSecret: Buffer | undefined; isUnanswered: boolean },
): void {
  const [protocol, cipher, resumed] = [socket.getProtocol(), socket.getCipher().name, socket.isSessionReused()]
  const alert = isUnanswered && alertRecord(refused, { protocol, cipher, resumed, trafficSecret })
  if (!alert) {
    socket.destroy()
    return
  }
  // Everything that OpenSSL still has to send, its close_notify included, would use the same key and record number as the alert, which must never
  // happen twice (RFC 8446 5.3). After the end of the stream none of it is sent.
  transport.end(alert)
  readOut(socket)
}

/** How long a client may take to read the alert and leave, in milliseconds. */
const LINGER = 2000

/** Closing with unread data resets the connection, and the reset would overtake the alert. */
function readOut(socket: TLSSocket): void {
  const timer = setTimeout(() => socket.destroy(), LINGER)
  socket
    .on('error', () => socket.destroy())
    .once('end', () => socket.destroy())
    .once('close', () => clearTimeout(timer))
    .resume()
}

/** A finished handshake that has not been answered yet. */
export interface Unanswered {
  readonly protocol: string | null
  /** OpenSSL's name. */
  readonly cipher: string
  readonly resumed: boolean
  /** TLS 1.3's SERVER_TRAFFIC_SECRET_0, as node:tls tells it with the event `keylog`. */
  readonly trafficSecret: Buffer | undefined
}

/**
 * The record to send in place of everything that would follow; undefined where only the TLS stack could make it. It must be the first record after
 * the client's last message. In TLS 1.2 nothing is encrypted at that point, except in a resumed session, where the server finishes first.
 */
export function alertRecord(refused: Verification, handshake: Unanswered): Buffer | undefined {
  const { protocol, resumed, trafficSecret, cipher } = handshake
  const alert = Buffer.from([FATAL, alertOf(refused, protocol)])
  if (protocol === 'TLSv1.2') return resumed ? undefined : Buffer.concat([Buffer.from([21, 3, 3, 0, 2]), alert])
  const suite = SUITES.get(cipher)
  return trafficSecret && suite && encrypted(alert, trafficSecret, suite)
}

function alertOf(refused: Verification, protocol: string | null): number {
  if (refused.result === 'FAILED') return BY_CODE.get(refused.code) ?? CERTIFICATE_UNKNOWN
  return protocol === 'TLSv1.2' ? HANDSHAKE_FAILURE : CERTIFICATE_REQUIRED
}

interface Suite {
  readonly algorithm: 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305'
  readonly hash: 'sha256' | 'sha384'
  readonly keyLength: number
}

/** RFC 8446 B.4: the suites that OpenSSL offers by default. */
const SUITES: ReadonlyMap<string, Suite> = new Map([
  ['TLS_AES_128_GCM_SHA256', { algorithm: 'aes-128-gcm', hash: 'sha256', keyLength: 16 }],
  ['TLS_AES_256_GCM_SHA384', { algorithm: 'aes-256-gcm', hash: 'sha384', keyLength: 32 }],
  ['TLS_CHACHA20_POLY1305_SHA256', { algorithm: 'chacha20-poly1305', hash: 'sha256', keyLength: 32 }],
])

const TAG_LENGTH = 16

/** TLS 1.3's first record with these keys (RFC 8446 5.2): its number is 0, so the nonce is the IV itself. */
function encrypted(alert: Buffer, secret: Buffer, { algorithm, hash, keyLength }: Suite): Buffer {
  const plaintext = Buffer.concat([alert, Buffer.from([21])])
  const header = Buffer.from([23, 3, 3, 0, plaintext.length + TAG_LENGTH])
  const key = expand(secret, hash, 'key', keyLength)
  const iv = expand(secret, hash, 'iv', 12)
  // Node's types know each algorithm's method only by the literal name.
  const cipher = createCipheriv(algorithm as 'chacha20-poly1305', key, iv, { authTagLength: TAG_LENGTH })
  cipher.setAAD(header, { plaintextLength: plaintext.length })
  return Buffer.concat([header, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
}

/** HKDF-Expand-Label (RFC 8446 7.1) with an empty context, for no more than one block of the hash. */
function expand(secret: Buffer, hash: Suite['hash'], label: string, length: number): Buffer {
  const text = Buffer.from(`tls13 ${label}`, 'latin1')
  const info = Buffer.concat([Buffer.from([0, length, text.length]), text, Buffer.from([0])])
  return createHmac(hash, secret)
    .update(info)
    .update(Buffer.from([1]))
    .digest()
    .subarray(0, length)
}
