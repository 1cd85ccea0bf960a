import { computed } from './computing-time.ts'

/** How much may be computed in one turn of the event loop, in microseconds. */
const MOST_IN_TURN = 3_000

/**
 * Admits clients that have finished their handshake, in order: after the requests that the system reported together with them, and in each turn of
 * the event loop no more than the next request can wait for. node:tls reads the last flights of handshakes as they arrive, and in a crowd a hundred
 * arrive together. Without this, our work for each of them and their first requests would be done before the next socket is read.
 */
export class Arrivals {
  readonly #waiting: (() => void)[] = []
  #isNext = false

  add(arrival: () => void): void {
    this.#waiting.push(arrival)
    if (this.#isNext) return
    this.#isNext = true
    setImmediate(this.#takeIn)
  }

  readonly #takeIn = (): void => {
    const before = computed()
    do this.#waiting.shift()?.()
    while (this.#waiting.length > 0 && computed() - before < MOST_IN_TURN)
    this.#isNext = this.#waiting.length > 0
    if (this.#isNext) setImmediate(this.#takeIn)
  }
}
