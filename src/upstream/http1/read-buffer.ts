/** A TLS record's worth: what one read of a TLS socket gives at most. */
const SIZE = 16 * 1024
/** What is kept longer than a read in a buffer that is mostly empty is copied instead: a slow client would hold much more than it is owed. */
const WORTH_KEEPING = SIZE / 2
/** Bytes before what is read, for a head that is to leave with it. */
const HEADROOM = 1024
/** Buffers that wait for their next use, in all of the process. */
const MAX_SPARE = 64

interface Slab {
  readonly bytes: Buffer
  /** What is read into: all but the headroom. */
  readonly room: Buffer
  /** How many still need what is in it. */
  holders: number
  /** Whether the connection reads into another one by now. */
  left: boolean
}

const spare: Slab[] = []

/**
 * The buffer that one connection reads into, again and again. A buffer of its own for each read would be garbage by the next one,
 * and V8 counts the bytes of buffers towards a full collection: some GB/s of marking, as much work as the body itself
 * (docs/performance.md). Bytes that are needed beyond the call that handed them out are kept, and the connection goes on with another.
 */
export class ReadBuffer {
  #slab = take()

  /** Where the next bytes go; node:net asks after each read. */
  readonly next = (): Buffer => {
    if (this.#slab.holders > 0) {
      this.#slab.left = true
      this.#slab = take()
    }
    return this.#slab.room
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
}

/** @returns what to call when the bytes are no longer needed */
function hold(slab: Slab): () => void {
  let held = true
  slab.holders += 1
  return () => {
    if (!held) return
    held = false
    slab.holders -= 1
    if (slab.holders === 0 && slab.left) giveBack(slab)
  }
}

function take(): Slab {
  const slab = spare.pop()
  if (slab) {
    slab.left = false
    return slab
  }
  const bytes = Buffer.allocUnsafeSlow(HEADROOM + SIZE)
  return { bytes, room: bytes.subarray(HEADROOM), holders: 0, left: false }
}

function giveBack(slab: Slab): void {
  if (spare.length < MAX_SPARE) spare.push(slab)
}
