/** Child processes of the bench: started in groups of their own, bounded in time, and gone when the bench is gone. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { delimiter } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** The unit of utime and stime in /proc/PID/stat: sysconf(_SC_CLK_TCK), 100 on every Linux that Node runs on (proc(5)). */
const TICKS_PER_SECOND = 100
/** No command of the bench runs longer, whatever hangs. */
const COMMAND_LIMIT_MS = 180_000
/** Debian keeps nginx and haproxy where only root's PATH looks. */
const SEARCH_PATH = [process.env.PATH, '/usr/local/sbin', '/usr/sbin', '/sbin'].join(delimiter)

const groups = new Set<number>()

/** Kills every process that the bench started. Synchronous, because it also runs in an `exit` handler. */
export function killAll(): void {
  for (const group of groups) killGroup(group)
  groups.clear()
}

function killGroup(group: number): void {
  try {
    process.kill(-group, 'SIGKILL')
  } catch {
    // ESRCH: all of it is gone already.
  }
}

/**
 * Starts a process with a small environment, so that neither NODE_OPTIONS nor npm's variables change what is measured.
 * It leads its own group: an nginx master that is killed leaves its workers behind, a killed group leaves nothing.
 */
function launch(command: string, args: readonly string[], env: NodeJS.ProcessEnv, output: number | 'pipe') {
  const child = spawn(command, args, {
    detached: true,
    env: { PATH: SEARCH_PATH, HOME: process.env.HOME, LANG: 'C.UTF-8', ...env },
    stdio: ['ignore', output, output],
  })
  const group = child.pid
  if (group !== undefined) {
    groups.add(group)
    child.once('exit', () => {
      killGroup(group)
      groups.delete(group)
    })
  }
  return child
}

export interface Running {
  readonly pid: number
  /** On the clock of performance.now(), before the process was made. */
  readonly startedAt: number
  readonly exited: () => boolean
  /** The end of what it wrote, for messages. */
  readonly lastWords: () => string
  /** SIGTERM, and SIGKILL to its group where that does not help within five seconds. */
  readonly stop: () => Promise<void>
}

/** Starts a long-running process whose output goes to the file `log`. */
export async function start(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  log: string,
): Promise<Running> {
  const file = openSync(log, 'w')
  const startedAt = performance.now()
  const child = launch(command, args, env, file)
  closeSync(file)
  const gone = exitOf(child)
  await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject))
  const pid = child.pid as number
  return {
    pid,
    startedAt,
    exited: () => child.exitCode !== null || child.signalCode !== null,
    lastWords: () => readFileSync(log, 'utf8').trim().split('\n').slice(-5).join('\n    '),
    stop: async () => {
      child.kill('SIGTERM')
      await Promise.race([gone, sleep(5_000, undefined, { ref: false })])
      killGroup(pid)
      await gone
    },
  }
}

function exitOf(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => child.once('exit', () => resolve()).once('error', () => resolve()))
}

/** A command that runs to its end. */
export interface Command {
  readonly signal: (name: NodeJS.Signals) => void
  /** What it wrote to both outputs. Rejects on a status other than 0. */
  readonly output: Promise<string>
}

export function runCommand(command: string, args: readonly string[]): Command {
  const child = launch(command, args, {}, 'pipe')
  return { signal: (name) => child.kill(name), output: outputOf(command, child) }
}

/** Runs a command to its end and returns what it wrote to both outputs. Rejects on a status other than 0. */
export function run(command: string, args: readonly string[]): Promise<string> {
  return runCommand(command, args).output
}

async function outputOf(command: string, child: ChildProcess): Promise<string> {
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk
    })
  }
  const limit = setTimeout(() => child.pid !== undefined && killGroup(child.pid), COMMAND_LIMIT_MS)
  try {
    const status = await new Promise<number | string>((resolve, reject) =>
      child.once('error', reject).once('close', (code, signal) => resolve(code ?? signal ?? 'unknown')),
    )
    if (status === 0) return output
    throw new Error(`${command} ended with ${status}: ${output.trim().split('\n').slice(-3).join(' | ')}`)
  } finally {
    clearTimeout(limit)
  }
}

/** What `command` writes, or undefined where there is no such command. */
export async function runIfThere(command: string, args: readonly string[]): Promise<string | undefined> {
  try {
    return await run(command, args)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** A TCP port on loopback that nobody listens on now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

/**
 * CPU time that a process and its descendants have used, all threads, user and system, in microseconds.
 * Children that ended and were waited for count too, so a difference of two readings loses nothing.
 */
export function cpuMicroseconds(pid: number): number {
  let ticks = 0
  for (const stat of tree(pid)) ticks += stat.ticks
  return (ticks * 1e6) / TICKS_PER_SECOND
}

/** Confines the bench, and all that it started and starts meanwhile, to some processors, as taskset(1) names them. */
export async function onProcessors(some: string, during: () => Promise<number>): Promise<number> {
  const all = /^Cpus_allowed_list:\s+(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'
  await confine(some)
  try {
    return await during()
  } finally {
    await confine(all)
  }
}

async function confine(processors: string): Promise<void> {
  // One after the other: each is a process of the bench itself.
  for (const { pid } of tree(process.pid)) await run('taskset', ['-a', '-p', '-c', processors, String(pid)])
}

/** What a thread has computed, and how long it could have computed but had no processor, in milliseconds. */
export interface ThreadTime {
  readonly computed: number
  readonly waited: number
}

/** Of all threads of a process and its descendants, by their id (the kernel's sched-stats.rst, "/proc/<pid>/schedstat"); none where the kernel does not count. */
export function threadTimes(pid: number): ReadonlyMap<string, ThreadTime> {
  const times = new Map<string, ThreadTime>()
  for (const member of tree(pid)) {
    const threads = `/proc/${member.pid}/task`
    for (const id of readdirSync(threads)) {
      const [computed, waited] = readIfThere(`${threads}/${id}/schedstat`)?.split(' ').map(Number) ?? []
      if (computed !== undefined && waited !== undefined)
        times.set(id, { computed: computed / 1e6, waited: waited / 1e6 })
    }
  }
  return times
}

/** Of the thread that computed most between two readings. */
export function busiestThread(
  before: ReadonlyMap<string, ThreadTime>,
  after: ReadonlyMap<string, ThreadTime>,
): ThreadTime | undefined {
  const spent = [...after].map(([id, { computed, waited }]) => {
    const earlier = before.get(id)
    return { computed: computed - (earlier?.computed ?? 0), waited: waited - (earlier?.waited ?? 0) }
  })
  return spent.toSorted((a, b) => b.computed - a.computed)[0]
}

/** CPU time of the bench's own commands that have ended, as the load generators. */
export function endedCommandsCpu(): number {
  return ((readStat(process.pid)?.childTicks ?? 0) * 1e6) / TICKS_PER_SECOND
}

/** How many files this process, and what it starts, may have open each. */
export function openFilesLimit(): number {
  const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))
  return Number(limit?.[1] ?? 1024)
}

/** Resident memory of a process and its descendants, in KiB. Pages that they share count once for each of them. */
export function residentKib(pid: number): number {
  let kib = 0
  for (const member of tree(pid)) {
    kib += Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${member.pid}/status`, 'utf8'))?.[1] ?? 0)
  }
  return kib
}

interface ProcessStat {
  readonly pid: number
  readonly parent: number
  readonly ticks: number
  /** Of its children that have ended, part of `ticks`. */
  readonly childTicks: number
}

function tree(root: number): ProcessStat[] {
  const all = readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? (readStat(Number(name)) ?? []) : []))
  const members = all.filter((stat) => stat.pid === root)
  if (members.length === 0) throw new Error(`process ${root} is gone`)
  for (const member of members) members.push(...all.filter((stat) => stat.parent === member.pid))
  return members
}

function readStat(pid: number): ProcessStat | undefined {
  const text = readIfThere(`/proc/${pid}/stat`)
  if (text === undefined) return undefined
  // The command's name stands in parentheses and may hold blanks and parentheses itself: the fields begin after the last one.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const [utime, stime, cutime, cstime] = fields.slice(11, 15).map(Number)
  const childTicks = (cutime ?? 0) + (cstime ?? 0)
  return { pid, parent: Number(fields[1]), ticks: (utime ?? 0) + (stime ?? 0) + childTicks, childTicks }
}

/** A process or a thread may end between the listing and the reading. */
function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return undefined
  }
}
