/** Marks what has no position of its own. */
const NOWHERE = -1

/**
 * The positions of everything in a file. They are kept in the shape of the file and not by path: the paths of ten thousand routes are megabytes of
 * text, which are needed only where something is wrong.
 */
export class Spots {
  // In the order of the file. The content of an item follows it, up to the item's end.
  readonly #offsets: number[] = [NOWHERE]
  readonly #ends: number[] = [NOWHERE]
  /** Undefined for an item of a list. */
  readonly #keys: (string | undefined)[] = [undefined]
  /** The direct children by key or index, where they have been looked up. */
  readonly #children = new Map<number, Map<string, number>>()

  /** The next item of a list, or the value of `key`. @returns what `end` wants when all that lies within it has been added */
  begin(offset: number | undefined, key?: string): number {
    this.#ends.push(NOWHERE)
    this.#keys.push(key)
    return this.#offsets.push(offset ?? NOWHERE) - 1
  }

  end(spot: number): void {
    this.#ends[spot] = this.#offsets.length
  }

  /** The offset of the setting with exactly this path, such as `services[0].url`. */
  find(path: string, within = 0): number | undefined {
    for (const end of ends(path)) {
      const spot = this.#childrenOf(within).get(path.slice(0, end))
      if (spot === undefined) continue
      const rest = path.slice(path[end] === '.' ? end + 1 : end)
      const found = rest === '' ? this.#offsets[spot] : this.find(rest, spot)
      if (found !== undefined && found !== NOWHERE) return found
    }
    return undefined
  }

  #childrenOf(spot: number): Map<string, number> {
    const known = this.#children.get(spot)
    if (known) return known
    const made = new Map<string, number>()
    const end = spot === 0 ? this.#offsets.length : (this.#ends[spot] ?? 0)
    let index = 0
    // Of a key that occurs twice, as where a map is merged into another, the last counts.
    for (let child = spot + 1; child < end; child = this.#ends[child] ?? end)
      made.set(this.#keys[child] ?? `[${index++}]`, child)
    this.#children.set(spot, made)
    return made
  }
}

/** Where the first step of a path may end: keys may hold dots and brackets themselves. */
function* ends(path: string): Generator<number> {
  for (let i = 1; i < path.length; i++) if (path[i] === '.' || path[i] === '[') yield i
  if (path !== '') yield path.length
}
