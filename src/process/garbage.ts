import { executionAsyncResource } from 'node:async_hooks'
import { constants, PerformanceObserver } from 'node:perf_hooks'
import { setFlagsFromString } from 'node:v8'

/** At how many percent of the heap's allowed growth V8 begins a full collection; 0 leaves it to V8. */
interface Triggers {
  readonly soft: number
  readonly hard: number
}

const LATE: Triggers = { soft: 80, hard: 90 }
const BY_V8: Triggers = { soft: 0, hard: 0 }

/** https://nodejs.org/api/perf_hooks.html#garbage-collection-gc-details */
type CollectionEntry = PerformanceEntry & { readonly detail: { readonly kind: number } }

/** So many connections that begin or end leave enough behind to be worth a collection, which costs as much as some twenty handshakes. */
const MANY = 200
/** Clients that connect again and again must not make a collection of each few seconds. */
const AFTER_MANY_MS = 30_000

/** So many clients within a second are a rush, as when all of them connect again. */
const RUSH = 100
const RUSH_MS = 1000

const WORK_MS = 1000

/** Where nobody rushes in. */
let calm = BY_V8
let usual = calm
/** Whether a collection has been asked for and has not begun. */
let asked = false
let opened = 0
/** Whether the second is being judged that opened connections are counted in. */
let watches = false
let changed = 0
const begins = new PerformanceObserver((list) => {
  if ((list.getEntries() as CollectionEntry[]).some(isBeginning)) collectAsUsual()
})

/**
 * Makes V8 begin a full collection later: near the limit of the heap, and not as soon as less room than the size of the young generation is left.
 *
 * The bytes of buffers count towards that limit, and a streaming body allocates hundreds of MB of them a second. Once other load has grown the young
 * generation to its 16 MB, a heap of our size would be marked as a whole after every 8 MB of a body. That costs more than the body itself
 * (docs/performance-log.md). V8 reads both flags each time it decides, so they can be set while it runs; the process need not be started with special
 * options.
 */
export function collectLate(): void {
  calm = LATE
  become(calm)
}

/**
 * To be called for each connection of a client that begins. In a rush V8 decides when to begin a full collection: each new connection leaves kilobytes
 * for the old generation, so that the last fifth of the heap's room would be full before marking has got anywhere. Everything then stops until all is
 * marked: for 100 – 170 ms with 10,000 connections (docs/performance-log.md).
 */
export function connectionOpened(): void {
  connectionChanged()
  opened += 1
  if (opened === RUSH) become(BY_V8)
  if (watches) return
  watches = true
  setTimeout(judgeSecond, RUSH_MS).unref()
}

function judgeSecond(): void {
  const rushes = opened >= RUSH
  opened = 0
  watches = rushes
  if (rushes) setTimeout(judgeSecond, RUSH_MS).unref()
  else become(calm)
}

/**
 * Makes V8 begin a full collection at the next allocation, in steps between the requests. A replaced configuration holds memory that V8 does not
 * count, such as TLS contexts, and has left the young generation. Without this it would stay until the heap has grown by as much again.
 */
export function collectSoon(): void {
  asked = true
  become(usual)
  // Hears of collections that begin from now on: one that is under way goes on to hold what it has found in use.
  begins.observe({ entryTypes: ['gc'] })
}

/**
 * As `collectSoon`, when `work` is done that makes many objects for a moment: those that V8 meets while it marks count as in use, and are copied in a
 * pause at its end. Not much later, though: the work may wait for others.
 * Rejects where the work does.
 */
export async function collectAfter(work: Promise<void> | undefined): Promise<void> {
  const late = new Promise((resolve) => setTimeout(resolve, WORK_MS).unref())
  await Promise.race([Promise.allSettled([work]), late])
  collectSoon()
  await work
}

function isBeginning({ detail }: CollectionEntry): boolean {
  return detail.kind === constants.NODE_PERFORMANCE_GC_INCREMENTAL
}

function collectAsUsual(): void {
  begins.disconnect()
  asked = false
  become(usual)
}

function become(triggers: Triggers): void {
  usual = triggers
  const { soft, hard } = asked ? { ...usual, soft: 1 } : usual
  setFlagsFromString(`--incremental-marking-soft-trigger=${soft}`)
  setFlagsFromString(`--incremental-marking-hard-trigger=${hard}`)
}

/**
 * To be called for each connection of a client that has ended. Half a minute after many have begun or ended, what they left is collected: a rush leaves
 * a heap behind that V8 lets grow to several times its size.
 *
 * Their certificates and buffers lie among what is still in use until then, as V8, which does not count them, sees no reason to hurry. Between them
 * malloc finds hundreds of holes of the size of a TLS record, and looks through them for each one that is read or written: up to a tenth of what a
 * request costs, for as long as nothing else makes V8 collect (docs/performance-log.md).
 */
export function connectionClosed(): void {
  connectionChanged()
}

function connectionChanged(): void {
  changed += 1
  if (changed === MANY) setTimeout(collectChanged, AFTER_MANY_MS).unref()
}

function collectChanged(): void {
  changed = 0
  collectSoon()
}

const kept: object[] = []

/**
 * Keeps process.nextTick as fast as it is in a young process.
 *
 * Node makes an object with computed names for each tick. V8 learns its shape, but holds it weakly: a full collection that meets no such object, as most
 * do, makes it forget, and from the third on each tick costs five times as much, for good (docs/performance-log.md). One object that stays keeps the shape.
 */
export function keepShapeOfTicks(): void {
  process.nextTick(() => kept.push(executionAsyncResource()))
}
