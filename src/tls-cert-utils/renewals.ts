import type { TLSSocket } from 'node:tls'

/** Nobody has a reason for a dozen: keys of AES-GCM are good for 2^24 records (RFC 8446 5.5), and a server gives two session tickets or so. */
const MOST_IN_WINDOW = 64
/** In milliseconds. */
const WINDOW = 60_000

/**
 * Bounds how often the other side of an established connection has us derive new secrets, for either direction: by a KeyUpdate or a session ticket (RFC 8446 4.6), or
 * by renegotiating in TLS 1.2. To node:tls none of them is a byte of data, and OpenSSL takes as many as come at one stretch: a megabyte of them keeps everybody
 * else waiting for seconds. `exceeded` is called once, with a sentence for the log, and closes the connection.
 *
 * `keylog` tells the secrets themselves too; they are not looked at.
 */
export function boundRenewals(socket: TLSSocket, exceeded: (reason: string) => void): void {
  let secrets = 0
  let since = performance.now()
  const note = (): void => {
    const now = performance.now()
    if (now - since > WINDOW) {
      since = now
      secrets = 0
    }
    secrets += 1
    if (secrets === MOST_IN_WINDOW + 1)
      exceeded(`new keys or sessions more than ${MOST_IN_WINDOW} times within ${WINDOW / 1000} seconds`)
  }
  socket.on('keylog', note).on('session', note)
}
