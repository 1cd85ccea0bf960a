/**
 * Tells once nothing has gone either way for so long. Its one timer looks at the time when it is due: `Socket.setTimeout` sets its timer anew for each read
 * and write, which would be a hundredth of the cost of a request (docs/performance-log.md).
 */
export class Silence {
  readonly #tooLong: () => void
  /** Milliseconds. */
  #limit = Number.POSITIVE_INFINITY
  #since = 0
  #timer: NodeJS.Timeout | undefined
  #looksAt = Number.POSITIVE_INFINITY

  /** @param tooLong called for each time that it lasted so long */
  constructor(tooLong: () => void) {
    this.#tooLong = tooLong
  }

  /** Milliseconds. */
  get limit(): number {
    return this.#limit
  }

  /** Counts from now on. @param limit milliseconds; for 0 it may last for ever */
  begin(limit: number): void {
    this.#limit = limit === 0 ? Number.POSITIVE_INFINITY : limit
    this.#since = performance.now()
    if (this.#since + this.#limit < this.#looksAt) this.#lookIn(this.#limit)
  }

  /** A byte went. */
  break(): void {
    this.#since = performance.now()
  }

  end(): void {
    clearTimeout(this.#timer)
  }

  #lookIn(milliseconds: number): void {
    clearTimeout(this.#timer)
    this.#looksAt = performance.now() + milliseconds
    this.#timer = setTimeout(this.#look, milliseconds).unref()
  }

  readonly #look = (): void => {
    this.#looksAt = Number.POSITIVE_INFINITY
    const left = this.#since + this.#limit - performance.now()
    if (left <= 0) this.#tooLong()
    else if (left < this.#looksAt) this.#lookIn(left)
  }
}
