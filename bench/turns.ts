/**
 * Loaded into a gateway on Node with `--import`: tells how long the turns of its event loop took, and how much of that it was computing. What a request
 * waits beyond that is somebody else's doing, as on a machine where the gateway, its clients and the bench share two cores.
 */
import { appendFileSync, readFileSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'

/** Where the gateway is told to write. */
export const TURNS_FILE = 'BENCH_TURNS'
const TOLD_EVERY_MS = 100

/** In milliseconds. */
export interface Turns {
  readonly longest: number
  readonly longestCpu: number
}

/** Of what ended between two times, in milliseconds since the epoch. */
export function turnsBetween(file: string, from: number, to: number): Turns {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
  const told = lines.map((line) => line.split(' ').map(Number)).filter(([at = 0]) => at >= from && at <= to)
  const most = (column: number) => Math.max(0, ...told.map((figures) => figures[column] ?? 0))
  return { longest: most(1), longestCpu: most(2) }
}

function watch(file: string): void {
  let [longest, longestCpu, toldAt] = [0, 0, 0]
  let [last, cpu] = [performance.now(), process.threadCpuUsage()]
  setInterval(() => {
    const now = performance.now()
    const used = process.threadCpuUsage(cpu)
    longest = Math.max(longest, now - last)
    longestCpu = Math.max(longestCpu, (used.user + used.system) / 1000)
    last = now
    cpu = process.threadCpuUsage()
    if (now - toldAt < TOLD_EVERY_MS) return
    appendFileSync(file, `${Date.now()} ${longest.toFixed(1)} ${longestCpu.toFixed(1)}\n`)
    longest = longestCpu = 0
    toldAt = now
  }, 1).unref()
}

const file = process.env[TURNS_FILE]
if (isMainThread && file) watch(file)
