/** Larger pieces get a write of their own. */
const SMALL = 1024
/** The most bytes that leave in one write. */
const MOST_BYTES = 16 * 1024
/** How many small pieces are taken in one turn of the event loop: some milliseconds' worth. */
const MOST_PIECES = 1024

/** The source and the destination of the pieces. */
export interface PieceTaker {
  write(bytes: Buffer): void
  /** Stops the source for now. A piece that was already read may still come. */
  hold(): void
  goOn(): void
}

/**
 * Small pieces that arrive in one turn of the event loop leave in one write, and only a limited number is taken in a turn. A client may send
 * megabytes in chunks, or TLS records, of one byte: with a write for each, for as long as there are more, nobody else would be served for seconds.
 */
export class SmallPieces {
  readonly #taker: PieceTaker
  #waiting: Buffer[] = []
  #size = 0
  #turnEnd: NodeJS.Immediate | undefined
  #taken = 0
  #held = false

  constructor(taker: PieceTaker) {
    this.#taker = taker
  }

  /** Passes `piece` on, now or at the end of this turn. */
  add(piece: Buffer): void {
    if (piece.length >= SMALL) {
      this.flush()
      this.#taker.write(piece)
      return
    }
    this.#waiting.push(piece)
    this.#size += piece.length
    this.#taken += 1
    this.#turnEnd ??= setImmediate(this.#endTurn)
    if (this.#size >= MOST_BYTES) this.flush()
    if (this.#taken < MOST_PIECES || this.#held) return
    this.#held = true
    this.#taker.hold()
  }

  flush(): void {
    const pieces = this.#waiting
    if (pieces.length === 0) return
    this.#waiting = []
    this.#size = 0
    this.#taker.write(pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces))
  }

  /** Drops what waits, without resuming the source. */
  drop(): void {
    clearImmediate(this.#turnEnd)
    this.#turnEnd = undefined
    this.#held = false
    this.#waiting = []
    this.#size = 0
  }

  readonly #endTurn = (): void => {
    this.#turnEnd = undefined
    this.#taken = 0
    this.flush()
    if (!this.#held) return
    this.#held = false
    this.#taker.goOn()
  }
}
