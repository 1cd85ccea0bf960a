/** Bytes that are kept of a client that sends before its turn; beyond that it is not read. */
const MOST = 64 * 1024
/** About what each read costs in addition: a client may send byte by byte. */
const COST_OF_READ = 256

/** Bytes that a client sends while the answer to its request or upgrade is on its way. */
export class EarlyBytes {
  readonly #reads: Buffer[] = []
  #size = 0

  /** @returns whether there is room for more; if not, the client should not be read for now */
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
