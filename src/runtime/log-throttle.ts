/** How long a message that was just logged is not logged again, in milliseconds: otherwise each handshake would write a line. */
const INTERVAL = 60_000

/** Clients can cause ever new messages; their memory is bounded. */
const MOST_REMEMBERED = 1000

/** Decides which of many equal log messages are written: one a minute. */
export class LogThrottle {
  readonly #loggedAt = new Map<string, number>()

  /** Whether the message with this key is to be logged now. */
  allows(key: string, now = performance.now()): boolean {
    if (now - (this.#loggedAt.get(key) ?? Number.NEGATIVE_INFINITY) < INTERVAL) return false
    if (this.#loggedAt.size >= MOST_REMEMBERED) this.#loggedAt.clear()
    this.#loggedAt.set(key, now)
    return true
  }
}
