import { computed } from './computing-time.ts'

/** In a turn of the event loop, in microseconds of computing. */
const MOST_IN_TURN = 3_000

/**
 * Takes in whoever has finished his handshake, in the order of their coming: after the requests that the system has reported together with them, and no more in
 * a turn of the event loop than the next request can wait for. node:tls reads the second halves of handshakes as they come, and of a crowd a hundred come
 * together; what we do for each, and for its first request, would be done before the next socket is looked at.
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
