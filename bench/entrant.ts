/** A gateway in a run of the bench: configured for one job, perhaps running, perhaps out of the race. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { checkGateway, plainStatus } from './client.ts'
import type { Gateway, Job, Launch } from './gateway.ts'
import { configure } from './gateways.ts'
import type { Bench, Figures, Subject } from './measure.ts'
import { freePort, type Running, start } from './processes.ts'

const START_LIMIT_MS = 60_000
const POLL_MS = 5

export interface Entrant {
  readonly gateway: Gateway
  readonly job: Job
  readonly version: string
  readonly port: number
  readonly launch: Launch
  readonly log: string
  process: Running | undefined
  /** How long the last start took until the first answer. */
  startMs: number
  failed: boolean
}

/** Configured, not yet running. */
export async function enter(
  bench: Bench,
  { gateway, job, version, upstreamPort }: { gateway: Gateway; job: Job; version: string; upstreamPort: number },
): Promise<Entrant> {
  const port = await freePort()
  const site = { port, adminPort: await freePort(), upstreamPort, pki: bench.pki, job }
  const launch = configure(gateway, bench.folder, site)
  const log = join(launch.home, 'output.log')
  return { gateway, job, version, port, launch, log, process: undefined, startMs: Number.NaN, failed: false }
}

export function subjectOf({ gateway, process: running, port, log, startMs }: Entrant): Subject {
  return { name: gateway.name, pid: running?.pid ?? 0, port, log, startMs }
}

/** Stops the gateway where it runs, starts it, and waits for its first answer (and for its own word, where it has one). */
export async function restart(bench: Bench, entrant: Entrant): Promise<Figures> {
  await entrant.process?.stop()
  const { command, args, env = {}, readyUrl } = entrant.launch
  const running = await start(command, args, env, entrant.log)
  entrant.process = running
  const [readyMs, startMs] = await Promise.all([
    readyUrl && firstSuccess(running, async () => (await plainStatus(readyUrl)) === 200),
    firstSuccess(running, async () => (await bench.client.ask(entrant.port, '/')).status === 200),
  ])
  entrant.startMs = startMs
  await checkGateway(bench.client, entrant.port)
  return readyMs ? { startMs, readyMs } : { startMs }
}

/** Milliseconds from the start of the process until `attempt` first returned true. */
export async function firstSuccess(running: Running, attempt: () => Promise<boolean>): Promise<number> {
  for (;;) {
    if (await attempt().catch(() => false)) return performance.now() - running.startedAt
    if (running.exited()) throw new Error(`ended at its start:\n    ${running.lastWords()}`)
    if (performance.now() - running.startedAt > START_LIMIT_MS) {
      throw new Error(`gave no good answer within ${START_LIMIT_MS / 1000} s:\n    ${running.lastWords()}`)
    }
    await sleep(POLL_MS)
  }
}
