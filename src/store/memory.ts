import { GatewayError } from '../errors.ts'
import type { Store } from '../types.ts'

interface Entry {
  value: string
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
}

/**
 * The store of one process. Each kind of key has a bound of its own, so that strangers' failed attempts cannot push out revocations. A full kind
 * refuses new keys: if a revocation were forgotten early, its token would be accepted again.
 */
export class MemoryStore implements Store {
  #maxEntries: number
  readonly #now: () => number
  readonly #kinds = new Map<string, Kind>()

  constructor(maxEntries: number, now: () => number = Date.now) {
    this.#maxEntries = maxEntries
    this.#now = now
  }

  /** Sets another bound. Existing entries stay, even if there are more. */
  resize(maxEntries: number): void {
    this.#maxEntries = maxEntries
  }

  get(key: string): string | undefined {
    return this.#kindOf(key).find(key, this.#now())?.value
  }

  set(key: string, value: string, ttlMilliseconds: number): void {
    const now = this.#now()
    this.#kindOf(key).put(key, { value, expiresAt: now + ttlMilliseconds }, now, this.#maxEntries)
  }

  add(key: string, value: string, ttlMilliseconds: number): boolean {
    if (this.get(key) !== undefined) return false
    this.set(key, value, ttlMilliseconds)
    return true
  }

  delete(key: string): void {
    this.#kindOf(key).entries.delete(key)
  }

  increment(key: string, ttlMilliseconds: number): number {
    const found = this.#kindOf(key).find(key, this.#now())
    if (!found) {
      this.set(key, '1', ttlMilliseconds)
      return 1
    }
    const count = Number(found.value) + 1
    found.value = String(count)
    return count
  }

  /** All entries, with the milliseconds that each has left: for a store that takes over. */
  *entries(): Generator<readonly [key: string, value: string, ttlMilliseconds: number]> {
    const now = this.#now()
    for (const { entries } of this.#kinds.values()) {
      for (const [key, { value, expiresAt }] of entries) if (expiresAt > now) yield [key, value, expiresAt - now]
    }
  }

  #kindOf(key: string): Kind {
    const name = key.slice(0, key.indexOf(':') + 1)
    const known = this.#kinds.get(name)
    if (known) return known
    const kind = new Kind(name)
    this.#kinds.set(name, kind)
    return kind
  }
}

class Kind {
  readonly entries = new Map<string, Entry>()
  readonly #name: string
  /** When the next entry expires, according to the last sweep: an earlier sweep would find nothing. */
  #nextExpiry = 0

  constructor(name: string) {
    this.#name = name
  }

  find(key: string, now: number): Entry | undefined {
    const found = this.entries.get(key)
    if (!found || found.expiresAt > now) return found
    this.entries.delete(key)
    return undefined
  }

  put(key: string, entry: Entry, now: number, maxEntries: number): void {
    if (this.entries.size >= maxEntries && !this.entries.has(key)) {
      this.#sweep(now)
      if (this.entries.size >= maxEntries) {
        throw new GatewayError(
          'GW_UNDECIDED',
          `the store holds ${maxEntries} entries of the kind "${this.#name}" and takes no more; raise store.max_entries`,
        )
      }
    }
    this.entries.set(key, entry)
    this.#nextExpiry = Math.min(this.#nextExpiry, entry.expiresAt)
  }

  #sweep(now: number): void {
    if (now < this.#nextExpiry) return
    this.#nextExpiry = Number.POSITIVE_INFINITY
    for (const [key, { expiresAt }] of this.entries) {
      if (expiresAt <= now) this.entries.delete(key)
      else if (expiresAt < this.#nextExpiry) this.#nextExpiry = expiresAt
    }
  }
}
