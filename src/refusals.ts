/** How often the same kind of refusal is told, in milliseconds: a flood must not become a flood of the log. */
const INTERVAL = 10_000

/** Connections, or whatever else there may be too many of, that were refused for one reason since that was last told. */
export interface Refused<Reason extends string> {
  readonly reason: Reason
  readonly count: number
  /** Whom or what the last one was about, as the client's address. */
  readonly last: string | undefined
}

/** Gathers refusals: the first one is told at once, those of the next seconds together. */
export class Refusals<Reason extends string> {
  readonly #report: (refused: Refused<Reason>) => void
  readonly #gathered = new Map<Reason, { count: number; last: string | undefined }>()

  constructor(report: (refused: Refused<Reason>) => void) {
    this.#report = report
  }

  note(reason: Reason, last: string | undefined): void {
    const gathered = this.#gathered.get(reason)
    if (gathered) {
      gathered.count += 1
      gathered.last = last
      return
    }
    this.#report({ reason, count: 1, last })
    this.#gather(reason)
  }

  #gather(reason: Reason): void {
    this.#gathered.set(reason, { count: 0, last: undefined })
    setTimeout(() => {
      const gathered = this.#gathered.get(reason)
      this.#gathered.delete(reason)
      if (!gathered || gathered.count === 0) return
      this.#report({ reason, ...gathered })
      this.#gather(reason)
    }, INTERVAL).unref()
  }
}
