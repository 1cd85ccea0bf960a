import { type FSWatcher, statSync, watch } from 'node:fs'
import { basename } from 'node:path'

/** Kubernetes swaps this symlink, and through it everything that the folder holds. */
const SWAPPED = '..data'

interface Watched {
  readonly watcher: FSWatcher
  readonly identity: string
}

/** Told by the system (inotify(7)) of what changes in a set of folders. A folder that it cannot watch is left out. */
export class FolderWatch {
  readonly #changed: (folder: string, name: string | undefined) => void
  readonly #watched = new Map<string, Watched>()
  #wanted: ReadonlySet<string> = new Set()

  /** @param changed called with the name in its folder; without one where anything in it may have changed */
  constructor(changed: (folder: string, name: string | undefined) => void) {
    this.#changed = changed
  }

  /** Replaces the set, if with itself: then a folder is watched that has taken the place of another. @returns whether all of them are watched */
  watch(wanted = this.#wanted): boolean {
    this.#wanted = wanted
    for (const [folder, { watcher, identity }] of this.#watched) {
      // Where a symlink leads to another folder now, the system has told nothing.
      if (!wanted.has(folder) || identityOf(folder) !== identity) this.#forget(folder, watcher)
    }
    for (const folder of wanted) if (!this.#watched.has(folder)) this.#begin(folder)
    return wanted.size > 0 && this.#watched.size === wanted.size
  }

  #begin(folder: string): void {
    try {
      const identity = identityOf(folder)
      const watcher = watch(folder, { persistent: false })
      this.#watched.set(folder, { watcher, identity })
      watcher.on('error', () => this.#forget(folder, watcher))
      watcher.on('change', (type, name) => {
        // Its own name: perhaps the folder itself is gone, and whatever takes its place is another one. It may also be that of a file in it.
        const isGone = type === 'rename' && name === basename(folder) && identityOf(folder) !== identity
        if (isGone) this.#forget(folder, watcher)
        this.#changed(folder, isGone || name === SWAPPED ? undefined : name?.toString())
      })
    } catch {
      // It does not exist, or there are too many already: its files are looked at now and then all the same.
    }
  }

  #forget(folder: string, watcher: FSWatcher): void {
    watcher.close()
    if (this.#watched.get(folder)?.watcher === watcher) this.#watched.delete(folder)
  }
}

/** File systems give the number of a folder that is gone to the next one. Empty where nobody may see it. */
function identityOf(folder: string): string {
  try {
    const { dev, ino, birthtimeNs } = statSync(folder, { bigint: true })
    return `${dev} ${ino} ${birthtimeNs}`
  } catch {
    return ''
  }
}
