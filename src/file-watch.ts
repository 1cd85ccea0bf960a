import { type Stats, unwatchFile, watchFile } from 'node:fs'

/** How often files are looked at, in milliseconds. Polling also sees the symlinks that Kubernetes swaps. */
const INTERVAL = 1000
/** Files of one change are often written one after the other. */
const SETTLE_TIME = 300

/** Tells of changes of a set of files, whether they exist yet or not. */
export class FileWatch {
  readonly #changed: () => void
  readonly #files = new Set<string>()
  #timer: NodeJS.Timeout | undefined

  constructor(changed: () => void) {
    this.#changed = changed
  }

  /** Replaces the set. What was watched already is watched on, so that no change between two sets is missed. */
  watch(files: readonly string[]): void {
    const wanted = new Set(files)
    for (const file of this.#files) if (!wanted.has(file)) this.#forget(file)
    for (const file of wanted) {
      if (this.#files.has(file)) continue
      this.#files.add(file)
      watchFile(file, { interval: INTERVAL, persistent: false }, this.#looked)
    }
  }

  stop(): void {
    clearTimeout(this.#timer)
    for (const file of this.#files) this.#forget(file)
  }

  #forget(file: string): void {
    this.#files.delete(file)
    unwatchFile(file, this.#looked)
  }

  readonly #looked = (now: Stats, before: Stats): void => {
    // Node also calls where the file was read, and at once for one that is not there: a reload each time would never end.
    if (now.mtimeMs === before.mtimeMs && now.ino === before.ino && now.size === before.size) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(this.#changed, SETTLE_TIME)
  }
}
