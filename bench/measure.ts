/** The measurements: each takes one running gateway, loads it once, and returns numbers. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import type { Client } from './client.ts'
import type { Pki } from './pki.ts'
import { startProbe } from './probe.ts'
import { cpuMicroseconds, residentKib, run, runCommand } from './processes.ts'
import { BODY_BYTES } from './upstream.ts'

/** How much of each; `--quick` makes all of them smaller. */
export interface Sizes {
  /** In a load of a gateway's own. */
  readonly requests: number
  /** What of a round is each gateway's, where they take turns. */
  readonly sliceSeconds: number
  readonly handshakes: number
  /** Transfers of BODY_BYTES, each way. */
  readonly bodies: number
  readonly idleConnections: number
  readonly latencySeconds: number
  /** At once, by one process. */
  readonly heldConnections: number
  /** In a file. */
  readonly users: number
}

/** One gateway under measurement. */
export interface Subject {
  readonly name: string
  readonly pid: number
  readonly port: number
  /** The file that holds what it writes. */
  readonly log: string
  /** From its start to its first answer. */
  readonly startMs: number
}

export interface Bench {
  /** For files of the bench's own. */
  readonly folder: string
  readonly pki: Pki
  readonly client: Client
  readonly bodyFile: string
  /** 1 KB. */
  readonly smallBodyFile: string
  readonly sizes: Sizes
}

export type Figures = Readonly<Record<string, number>>

const CONCURRENCY = 32
/** Held open before the first reading of memory, so that what a first connection allocates once is not counted. */
const IDLE_WARM_UP = 500
const IDLE_OPENED_AT_ONCE = 20
/** Connections still being torn down belong to the load that opened them. */
const AFTER_LOAD_MS = 100
const MEMORY_SETTLES_MS = 1_500

/** CPU time of the gateway while `load` ran, in microseconds. */
export async function cpuDuring(subject: Subject, load: () => Promise<unknown>): Promise<number> {
  const before = cpuMicroseconds(subject.pid)
  await load()
  await sleep(AFTER_LOAD_MS)
  return cpuMicroseconds(subject.pid) - before
}

/** Small answers over kept connections. What they cost is measured in slices. */
export async function measureRequests(bench: Bench, subject: Subject): Promise<Figures> {
  const { perSecond, p99 } = await loadWith(bench, subject, bench.sizes.requests / 3)
  return { requestsPerSecond: perSecond, p99 }
}

/** By the number of routes and hosts that are configured beside the one that is asked for: the start, a reload, and memory after a load. */
export async function measureGrowth(bench: Bench, subject: Subject, many: boolean): Promise<Figures> {
  const mib = residentKib(subject.pid) / 1024
  if (!many) return { tenRoutesMib: mib }
  const { reloadMs, latency } = await reloadWhole(bench, subject)
  return {
    ...{ manyRoutesMib: mib, manyRoutesStart: subject.startMs },
    ...{ manyRoutesReload: reloadMs, reloadP999: latency.p999, reloadLongest: latency.longest },
  }
}

/** Reloads, and then sends requests until what was replaced is collected, which is no part of what the next round's requests cost. */
export async function reloadWhole(bench: Bench, subject: Subject) {
  const result = await reload(bench.pki, subject, { line: '"msg":"reloaded"' })
  await loadWith(bench, subject, bench.sizes.requests / 10)
  return result
}

const RELOAD_LIMIT_MS = 60_000

/** What requests at a steady pace wait while the configuration is read again, until the log has this line. */
export async function reload(
  pki: Pki,
  { pid, port, log }: Pick<Subject, 'pid' | 'port' | 'log'>,
  { line }: { line: string },
) {
  const probe = await startProbe(pki, port)
  const lines = () => readFileSync(log, 'utf8').split(line).length
  let reloadMs = 0
  try {
    const latency = await probe.during(async () => {
      const [before, began] = [lines(), performance.now()]
      process.kill(pid, 'SIGHUP')
      while (lines() === before) {
        if (performance.now() - began > RELOAD_LIMIT_MS) throw new Error(`does not log ${line} after SIGHUP`)
        await sleep(5)
      }
      reloadMs = performance.now() - began
      await sleep(AFTER_LOAD_MS)
    })
    return { reloadMs, latency }
  } finally {
    await probe.stop()
  }
}

/** What ab is to do, beside the arguments that are always the same. */
interface ApacheBench {
  readonly keepAlive: boolean
  readonly path: string
  /** How many requests, or how long. */
  readonly limits: readonly string[]
  readonly more: readonly string[]
}

interface ApacheBenchResult {
  readonly complete: number
  readonly perSecond: number
  readonly p99: number
}

/** 32 connections that send one request after the other. The result rejects where one of them went wrong. */
export function apacheBench(bench: Bench, subject: Subject, { keepAlive, path, limits, more }: ApacheBench) {
  const percentiles = join(bench.folder, `${subject.name}.csv`)
  const command = runCommand('ab', [
    ...['-q', '-c', String(CONCURRENCY), ...limits, '-E', bench.pki.client.both, '-e', percentiles],
    ...(keepAlive ? ['-k'] : []),
    ...more,
    `https://localhost:${subject.port}/${path}`,
  ])
  const result = command.output.then((output): ApacheBenchResult => {
    const figure = (label: string) => Number(new RegExp(`^${label}:\\s+([\\d.]+)`, 'm').exec(output)?.[1] ?? 0)
    const complete = figure('Complete requests')
    const bad = figure('Failed requests') + figure('Non-2xx responses')
    if (bad > 0) throw new Error(`${bad} of ${complete} requests went wrong`)
    if (!/^SSL\/TLS Protocol:\s+TLSv1\.3,/m.test(output)) throw new Error('the connection is not TLS 1.3')
    const kept = figure('Keep-Alive requests')
    if (keepAlive ? kept < complete * 0.99 : kept > 0)
      throw new Error(`${kept} of ${complete} requests kept their connection`)
    const p99 = Number(/^99,([\d.]+)$/m.exec(readFileSync(percentiles, 'utf8'))?.[1])
    return { complete, perSecond: figure('Requests per second'), p99 }
  })
  return { command, result }
}

/** So many requests, as a whole. */
export async function loadWith(
  bench: Bench,
  subject: Subject,
  total: number,
  { path = '' } = {},
): Promise<ApacheBenchResult> {
  const limits = ['-n', String(total)]
  const result = await apacheBench(bench, subject, { keepAlive: true, path, limits, more: [] }).result
  if (result.complete !== total) throw new Error(`ab completed ${result.complete} of ${total}`)
  return result
}

/** Large bodies over one kept connection, first down, then up. */
export async function measureBodies(bench: Bench, subject: Subject): Promise<Figures> {
  const count = bench.sizes.bodies
  const gigabytes = (count * BODY_BYTES) / 1e9
  const download = await cpuDuring(subject, () => curl(bench, subject, 'body.bin', 'size_download', []))
  const upload = await cpuDuring(subject, () =>
    curl(bench, subject, 'upload/body.bin', 'size_upload', ['-H', 'Expect:', '-T', bench.bodyFile]),
  )
  return { downloadCpu: download / 1e6 / gigabytes, uploadCpu: upload / 1e6 / gigabytes }
}

async function curl(bench: Bench, subject: Subject, path: string, size: string, more: readonly string[]) {
  const { client, ca } = bench.pki
  const output = await run('curl', [
    ...['-sS', '--fail', '--http1.1', '--cert', client.certificate, '--key', client.key, '--cacert', ca],
    ...['-o', '/dev/null', '-w', `%{${size}} %{num_connects}\\n`, ...more],
    `https://localhost:${subject.port}/${path}?[1-${bench.sizes.bodies}]`,
  ])
  const transfers = output.trim().split('\n')
  const whole = transfers.filter((line) => line.startsWith(`${BODY_BYTES} `)).length
  if (whole !== bench.sizes.bodies)
    throw new Error(`${whole} of ${bench.sizes.bodies} bodies were whole: ${output.trim()}`)
}

/** Memory at rest, and what each idle connection adds. Wants a gateway that was started just now. */
export async function measureIdle(bench: Bench, subject: Subject): Promise<Figures> {
  const count = bench.sizes.idleConnections
  const held: TLSSocket[] = []
  try {
    const rest = await settledKib(subject)
    await holdConnections(bench, subject, held, IDLE_WARM_UP)
    const before = await settledKib(subject)
    await holdConnections(bench, subject, held, count)
    const after = await settledKib(subject)
    const closed = held.filter((socket) => socket.closed || socket.readableEnded).length
    if (closed > 0) throw new Error(`closed ${closed} of ${held.length} idle connections within seconds`)
    return { restMib: rest / 1024, idleKib: (after - before) / count }
  } finally {
    for (const socket of held) socket.destroy()
  }
}

async function settledKib(subject: Subject): Promise<number> {
  await sleep(MEMORY_SETTLES_MS)
  return residentKib(subject.pid)
}

async function holdConnections(bench: Bench, subject: Subject, held: TLSSocket[], count: number): Promise<void> {
  for (let opened = 0; opened < count; opened += IDLE_OPENED_AT_ONCE) {
    const batch = Array.from({ length: Math.min(IDLE_OPENED_AT_ONCE, count - opened) }, () =>
      bench.client.hold(subject.port),
    )
    held.push(...(await Promise.all(batch)))
  }
}
