/** What is kept of a client that sends before its turn; then it must wait. */
const MOST = 64 * 1024
/** What each read of it costs besides, about: a client may send byte by byte. */
const COST_OF_READ = 256

/** What a client sends while its answer, or that to its upgrade, is on its way. */
export class EarlyBytes {
  readonly #reads: Buffer[] = []
  #size = 0

  /** @returns whether there is room for more; without, the client should not be read for now */
  keep(bytes: Buffer): boolean {
    this.#reads.push(bytes)
    this.#size += bytes.length + COST_OF_READ
    return this.#size < MOST
  }

  get isEmpty(): boolean {
    return this.#reads.length === 0
  }

  all(): Buffer {
    return Buffer.concat(this.#reads)
  }
}
