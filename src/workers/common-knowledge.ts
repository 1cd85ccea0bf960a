import cluster, { type Worker } from 'node:cluster'
import type { LoadedConfig } from '../config/index.ts'
import { FetchedStatements } from '../runtime/revocation/fetched-statements.ts'
import { MemoryStore } from '../store/memory.ts'
import type { Intermediate, StartsWith, ToKnow } from './messages.ts'
import { send } from './send.ts'
import { answerStore } from './supervisor-store.ts'

/** As many as a worker remembers. */
const MOST_INTERMEDIATES = 200

/** What all workers of a gateway share, also those that are started later: their supervisor keeps it. */
export class CommonKnowledge {
  readonly #statements = new FetchedStatements()
  #intermediates: readonly Intermediate[] = []
  #store: MemoryStore | undefined

  constructor() {
    this.#statements.onChanged = (source, statement) => {
      const { edition } = this.#statements
      for (const worker of everyWorker()) send(worker, { kind: 'statement', edition, source, statement })
    }
  }

  /** Takes the size of the store from a configuration. */
  apply({ config }: LoadedConfig): void {
    if (!config) return
    this.#store ??= new MemoryStore(config.store.max_entries)
    this.#store.resize(config.store.max_entries)
  }

  /** What a new worker is given at its start. Everything later is sent to it too, in order. */
  get soFar(): StartsWith {
    return { intermediates: this.#intermediates, edition: this.#statements.edition }
  }

  heard(message: ToKnow, from: Worker): void {
    if (message.kind === 'store') {
      if (this.#store) void answerStore(this.#store, message).then((answer) => send(from, answer))
    } else if (message.kind === 'intermediate') {
      this.#intermediates = [...this.#intermediates, message].slice(-MOST_INTERMEDIATES)
      for (const worker of everyWorker()) if (worker !== from) send(worker, message)
    } else this.#statements.fetched(message.source, message.statement)
  }
}

/** Includes those that do not serve yet: they know only what there was when they were started. */
function everyWorker(): Worker[] {
  return Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined)
}
