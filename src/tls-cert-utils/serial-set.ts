import { createHash, randomBytes } from 'node:crypto'

/** Slots for each serial number: a look-up then compares fewer than two of them on average. */
const SLOTS_PER_SERIAL = 1.6
/** The length of a serial number is kept in one byte. RFC 5280 4.1.2.2 allows 20 bytes. */
export const LONGEST_SERIAL = 255

/**
 * The parts of a set, for another thread. Both threads hold them, and nothing is copied. A transferred ArrayBuffer would be counted by V8 when it
 * arrives, and could stop everything for a full collection. But shared memory causes no collection of its own: whoever drops a large set must see to
 * one.
 */
export interface SerialSetParts {
  /** Each number as its length and its bytes. */
  readonly bytes: Uint8Array<SharedArrayBuffer>
  /** Where in `bytes` a number stands, plus one; 0 is an empty slot. */
  readonly slots: Uint32Array<SharedArrayBuffer>
  readonly seed: number
  /** Odd, and random as well. */
  readonly factor: number
  readonly size: number
}

/**
 * Serial numbers in an open-addressing table over one block of bytes: a million of them take 28 MB, where a Set of texts takes 120, and there are no
 * objects for the garbage collector to visit. Numbers are compared by value, as BER may spell them with needless leading bytes.
 */
export class SerialSet {
  readonly #bytes: Uint8Array<SharedArrayBuffer>
  readonly #slots: Uint32Array<SharedArrayBuffer>
  /** Random, so that whoever chooses serial numbers cannot choose collisions. */
  readonly #seed: number
  /** A known one would do the same to the low bits of all hashes: then pairs of a few bytes can be made that are alike to one seed in 256. */
  readonly #factor: number
  #end = 0
  #size: number

  constructor(parts: SerialSetParts) {
    this.#bytes = parts.bytes
    this.#slots = parts.slots
    this.#seed = parts.seed
    this.#factor = parts.factor
    this.#size = parts.size
  }

  /** An empty set for `count` numbers of `totalBytes` bytes together. */
  static withRoomFor(count: number, totalBytes: number): SerialSet {
    return new SerialSet({
      bytes: new Uint8Array(new SharedArrayBuffer(totalBytes + count)),
      slots: new Uint32Array(new SharedArrayBuffer(4 * (Math.ceil(count * SLOTS_PER_SERIAL) + 1))),
      seed: randomBytes(4).readUInt32LE(),
      factor: randomBytes(4).readUInt32LE() | 1,
      size: 0,
    })
  }

  get size(): number {
    return this.#size
  }

  /** SHA-256, lower-case hex. Sets that were filled alike have the same, whatever their seeds; the order counts. */
  get digest(): string {
    return createHash('sha256').update(this.#bytes).digest('hex')
  }

  get parts(): SerialSetParts {
    return { bytes: this.#bytes, slots: this.#slots, seed: this.#seed, factor: this.#factor, size: this.#size }
  }

  /** Adds the INTEGER content `source[start..end)`; there must be room for it. */
  add(source: Uint8Array, start: number, end: number): void {
    const first = skipNeedless(source, start, end)
    const slot = this.#slotOf(source, first, end)
    if (this.#slots[slot] !== 0) return
    this.#slots[slot] = this.#end + 1
    this.#bytes[this.#end++] = end - first
    for (let i = first; i < end; i++) this.#bytes[this.#end++] = source[i] as number
    this.#size++
  }

  /** @param serial an INTEGER's content octets */
  has(serial: Uint8Array): boolean {
    const first = skipNeedless(serial, 0, serial.length)
    return this.#slots[this.#slotOf(serial, first, serial.length)] !== 0
  }

  /** The slot that holds the number, or the empty one where it belongs. */
  #slotOf(source: Uint8Array, start: number, end: number): number {
    let hash = this.#seed
    const factor = this.#factor
    for (let i = start; i < end; i++) {
      hash = Math.imul(hash ^ (source[i] as number), factor)
      hash ^= hash >>> 15
    }
    // The finalizer of MurmurHash3: the last bytes must reach the high bits too, which choose the slot.
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
    hash = (hash ^ (hash >>> 16)) >>> 0
    const count = this.#slots.length
    let slot = Math.floor(hash * (count / 2 ** 32))
    for (;;) {
      const place = this.#slots[slot] as number
      if (place === 0 || this.#isAt(place - 1, source, start, end)) return slot
      slot = slot + 1 === count ? 0 : slot + 1
    }
  }

  #isAt(place: number, source: Uint8Array, start: number, end: number): boolean {
    const length = end - start
    if (this.#bytes[place] !== length) return false
    for (let i = 0; i < length; i++) if (this.#bytes[place + 1 + i] !== source[start + i]) return false
    return true
  }
}

/** Two's complement begins with a needless byte where it only repeats the sign that the next bit has (X.690 8.3.2). */
function skipNeedless(source: Uint8Array, start: number, end: number): number {
  let first = start
  while (first + 1 < end) {
    const negative = (source[first + 1] as number) >= 0x80
    if (source[first] !== (negative ? 0xff : 0)) break
    first++
  }
  return first
}
