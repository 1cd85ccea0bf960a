import type { TLSSocket } from 'node:tls'

/** No honest peer needs a dozen: keys of AES-GCM are good for 2^24 records (RFC 8446 5.5), and a server sends about two session tickets. */
const MOST_IN_WINDOW = 64
/** In milliseconds. */
const WINDOW = 60_000

/**
 * Bounds how often the other side of an established connection makes us derive new secrets, in either direction: by a KeyUpdate or a session ticket
 * (RFC 8446 4.6), or by renegotiating in TLS 1.2. node:tls sees no data in any of them, and OpenSSL handles as many as arrive at once: a megabyte of
 * them keeps everybody else waiting for seconds. `exceeded` is called once, with a sentence for the log, and closes the connection.
 *
 * `keylog` also passes the secrets themselves; they are ignored.
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
