/**
 * Holds a million rules in a few arrays outside V8's heap. A thread fills them and passes them on whole, so they cost the serving thread no garbage
 * collection, neither at once nor later.
 */

/** A rule of a file. */
export interface FiledRule {
  readonly line: number
  readonly user: string
  /** As written. */
  readonly certificates: readonly string[]
  readonly groups: readonly string[]
  /** As written; empty for any authority that the server trusts. */
  readonly issuer: string
  /** The keys by which it is looked up for a certificate. */
  readonly keys: readonly string[]
}

/**
 * What is passed to another thread; both hold it then. A transferred ArrayBuffer could cause a full collection at once in the receiving thread
 * (SerialSetParts).
 */
export interface RuleTableParts {
  readonly bytes: Uint8Array<SharedArrayBuffer>
  readonly starts: Uint32Array<SharedArrayBuffer>
  readonly slots: Uint32Array<SharedArrayBuffer>
  readonly hashes: Uint32Array<SharedArrayBuffer>
  readonly size: number
  readonly seed: number
  readonly kinds: readonly string[]
}

/** Separators between fields, and between the values of a field: control characters, which no value may hold. */
const FIELD = '\x1f'
const VALUE = '\x1e'

export class RuleTable {
  #bytes: Buffer<ArrayBufferLike> = Buffer.alloc(64 * 1024)
  /** Where each rule begins, and where the last one ends. */
  #starts: Numbers = new Uint32Array(1024)
  #size = 0
  /** Open addressing: each slot holds the position of a rule plus one, or 0; `#hashes` holds the hash of its key. */
  #slots: Numbers = new Uint32Array(4096)
  #hashes: Numbers = new Uint32Array(4096)
  #used = 0
  /** The types of keys: what stands before the colon. */
  readonly kinds = new Set<string>()
  /** Random, so that the author of a file cannot choose names that collide. */
  readonly #seed: number

  constructor(seed = Math.floor(Math.random() * 2 ** 32)) {
    this.#seed = seed
  }

  /** A complete table: nothing may be added. */
  static fromParts({ bytes, starts, slots, hashes, size, seed, kinds }: RuleTableParts): RuleTable {
    const table = new RuleTable(seed)
    table.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    table.#starts = starts
    table.#slots = slots
    table.#hashes = hashes
    table.#size = size
    for (const kind of kinds) table.kinds.add(kind)
    return table
  }

  /** The arrays without spare room. */
  get parts(): RuleTableParts {
    const end = this.#starts[this.#size] as number
    return {
      bytes: new Uint8Array(shared(this.#bytes.subarray(0, end))),
      starts: new Uint32Array(shared(this.#starts.subarray(0, this.#size + 1))),
      slots: new Uint32Array(shared(this.#slots)),
      hashes: new Uint32Array(shared(this.#hashes)),
      size: this.#size,
      seed: this.#seed,
      kinds: [...this.kinds],
    }
  }

  get size(): number {
    return this.#size
  }

  add({ line, user, certificates, groups, issuer, keys }: FiledRule): void {
    const fields = [String(line), user, certificates.join(VALUE), groups.join(VALUE), issuer, keys.join(VALUE)]
    const text = fields.join(FIELD)
    const start = this.#starts[this.#size] as number
    const most = start + text.length * 3
    if (most > this.#bytes.length) this.#bytes = Buffer.concat([this.#bytes], Math.max(2 * this.#bytes.length, most))
    if (this.#size + 2 > this.#starts.length) this.#starts = grown(this.#starts)
    this.#starts[this.#size + 1] = start + this.#bytes.write(text, start)
    this.#size += 1
    for (const key of keys) this.#enter(key, this.#size)
  }

  at(position: number): FiledRule {
    const text = this.#bytes.toString('utf8', this.#starts[position], this.#starts[position + 1])
    const [line, user = '', certificates, groups, issuer = '', keys] = text.split(FIELD)
    return {
      line: Number(line),
      user,
      certificates: listOf(certificates),
      groups: listOf(groups),
      issuer,
      keys: listOf(keys),
    }
  }

  /** The rules that have the key, in the order of the file. */
  withKey(key: string): FiledRule[] {
    const hash = hashOf(key, this.#seed)
    const mask = this.#slots.length - 1
    const found: FiledRule[] = []
    for (let i = hash & mask; this.#slots[i] !== 0; i = (i + 1) & mask) {
      if (this.#hashes[i] !== hash) continue
      const rule = this.at((this.#slots[i] as number) - 1)
      if (rule.keys.includes(key)) found.push(rule)
    }
    return found.length > 1 ? found.sort((one, other) => one.line - other.line) : found
  }

  /** Kept at most half full, so that runs of taken slots stay short. */
  #enter(key: string, entry: number): void {
    if (2 * (this.#used + 1) > this.#slots.length) this.#spread()
    this.#used += 1
    this.kinds.add(key.slice(0, key.indexOf(':')))
    this.#put(hashOf(key, this.#seed), entry)
  }

  #put(hash: number, entry: number): void {
    const mask = this.#slots.length - 1
    let i = hash & mask
    while (this.#slots[i] !== 0) i = (i + 1) & mask
    this.#slots[i] = entry
    this.#hashes[i] = hash
  }

  #spread(): void {
    const [slots, hashes] = [this.#slots, this.#hashes]
    this.#slots = new Uint32Array(2 * slots.length)
    this.#hashes = new Uint32Array(2 * slots.length)
    for (const [i, entry] of slots.entries()) if (entry !== 0) this.#put(hashes[i] as number, entry)
  }
}

type Numbers = Uint32Array<ArrayBufferLike>

function shared({ buffer, byteOffset, byteLength }: ArrayBufferView): SharedArrayBuffer {
  const copy = new SharedArrayBuffer(byteLength)
  new Uint8Array(copy).set(new Uint8Array(buffer, byteOffset, byteLength))
  return copy
}

function grown(array: Numbers): Numbers {
  const larger = new Uint32Array(2 * array.length)
  larger.set(array)
  return larger
}

function listOf(text = ''): readonly string[] {
  return text === '' ? [] : text.split(VALUE)
}

/** FNV-1a, with its bits mixed at the end as in MurmurHash3, since only the low bits choose the slot. */
function hashOf(text: string, seed: number): number {
  let hash = seed ^ 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
