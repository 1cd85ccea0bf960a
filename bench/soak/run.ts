/** The whole of a soak's time: clients, events, and readings. */
import type { Caller } from './callers.ts'
import { Events, pause } from './events.ts'
import type { GatewayLog } from './gateway-log.ts'
import { type Sample, takeSample } from './growth.ts'
import type { Ledger } from './ledger.ts'
import type { Scene } from './scene.ts'
import * as traffic from './traffic.ts'

const MINUTE = 60_000
const SAMPLE_EVERY_MS = 5_000
/** Replacements of the workers, at the beginning and at the end of a run. */
const REPLACE_EVERY_MS = 40_000
const OUTLAW_EVERY_MS = 700

/** How many clients of each kind there are at a time. */
const CLIENTS: Readonly<Record<string, readonly [number, traffic.Round]>> = {
  'requests on kept connections': [24, traffic.kept],
  'requests on new connections': [2, traffic.fresh],
  downloads: [3, traffic.downloads],
  'slow readers': [4, traffic.slowReaders],
  uploads: [3, traffic.uploads],
  'long answers': [3, traffic.longAnswers],
  'messages on WebSockets': [6, traffic.webSockets],
  'clients that left': [1, traffic.leavers],
}

export interface Soak {
  readonly scene: Scene
  readonly log: GatewayLog
  readonly ledger: Ledger
  /** Milliseconds. */
  readonly duration: number
}

/** @returns samples from the time in which nothing may grow */
export async function runSoak(soak: Soak): Promise<Sample[]> {
  const { scene, log, ledger, duration } = soak
  const events = new Events(scene, log, ledger)
  const end = new AbortController()
  const clients = Object.entries(CLIENTS).flatMap(([kind, [count, round]]) =>
    Array.from({ length: count }, () => comeAndGo(soak, events, { kind, round }, end.signal)),
  )
  const happenings = [events.reloads(end.signal), events.deaths(end.signal), tryOutlaw(soak, events, end.signal)]
  const { samples, watched } = watchGrowth(soak, events, end.signal)
  await pause(duration, new AbortController().signal)
  end.abort()
  await Promise.all([...clients, ...happenings, watched])
  return samples
}

/** Replaces workers before and after the time in which they are watched, and not long before: new ones take their time to be warm. */
function watchGrowth({ scene, duration }: Soak, events: Events, signal: AbortSignal) {
  const startedAt = performance.now()
  const from = Math.min(5 * MINUTE, duration / 4)
  const until = duration - Math.min(3 * MINUTE, duration / 5)
  const samples: Sample[] = []
  const sample = async () => {
    while (await pause(SAMPLE_EVERY_MS, signal)) {
      const elapsed = performance.now() - startedAt
      if (elapsed > from && elapsed < until) samples.push(await takeSample(scene))
    }
  }
  const replace = async () => {
    while (await pause(Math.min(REPLACE_EVERY_MS, duration / 15), signal)) {
      const elapsed = performance.now() - startedAt
      if (elapsed < from / 2 || elapsed > until) await events.replace(signal)
    }
  }
  return { samples, watched: Promise.all([sample(), replace()]) }
}

/** One client after the other, each with an identity of its own. */
async function comeAndGo(
  { scene, ledger }: Soak,
  events: Events,
  { kind, round }: { kind: string; round: traffic.Round },
  signal: AbortSignal,
): Promise<void> {
  const stage = { port: scene.port, succeeded: () => ledger.succeeded(kind), stopping: () => signal.aborted }
  // Not all at once.
  await pause(Math.random() * 3000, signal)
  while (!signal.aborted) {
    const caller = scene.callers[Math.floor(Math.random() * scene.callers.length)] as Caller
    try {
      await round({ ...stage, caller })
    } catch (error) {
      if (error instanceof traffic.Unsavable && events.deathIsFelt) ledger.unsavable += 1
      else ledger.problem(kind, told(error))
      await pause(500, signal)
    }
  }
}

/** Somebody who is on the revocation list at times, on new connections, with sessions of times when he was not. */
async function tryOutlaw({ scene, ledger }: Soak, events: Events, signal: AbortSignal): Promise<void> {
  const call = traffic.outlawCalls(scene.port, scene.outlaw)
  while (await pause(OUTLAW_EVERY_MS, signal)) {
    const before = events.outlawed
    const listsBefore = events.lists
    const wasLetIn = await call().catch((error: unknown) => told(error))
    if (before === undefined || listsBefore !== events.lists) continue
    if (wasLetIn === !before)
      ledger.succeeded(before ? 'refusals of who is revoked' : 'requests of who is not any more')
    else ledger.problem('revocation', `${before ? 'revoked' : 'not revoked'}, but ${wasLetIn}`)
  }
}

function told(error: unknown): string {
  const { message, code } = error as Error & { code?: string }
  return `${message}${code === undefined || message.includes(code) ? '' : ` (${code})`}`
}
