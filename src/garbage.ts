import { setFlagsFromString } from 'node:v8'

/** When V8 begins a full collection, in percent of what its heap may grow by from one to the next; 0 leaves it to V8. */
interface Triggers {
  readonly soft: number
  readonly hard: number
}

const LATE: Triggers = { soft: 80, hard: 90 }
/** How long the next collection may take to begin: V8 looks whenever it has given out some memory. */
const SOON_MS = 3000

let usual: Triggers = { soft: 0, hard: 0 }
let soon: NodeJS.Timeout | undefined

/**
 * Makes V8 begin a full collection later: at most of its limit, and not as soon as less than the size of its young generation is left.
 *
 * Bytes of buffers count towards that limit, and a body that streams makes hundreds of MB of them a second. As soon as other load has made the
 * young generation grow to its 16 MB, a heap of our size is marked as a whole after every 8 MB of a body, which costs more than the
 * body (docs/performance.md). Both flags are read each time that V8 decides, so that they may be set while it runs, which it does without
 * being started anew with options that `sallyport` would have to be told by whoever starts it.
 */
export function collectLate(): void {
  usual = LATE
  set(usual)
}

/**
 * Makes V8 begin a full collection with the next memory that it gives out, beside the requests and not instead of them. A configuration that was replaced
 * holds what V8 does not see, as TLS contexts, and has outlived the young generation: it would stay until the heap has grown by as much again.
 */
export function collectSoon(): void {
  set({ ...usual, soft: 1 })
  clearTimeout(soon)
  soon = setTimeout(() => set(usual), SOON_MS).unref()
}

function set({ soft, hard }: Triggers): void {
  setFlagsFromString(`--incremental-marking-soft-trigger=${soft}`)
  setFlagsFromString(`--incremental-marking-hard-trigger=${hard}`)
}
