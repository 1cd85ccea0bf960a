/**
 * CPU time per request of several gateways, in slices of a quarter of a second that they take in turns. What a request costs moves by a half within minutes on a machine whose
 * processor others share, and more for a program that touches much memory: in turns as short as these it moves for all of them alike.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Job } from './gateway.ts'
import { startHandshakes } from './handshakes.ts'
import { apacheBench, type Bench, type Subject } from './measure.ts'
import type { Row } from './options.ts'
import { cpuMicroseconds } from './processes.ts'

const SLICE_MS = 250
/** Requests on their way when the load is stopped are answered before the next gateway's turn. */
const SETTLES_MS = 20
/** The time ends a load, and never this. */
const MORE_THAN_ANYBODY_CAN = 5_000_000

/** What all gateways are asked, by 32 connections each. */
export interface Load {
  /** The figure's name; by the job where the row compares two of them. */
  readonly metric: string | Readonly<Partial<Record<Job, string>>>
  readonly path?: string
  /** A body of 1 KB with each request. */
  readonly post?: true
  /** A connection for each request: a full TLS 1.3 handshake, as ab never resumes a session. */
  readonly connect?: true
  /** The handshake alone. */
  readonly handshake?: true
}

/** What is measured in slices. */
export const LOADS: Readonly<Partial<Record<Row, readonly Load[]>>> = {
  requests: [{ metric: 'requestCpu' }],
  past: [{ metric: 'pastCpu' }],
  posts: [{ metric: 'postCpu', post: true }],
  answers: [
    { metric: 'answer10kCpu', path: '10k.bin' },
    { metric: 'answer100kCpu', path: '100k.bin' },
  ],
  handshakes: [
    { metric: 'handshakeCpu', handshake: true },
    { metric: 'connectionCpu', connect: true },
  ],
  // With an access log and ten routes, as in a deployment.
  real: [{ metric: 'realCpu' }],
  growth: [{ metric: { 'ten-routes': 'tenRoutesCpu', '10000-routes': 'manyRoutesCpu' } }],
  names: [{ metric: { 'ten-names': 'tenNamesCpu', '10000-names': 'manyNamesCpu' } }],
}

export function metricOf({ metric }: Load, job: Job): string {
  return typeof metric === 'string' ? metric : (metric[job] ?? job)
}

export interface Slices {
  /** Lets the load go on for one slice. */
  next(): Promise<void>
  /** Microseconds of CPU time per request of all slices. Rejects where a request went wrong. */
  end(): Promise<number>
  /** Ends a load that goes on, as where the gateway has failed. */
  leave(): void
}

/** How long all gateways' turns together take, in seconds. */
export function roundSeconds(bench: Bench, gateways: number): number {
  return Math.ceil(bench.sizes.sliceSeconds * gateways)
}

/** A load that is stopped until its first slice. It ends by itself once `seconds` have passed. */
export function startSlices(bench: Bench, subject: Subject, load: Load, seconds: number): Slices {
  const before = cpuMicroseconds(subject.pid)
  const running = load.handshake
    ? startHandshakes(bench.pki, subject.port, { seconds })
    : startRequests(bench, subject, load, seconds)
  const { signal } = running.command
  // Told by end(), which comes later.
  running.result.catch(() => undefined)
  signal('SIGSTOP')
  return {
    async next() {
      signal('SIGCONT')
      await sleep(SLICE_MS)
      signal('SIGSTOP')
      await sleep(SETTLES_MS)
    },
    async end() {
      signal('SIGCONT')
      const { complete } = await running.result
      await sleep(SETTLES_MS)
      return (cpuMicroseconds(subject.pid) - before) / complete
    },
    leave: () => void signal('SIGKILL'),
  }
}

function startRequests(bench: Bench, subject: Subject, { connect, path = '', post }: Load, seconds: number) {
  const limits = ['-t', String(seconds), '-n', String(MORE_THAN_ANYBODY_CAN)]
  const more = post ? ['-p', bench.smallBodyFile, '-T', 'application/octet-stream'] : []
  return apacheBench(bench, subject, { keepAlive: !connect, path, limits, more })
}
