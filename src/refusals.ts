/** How often refusals for the same reason are reported, in milliseconds: a flood of them must not flood the log. */
const INTERVAL = 10_000

/** Refusals for one reason since the last report. */
export interface Refused<Reason extends string> {
  readonly reason: Reason
  readonly count: number
  /** What the last one was about, such as the client's address. */
  readonly last: string | undefined
}

/** Groups refusals by reason: the first is reported at once, those of the following seconds together. */
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
