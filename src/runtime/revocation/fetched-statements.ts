/** As many as there can be fetched lists; each entry is a digest. */
const MOST = 10_000

/**
 * What fetched revocation lists say, by where they come from, for a whole gateway. Each worker fetches lists itself. When one of them gets a list
 * that says something new, the sessions of all workers must end, and the others must fetch it too.
 */
export class FetchedStatements {
  readonly #known = new Map<string, string>()
  #edition = 0
  /** Called in a worker: its supervisor counts the editions and passes them back by {@link learn}. */
  onFetched: ((source: string, statement: string) => void) | undefined
  /** Called when a source says something new. */
  onChanged: ((source: string, statement: string) => void) | undefined

  /** Grows with each change; a session can be resumed only within one edition. */
  get edition(): number {
    return this.#edition
  }

  /** Records what was just fetched from a source: here, or by the process that counts. */
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

  /** Begins with the edition of the process that counts. */
  begin(edition: number): void {
    this.#edition = edition
  }

  /** Records what the process that counts has found. */
  learn(edition: number, source: string, statement: string): void {
    this.begin(edition)
    this.onChanged?.(source, statement)
  }
}
