import { setFlagsFromString } from 'node:v8'

/** At how many percent of the heap's allowed growth V8 begins a full collection; 0 leaves it to V8. */
interface Triggers {
  readonly soft: number
  readonly hard: number
}

const LATE: Triggers = { soft: 80, hard: 90 }
/** How long to wait for the next collection to begin: V8 checks whenever memory is allocated. */
const SOON_MS = 3000

let usual: Triggers = { soft: 0, hard: 0 }
let soon: NodeJS.Timeout | undefined

/**
 * Makes V8 begin a full collection later: near the limit of the heap, and not as soon as less room than the size of the young generation is left.
 *
 * The bytes of buffers count towards that limit, and a streaming body allocates hundreds of MB of them a second. Once other load has grown the young
 * generation to its 16 MB, a heap of our size would be marked as a whole after every 8 MB of a body. That costs more than the body itself
 * (docs/performance.md). V8 reads both flags each time it decides, so they can be set while it runs; the process need not be started with special
 * options.
 */
export function collectLate(): void {
  usual = LATE
  set(usual)
}

/**
 * Makes V8 begin a full collection at the next allocation, in steps between the requests. A replaced configuration holds memory that V8 does not
 * count, such as TLS contexts, and has left the young generation. Without this it would stay until the heap has grown by as much again.
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
