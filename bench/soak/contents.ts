/** What bodies hold: pseudo-random bytes that both sides of the gateway know, so that each byte of an answer can be checked as it comes. */
import { createCipheriv } from 'node:crypto'

const RING_BYTES = 1024 * 1024
/** Any key does: the bytes must only differ from place to place and be the same in both processes. */
const ring = createCipheriv('aes-128-ctr', Buffer.alloc(16, 'soak'), Buffer.alloc(16)).update(Buffer.alloc(RING_BYTES))

/** As much as possible of the bytes from `at` on, at most `size`. */
export function piece(at: number, size: number): Buffer {
  const start = at % RING_BYTES
  return ring.subarray(start, Math.min(RING_BYTES, start + size))
}

/** Checks a body that comes in chunks; each chunk must be the bytes that follow those before it. */
export class BodyCheck {
  #at: number
  #left: number
  #wrong = false

  constructor(from: number, size: number) {
    this.#at = from
    this.#left = size
  }

  take(chunk: Buffer): void {
    this.#left -= chunk.length
    for (let rest = chunk; rest.length > 0 && !this.#wrong; ) {
      const expected = piece(this.#at, rest.length)
      if (expected.compare(rest, 0, expected.length) !== 0) this.#wrong = true
      this.#at += expected.length
      rest = rest.subarray(expected.length)
    }
  }

  /** Undefined where all of it came and nothing else. */
  get problem(): string | undefined {
    if (this.#wrong) return 'wrong bytes in the body'
    return this.#left === 0 ? undefined : `${this.#left} bytes of the body did not come`
  }
}
