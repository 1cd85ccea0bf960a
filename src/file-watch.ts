import { type Stats, unwatchFile, watchFile } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** How often files are looked at, in milliseconds. Polling also sees the symlinks that Kubernetes swaps. */
const INTERVAL = 1000
/** Files of one change are often written one after the other. */
const SETTLE_TIME = 300
/** Of more, each is looked at less often: 20,000 in a second would take a tenth of a processor. */
const MOST_A_SECOND = 2000
// All that begin to be watched together are looked at together ever after, in one turn of the event loop.
const TOGETHER = 100
const APART = 10

/** Tells of changes of a set of files, whether they exist yet or not. */
export class FileWatch {
  readonly #changed: () => void
  #wanted: ReadonlySet<string> = new Set()
  readonly #watched = new Set<string>()
  #timer: NodeJS.Timeout | undefined

  constructor(changed: () => void) {
    this.#changed = changed
  }

  /** Replaces the set. What was watched already is watched on, so that no change between two sets is missed. */
  watch(files: readonly string[]): void {
    this.#wanted = new Set(files)
    for (const file of this.#watched) if (!this.#wanted.has(file)) this.#forget(file)
    void this.#begin([...this.#wanted], INTERVAL * Math.ceil(this.#wanted.size / MOST_A_SECOND))
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.watch([])
  }

  async #begin(files: readonly string[], interval: number): Promise<void> {
    for (const [count, file] of files.filter((each) => !this.#watched.has(each)).entries()) {
      if (count % TOGETHER === TOGETHER - 1) await sleep(APART, undefined, { ref: false })
      if (!this.#wanted.has(file) || this.#watched.has(file)) continue
      this.#watched.add(file)
      watchFile(file, { interval, persistent: false }, this.#looked)
    }
  }

  #forget(file: string): void {
    this.#watched.delete(file)
    unwatchFile(file, this.#looked)
  }

  readonly #looked = (now: Stats, before: Stats): void => {
    // Node also calls where the file was read, and at once for one that is not there: a reload each time would never end.
    if (now.mtimeMs === before.mtimeMs && now.ino === before.ino && now.size === before.size) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(this.#changed, SETTLE_TIME)
  }
}
