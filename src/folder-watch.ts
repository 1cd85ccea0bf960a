import { type FSWatcher, watch } from 'node:fs'
import { basename } from 'node:path'

/** Kubernetes swaps this symlink, and through it everything that the folder holds. */
const SWAPPED = '..data'

/** Told by the system (inotify(7)) of what changes in a set of folders. A folder that it cannot watch, or that was replaced, is left out. */
export class FolderWatch {
  readonly #changed: (folder: string, name: string | undefined) => void
  readonly #watchers = new Map<string, FSWatcher>()

  /** @param changed called with the name in its folder; without one where anything in it may have changed */
  constructor(changed: (folder: string, name: string | undefined) => void) {
    this.#changed = changed
  }

  /** Replaces the set. @returns whether all of them are watched */
  watch(wanted: ReadonlySet<string>): boolean {
    for (const [folder, watcher] of this.#watchers) if (!wanted.has(folder)) this.#forget(folder, watcher)
    for (const folder of wanted) if (!this.#watchers.has(folder)) this.#begin(folder)
    return wanted.size > 0 && this.#watchers.size === wanted.size
  }

  #begin(folder: string): void {
    try {
      const watcher = watch(folder, { persistent: false })
      this.#watchers.set(folder, watcher)
      watcher.on('error', () => this.#forget(folder, watcher))
      watcher.on('change', (type, name) => {
        const changed = name === SWAPPED ? undefined : name?.toString()
        // Its own name: the folder itself is gone, and whatever takes its place is another one.
        if (type === 'rename' && changed === basename(folder)) this.#forget(folder, watcher)
        this.#changed(folder, changed)
      })
    } catch {
      // It does not exist, or there are too many already: its files are looked at now and then all the same.
    }
  }

  #forget(folder: string, watcher: FSWatcher): void {
    watcher.close()
    if (this.#watchers.get(folder) === watcher) this.#watchers.delete(folder)
  }
}
