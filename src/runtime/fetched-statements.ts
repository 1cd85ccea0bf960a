/** As many as fetched lists can be remembered at all; a digest for each. */
const MOST = 10_000

/**
 * What the lists say that were fetched, by where they come from: for a whole gateway, whose workers fetch each for itself. Where one of them gets a list
 * that says something else, the sessions of all must end, and the others must get it too.
 */
export class FetchedStatements {
  readonly #known = new Map<string, string>()
  #edition = 0
  /** Of a process among several: its supervisor counts the editions, and gives them back by {@link learn}. */
  onFetched: ((source: string, statement: string) => void) | undefined
  /** What a source says is another thing now. */
  onChanged: ((source: string, statement: string) => void) | undefined

  /** Sessions are good for one edition. */
  get edition(): number {
    return this.#edition
  }

  /** A list, or the statements of several, that has been fetched here or by whoever is counted for. */
  fetched(source: string, statement: string): void {
    if (this.onFetched) this.onFetched(source, statement)
    else if (this.#known.get(source) !== statement) {
      this.#known.delete(source)
      this.#known.set(source, statement)
      const oldest = this.#known.keys().next().value
      if (this.#known.size > MOST && oldest !== undefined) this.#known.delete(oldest)
      this.learn(this.#edition + 1, source, statement)
    }
  }

  /** Goes on with an edition of the process that counts. */
  begin(edition: number): void {
    this.#edition = edition
  }

  /** What the process that counts has found. */
  learn(edition: number, source: string, statement: string): void {
    this.begin(edition)
    this.onChanged?.(source, statement)
  }
}
