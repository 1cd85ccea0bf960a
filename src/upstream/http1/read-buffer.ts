/** The size of a TLS record: the most that one read of a TLS socket gives. */
const SIZE = 16 * 1024
/** The largest body that is gathered from several reads, to leave in one write. */
const BLOCK_SIZE = 128 * 1024
/**
 * Bytes that are kept longer than a read, in a buffer that is mostly empty, are copied instead: otherwise a slow client would hold much more than its
 * bytes.
 */
const WORTH_KEEPING = SIZE / 2
/** Free bytes before what is read, for a head that leaves with it. */
const HEADROOM = 1024

interface Slab {
  readonly bytes: Buffer
  /** The part that is read into: all but the headroom. */
  readonly room: Buffer
  /** How many still need its content. */
  holders: number
  /** Whether the connection reads into another slab by now. */
  left: boolean
  readonly pool: SlabPool
}

/** Unused slabs of one size, for the whole process. */
class SlabPool {
  readonly #spare: Slab[] = []
  readonly #size: number
  readonly #maxSpare: number

  constructor(size: number, maxSpare: number) {
    this.#size = size
    this.#maxSpare = maxSpare
  }

  take(): Slab {
    const slab = this.#spare.pop()
    if (slab) {
      slab.left = false
      return slab
    }
    const bytes = Buffer.allocUnsafeSlow(HEADROOM + this.#size)
    return { bytes, room: bytes.subarray(HEADROOM), holders: 0, left: false, pool: this }
  }

  giveBack(slab: Slab): void {
    if (this.#spare.length < this.#maxSpare) this.#spare.push(slab)
  }
}

const slabs = new SlabPool(SIZE, 64)
const blocks = new SlabPool(BLOCK_SIZE, 32)

/**
 * The buffer that one connection reads into again and again. A new buffer for each read would be garbage by the next one. V8 counts the bytes of
 * buffers towards a full collection: at some GB/s, marking would cost as much as the body itself (docs/performance-log.md). Where bytes are needed beyond
 * the call that passed them on, their slab is kept and the connection goes on with another.
 */
export class ReadBuffer {
  #slab = slabs.take()
  /** The gathered bytes lie in the slab from here … */
  #from = 0
  /** … to here, where the next read goes as long as more is to come. */
  #to = 0
  #gathers = false

  /** Where the next bytes go; node:net calls it after each read. */
  readonly next = (): Buffer => {
    if (this.#gathers) return this.#slab.bytes.subarray(this.#to)
    if (this.#slab.holders > 0 || this.#slab.pool === blocks) this.#readInto(slabs)
    return this.#slab.room
  }

  /**
   * Keeps `chunk`, the last read of a body of which `rest` more bytes are known to follow, and has these read right after it, so that all of it can
   * leave in one write.
   * @returns false where the rest does not fit, or is less than a whole read, which is not worth it
   */
  gather(chunk: Buffer, rest: number): boolean {
    if (this.#gathers) this.#to += chunk.length
    else {
      if (rest < SIZE || chunk.length + rest > BLOCK_SIZE) return false
      this.#readInto(blocks)
      this.#from = HEADROOM
      this.#to = HEADROOM + chunk.copy(this.#slab.bytes, HEADROOM)
    }
    this.#gathers = rest > 0
    return true
  }

  get hasGathered(): boolean {
    return this.#to > this.#from
  }

  /** Passes the gathered bytes to `use`, as `lend` does. What follows is read after them. */
  takeGathered(use: (bytes: Buffer, done: () => void) => void): void {
    const bytes = this.#slab.bytes.subarray(this.#from, this.#to)
    this.#from = this.#to
    use(bytes, hold(this.#slab))
  }

  /** The same with `head`, in Latin-1, right before them. Returns false where that does not fit, without calling `use`. */
  takeGatheredBehind(head: string, use: (bytes: Buffer, done: () => void) => void): boolean {
    const from = this.#from - head.length
    // Bytes that were taken before lie there.
    if (from < 0 || this.#slab.holders > 0) return false
    this.#slab.bytes.write(head, from, 'latin1')
    this.#from = from
    this.takeGathered(use)
    return true
  }

  /**
   * Passes `chunk`, a part of the last read, to `use`, which may need it until it calls `done`. No byte is overwritten until then: another client's
   * bytes could take its place. If `done` is never called, the buffer is garbage like any other.
   */
  lend(chunk: Buffer, use: (bytes: Buffer, done?: () => void) => void): void {
    if (chunk.length < WORTH_KEEPING) {
      use(Buffer.from(chunk))
      return
    }
    use(chunk, hold(this.#slab))
  }

  /**
   * Writes `head`, in Latin-1, right before `chunk` and passes both to `use` as one, so that a body of some kilobytes leaves with its head without
   * being copied. `chunk` must be the only part of the last read that is still needed. Returns false where that is not possible, without calling
   * `use`.
   */
  lendBehind(head: string, chunk: Buffer, use: (bytes: Buffer, done: () => void) => void): boolean {
    const slab = this.#slab
    const { bytes } = slab
    const from = chunk.byteOffset - bytes.byteOffset - head.length
    if (chunk.length < WORTH_KEEPING || chunk.buffer !== bytes.buffer || from < 0 || slab.holders > 0) return false
    bytes.write(head, from, 'latin1')
    use(bytes.subarray(from, from + head.length + chunk.length), hold(slab))
    return true
  }

  #readInto(pool: SlabPool): void {
    const slab = this.#slab
    slab.left = true
    if (slab.holders === 0) slab.pool.giveBack(slab)
    this.#slab = pool.take()
  }
}

/** @returns what to call when the bytes are no longer needed */
function hold(slab: Slab): () => void {
  let held = true
  slab.holders += 1
  return () => {
    if (!held) return
    held = false
    slab.holders -= 1
    if (slab.holders === 0 && slab.left) slab.pool.giveBack(slab)
  }
}
