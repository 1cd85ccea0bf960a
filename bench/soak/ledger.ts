/** The soak's account: what went well, what was lost, and what was wrong. */

/** How many problems are kept with their words. */
const MOST_TOLD = 40

export class Ledger {
  /** By kind of traffic. */
  readonly done = new Map<string, number>()
  /** What was lost or wrong, by its words. */
  readonly problems = new Map<string, number>()
  /** Failures that HTTP allows nobody to save: what was under way to a target that died and cannot be sent twice, or what it had begun to answer. */
  unsavable = 0
  reloads = 0
  replacements = 0
  deaths = 0
  readonly #startedAt = performance.now()

  succeeded(kind: string): void {
    this.done.set(kind, (this.done.get(kind) ?? 0) + 1)
  }

  problem(kind: string, what: string): void {
    const words = `${kind}: ${what}`
    const known = this.problems.get(words)
    if (known === undefined) {
      const second = Math.round((performance.now() - this.#startedAt) / 1000)
      process.stderr.write(`soak: after ${second} s: ${words}\n`)
    }
    if (known !== undefined || this.problems.size < MOST_TOLD) this.problems.set(words, (known ?? 0) + 1)
  }
}
