import type { X509Certificate } from 'node:crypto'

/**
 * OpenSSL has one queue of errors for the whole thread. What it could not read of a certificate stays there, and node:tls takes it for a failure of the
 * next read, on whichever connection that is. Node empties the queue after questions like this one, whose answer does not matter.
 */
export function emptyErrorQueue(any: X509Certificate): void {
  any.checkIssued(any)
}
