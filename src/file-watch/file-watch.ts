import { type Stats, unwatchFile, watchFile } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { inSlices, type Slices } from '../slices.ts'
import { FolderWatch } from './folder-watch.ts'

/** How often files are looked at, in milliseconds. Polling also sees the symlinks that Kubernetes swaps. */
const INTERVAL = 1000
/** A change often writes several files, one after the other. */
const SETTLE_TIME = 300
/** So long at most: whoever writes without end does not keep a revocation from being noticed. */
const LONGEST_SETTLE_TIME = 10_000
/** With more files, each is checked less often: checking 20,000 in a second would take a tenth of a processor. */
const MOST_A_SECOND = 2000
/** So many are checked in a second where the system tells of changes in the folders of all. It tells nothing of file systems that others write to (inotify(7)). */
const TOLD_A_SECOND = 500
/** A gateway with so many files rarely has them in more folders; whoever has is not told. */
const MOST_FOLDERS = 1000
// Files whose watch begins in the same turn of the event loop are checked in the same turn ever after. So they begin in groups.
const TOGETHER = 100
const APART = 10

const NONE: ReadonlySet<string> = new Set()

/** Watches a set of files, whether or not they exist yet. */
export class FileWatch {
  readonly #changed: () => void
  #wanted: ReadonlySet<string> = new Set()
  readonly #watched = new Set<string>()
  readonly #folders = new FolderWatch((folder, name) => this.#hear(folder, name))
  /** What the system has told of since the last change: files, and folders in which anything may be another. */
  readonly #told = new Set<string>()
  #timer: NodeJS.Timeout | undefined
  #unsettledSince: number | undefined

  constructor(changed: () => void) {
    this.#changed = changed
  }

  /** Replaces the set. Files in both sets are watched without a gap, so that no change is missed. */
  watch(files: readonly string[]): void {
    this.#wanted = new Set(files)
    void this.#follow(this.#wanted)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.watch([])
  }

  async #follow(wanted: ReadonlySet<string>): Promise<void> {
    const folders = wanted.size > MOST_A_SECOND ? await inSlices(foldersOf(wanted)) : NONE
    if (this.#wanted !== wanted) return
    const areTold = this.#folders.watch(folders.size > MOST_FOLDERS ? NONE : folders)
    const missing = await inSlices(this.#forgetOthers(wanted))
    const interval = INTERVAL * Math.ceil(wanted.size / (areTold ? TOLD_A_SECOND : MOST_A_SECOND))
    for (const [count, file] of missing.entries()) {
      if (count % TOGETHER === TOGETHER - 1) await sleep(APART, undefined, { ref: false })
      if (!this.#wanted.has(file) || this.#watched.has(file)) continue
      this.#watched.add(file)
      watchFile(file, { interval, persistent: false }, this.#looked)
    }
  }

  /** @returns the files that are not watched yet */
  *#forgetOthers(wanted: ReadonlySet<string>): Slices<string[]> {
    const missing: string[] = []
    for (const file of this.#watched) {
      if (this.#wanted !== wanted) return []
      if (!wanted.has(file)) this.#forget(file)
      yield
    }
    for (const file of wanted) {
      if (!this.#watched.has(file)) missing.push(file)
      yield
    }
    return missing
  }

  #forget(file: string): void {
    this.#watched.delete(file)
    unwatchFile(file, this.#looked)
  }

  #hear(folder: string, name: string | undefined): void {
    const path = name === undefined ? folder : join(folder, name)
    // A folder of revocation lists is one of the files: whatever comes into it is a change.
    const isWanted = this.#wanted.has(folder)
    if (name !== undefined && !isWanted && !this.#wanted.has(path)) return
    this.#told.add(path)
    if (isWanted) this.#told.add(folder)
    this.#settle()
  }

  readonly #looked = (now: Stats, before: Stats): void => {
    // Node also calls this at once for a file that is missing. Otherwise something has changed, if only who may read it, or the file is back as it was.
    if (now.ino === 0 && before.ino === 0) return
    // Of thousands of files, some are still watched for a moment after a stop.
    if (this.#wanted.size === 0) return
    this.#settle()
  }

  #settle(): void {
    const now = performance.now()
    this.#unsettledSince ??= now
    clearTimeout(this.#timer)
    const left = this.#unsettledSince + LONGEST_SETTLE_TIME - now
    this.#timer = setTimeout(this.#settled, Math.max(0, Math.min(SETTLE_TIME, left)))
  }

  readonly #settled = (): void => {
    this.#unsettledSince = undefined
    if (this.#told.size > 0) this.#beginAgain(this.#told)
    this.#told.clear()
    this.#changed()
  }

  /** What has been told is no news when the files are looked at the next time. Meanwhile the system tells of them. */
  #beginAgain(told: ReadonlySet<string>): void {
    this.#folders.watch()
    for (const file of this.#watched) if (told.has(file) || told.has(dirname(file))) this.#forget(file)
    void this.#follow(this.#wanted)
  }
}

function* foldersOf(files: ReadonlySet<string>): Slices<ReadonlySet<string>> {
  const folders = new Set<string>()
  for (const file of files) {
    folders.add(dirname(file))
    yield
  }
  return folders
}
