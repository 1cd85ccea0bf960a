/**
 * Runs tasks one after the other that must never run at the same time. A task that is requested again while it waits runs only once: signals come in
 * storms, and a reload that has not begun reads the files as they are by then.
 */
export class SerialQueue {
  #last: Promise<unknown> = Promise.resolve()
  readonly #waiting = new Map<string, Promise<boolean>>()

  /** Settles when every task so far has ended. */
  get idle(): Promise<unknown> {
    return this.#last
  }

  run(name: string, task: () => Promise<boolean>): Promise<boolean> {
    const waiting = this.#waiting.get(name)
    if (waiting) return waiting
    const run = this.#last.then(() => {
      this.#waiting.delete(name)
      return task()
    })
    this.#waiting.set(name, run)
    this.#last = run.catch(() => {})
    return run
  }
}
