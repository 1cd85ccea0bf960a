/** Each costs about a millisecond of computing, at once and when the client's next message comes. */
const MOST_AT_ONCE = 4

/**
 * Begins no more handshakes in a turn of the event loop than a request can wait for. The system reports everything that has come in at once: when a
 * thousand clients connect together, as after an outage, all of their ClientHellos would be answered before the next request is looked at.
 */
export class Pace {
  readonly #waiting: (() => void)[] = []
  #begun = 0
  #counts = false

  /** Calls back now, or in one of the next turns, in the order of the calls. */
  begin(handshake: () => void): void {
    if (this.#begun < MOST_AT_ONCE && this.#waiting.length === 0) this.#start(handshake)
    else this.#waiting.push(handshake)
  }

  #start(handshake: () => void): void {
    this.#begun++
    if (!this.#counts) {
      this.#counts = true
      setImmediate(this.#nextTurn)
    }
    handshake()
  }

  readonly #nextTurn = (): void => {
    this.#counts = false
    this.#begun = 0
    for (const handshake of this.#waiting.splice(0, MOST_AT_ONCE)) this.#start(handshake)
  }
}
