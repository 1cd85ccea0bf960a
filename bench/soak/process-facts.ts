/** What Linux tells of a process, see proc(5). */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

export interface ProcessFacts {
  readonly residentMb: number
  readonly fileDescriptors: number
  readonly sockets: number
}

export function factsOf(pid: number): ProcessFacts {
  const kilobytes = Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
  const open = readdirSync(`/proc/${pid}/fd`)
  const sockets = open.filter((descriptor) => targetOf(pid, descriptor).startsWith('socket:'))
  return { residentMb: kilobytes / 1024, fileDescriptors: open.length, sockets: sockets.length }
}

/** Empty where it was closed meanwhile. */
function targetOf(pid: number, descriptor: string): string {
  try {
    return readlinkSync(`/proc/${pid}/fd/${descriptor}`)
  } catch {
    return ''
  }
}

/** The processes that serve. */
export function workersOf(supervisor: number): number[] {
  return readFileSync(`/proc/${supervisor}/task/${supervisor}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
}
