/**
 * What must never happen at the same time happens one after the other. Whoever asks for what waits for its turn already gets that one: signals come in storms, and a
 * reload that has not begun reads what is there by then.
 */
export class Turns {
  #last: Promise<unknown> = Promise.resolve()
  readonly #waiting = new Map<string, Promise<boolean>>()

  /** Settles when everything that was asked for so far is over. */
  get over(): Promise<unknown> {
    return this.#last
  }

  take(what: string, act: () => Promise<boolean>): Promise<boolean> {
    const waiting = this.#waiting.get(what)
    if (waiting) return waiting
    const turn = this.#last.then(() => {
      this.#waiting.delete(what)
      return act()
    })
    this.#waiting.set(what, turn)
    this.#last = turn.catch(() => {})
    return turn
  }
}
