/** Finds the virtual server of a name, in nginx's order (nginx.org/en/docs/http/server_names.html). */
import type { Slices } from '../slices.ts'

/** A table of names, `*.suffix`, `prefix.*` and `.suffix` (the name itself and everything below it); `''` means that no name was given. */
export class ServerNames<T extends NonNullable<unknown>> {
  readonly #fallback: T
  readonly #exact = new Map<string, T>()
  /** By what follows `*.`. */
  readonly #suffixes = new Map<string, T>()
  /** By what precedes `.*`. */
  readonly #prefixes = new Map<string, T>()

  /**
   * @param entries lower-case names, without trailing dot
   * @param fallback the default server: for names that nothing matches, and for undefined
   * @throws Error naming the entry, where it is malformed, or stands there twice with different values: nginx ignores the second with
   * a warning, but which trust policy a name gets must not hang on the order of a file
   */
  constructor(entries: Iterable<readonly [name: string, value: T]>, fallback: T) {
    this.#fallback = fallback
    for (const [name, value] of entries) this.#add(name, value)
  }

  /** The same of ten thousand names. */
  static *of<T extends NonNullable<unknown>>(
    entries: Iterable<readonly [name: string, value: T]>,
    fallback: T,
  ): Slices<ServerNames<T>> {
    const names = new ServerNames<T>([], fallback)
    for (const [name, value] of entries) {
      names.#add(name, value)
      yield
    }
    return names
  }

  /** Exact name, then longest `*.suffix`, then longest `prefix.*`, then the fallback. */
  find(name: string | undefined): T {
    if (name === undefined) return this.#fallback
    return this.#exact.get(name) ?? this.#findSuffix(name) ?? this.#findPrefix(name) ?? this.#fallback
  }

  #add(name: string, value: T): void {
    const bare = name.replace(/^\*?\.|\.\*$/, '')
    if (/[*~\s]/.test(bare) || name !== name.toLowerCase() || (bare === '' && name !== '')) {
      throw new Error(`server name ${JSON.stringify(name)}: write a lower-case name, *.name, .name or name.*`)
    }
    if (name.startsWith('.')) put(this.#exact, bare, value, name)
    if (name.startsWith('*.') || name.startsWith('.')) put(this.#suffixes, bare, value, name)
    else if (name.endsWith('.*')) put(this.#prefixes, bare, value, name)
    else put(this.#exact, bare, value, name)
  }

  #findSuffix(name: string): T | undefined {
    if (this.#suffixes.size === 0) return undefined
    for (let dot = name.indexOf('.'); dot !== -1; dot = name.indexOf('.', dot + 1)) {
      const found = this.#suffixes.get(name.slice(dot + 1))
      if (found !== undefined) return found
    }
    return undefined
  }

  #findPrefix(name: string): T | undefined {
    if (this.#prefixes.size === 0) return undefined
    for (let dot = name.lastIndexOf('.'); dot > 0; dot = name.lastIndexOf('.', dot - 1)) {
      const found = this.#prefixes.get(name.slice(0, dot))
      if (found !== undefined) return found
    }
    return undefined
  }
}

function put<T>(map: Map<string, T>, key: string, value: T, name: string): void {
  if (map.has(key) && map.get(key) !== value) {
    throw new Error(`server name ${JSON.stringify(name)} belongs to two servers: leave it in one`)
  }
  map.set(key, value)
}
