/** A TLS record's worth: what one read of a TLS socket gives at most. */
const SIZE = 16 * 1024
/** The largest body that is gathered of several reads, to leave in one write. */
const BLOCK_SIZE = 128 * 1024
/** What is kept longer than a read in a buffer that is mostly empty is copied instead: a slow client would hold much more than it is owed. */
const WORTH_KEEPING = SIZE / 2
/** Bytes before what is read, for a head that is to leave with it. */
const HEADROOM = 1024

interface Slab {
  readonly bytes: Buffer
  /** What is read into: all but the headroom. */
  readonly room: Buffer
  /** How many still need what is in it. */
  holders: number
  /** Whether the connection reads into another one by now. */
  left: boolean
  readonly pool: SlabPool
}

/** Slabs of one size that wait for their next use, in all of the process. */
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
 * The buffer that one connection reads into, again and again. A buffer of its own for each read would be garbage by the next one,
 * and V8 counts the bytes of buffers towards a full collection: some GB/s of marking, as much work as the body itself
 * (docs/performance.md). Bytes that are needed beyond the call that handed them out are kept, and the connection goes on with another.
 */
export class ReadBuffer {
  #slab = slabs.take()
  /** What is gathered lies in the slab from here … */
  #from = 0
  /** … to here, where the next read goes as long as more is to come. */
  #to = 0
  #gathers = false

  /** Where the next bytes go; node:net asks after each read. */
  readonly next = (): Buffer => {
    if (this.#gathers) return this.#slab.bytes.subarray(this.#to)
    if (this.#slab.holders > 0 || this.#slab.pool === blocks) this.#readInto(slabs)
    return this.#slab.room
  }

  /**
   * Keeps `chunk`, what was read last of a body of which `rest` bytes are known to follow, and has these read behind it: all of it may leave in one write.
   * @returns false where the rest does not fit, or is not worth it; what does not trickle comes in two reads at least
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

  /** Hands what is gathered to `use`, as `lend` does. What still comes is read behind it. */
  takeGathered(use: (bytes: Buffer, done: () => void) => void): void {
    const bytes = this.#slab.bytes.subarray(this.#from, this.#to)
    this.#from = this.#to
    use(bytes, hold(this.#slab))
  }

  /** The same with `head`, Latin-1, right before it. False where that does not fit, and `use` is not called. */
  takeGatheredBehind(head: string, use: (bytes: Buffer, done: () => void) => void): boolean {
    const from = this.#from - head.length
    // What was taken before lies there.
    if (from < 0 || this.#slab.holders > 0) return false
    this.#slab.bytes.write(head, from, 'latin1')
    this.#from = from
    this.takeGathered(use)
    return true
  }

  /**
   * Hands `chunk`, a part of what was read last, to `use`, which may need it until it calls `done`. No byte is overwritten before:
   * it may be another client's by then. Where `done` is never called, the buffer is garbage like any other.
   */
  lend(chunk: Buffer, use: (bytes: Buffer, done?: () => void) => void): void {
    if (chunk.length < WORTH_KEEPING) {
      use(Buffer.from(chunk))
      return
    }
    use(chunk, hold(this.#slab))
  }

  /**
   * Writes `head`, Latin-1, right before `chunk`, the only part of what was read last that anybody still needs, and hands both to `use` as one: a body of some
   * kilobytes leaves with its head and is copied nowhere. False where that cannot be, and `use` is not called.
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
