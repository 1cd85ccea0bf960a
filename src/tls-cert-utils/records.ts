import type { TLSSocket } from 'node:tls'

/**
 * Of the 16,384 bytes of plain text that a TLS record may hold (RFC 8446 5.1). OpenSSL asks malloc for a buffer for each record and gives it back at once;
 * one for a whole record belongs to those of 16 to 20 KB, a list in the order of their lengths, where glibc walks past all the holes that closed
 * connections have left. With this length the buffer is the longest of the list below, and stands first in it: a tenth of the cost of a request where
 * there were many connections before (docs/performance-log.md).
 */
const LONGEST = 16_160

/** For what is sent from now on. */
export function shortenRecords(socket: TLSSocket): void {
  socket.setMaxSendFragment(LONGEST)
}
