/** Measurements of connections rather than requests: sessions that are resumed, many at once, many held. */
import { setTimeout as sleep } from 'node:timers/promises'
import { HYBRID_KEY_EXCHANGE, type ResumeOptions } from './client.ts'
import { startCrowd } from './crowd.ts'
import { type Bench, cpuDuring, type Figures, loadWith, type Subject } from './measure.ts'
import { startProbe } from './probe.ts'
import {
  busiestThread,
  cpuByProcess,
  endedCommandsCpu,
  openFilesLimit,
  residentKib,
  threadTimes,
  writtenByProcess,
} from './processes.ts'

/** Clients of the load, each with a session of its own that it resumes again and again. */
const RESUMING = 16
const LATENCY_CONNECTIONS = 128
const CROWD = 1_000
const CROWD_PROCESSES = 2
/** More than one process may have open where a distribution's limits are in force. */
const HELD_PROCESSES = 5
/** Few enough for the accept queue and the clients' own processors. */
const HELD_AT_ONCE = 50
const SETTLES_MS = 2_000
/** What a gateway has open beside its clients. */
const OTHER_FILES = 300

/** One resumed TLS 1.3 handshake and one request per connection. */
export async function measureResumed(bench: Bench, subject: Subject): Promise<Figures> {
  const resumedCpu = await resumeAgainAndAgain(bench, subject, {})
  const hybridCpu = await resumeAgainAndAgain(bench, subject, { ecdhCurve: HYBRID_KEY_EXCHANGE })
  return { resumedCpu, hybridCpu }
}

/** @returns microseconds of CPU time for each connection */
async function resumeAgainAndAgain(
  { client, sizes }: Bench,
  subject: Subject,
  options: ResumeOptions,
): Promise<number> {
  const total = sizes.handshakes
  const sessions = await Promise.all(
    Array.from({ length: RESUMING }, () => client.resume(subject.port, undefined, options)),
  )
  let left = total
  const one = async (first: Buffer) => {
    for (let session = first; left > 0; ) {
      left--
      session = await client.resume(subject.port, session, options)
    }
  }
  const cpu = await cpuDuring(subject, async () => {
    await Promise.all(sessions.map(one))
  })
  return cpu / total
}

/** How long answers take while 2,000 requests a second are sent, whether or not earlier ones were answered. */
export async function measureLatency(bench: Bench, subject: Subject): Promise<Figures> {
  const probe = await startProbe(bench.pki, subject.port, { everyMs: 1, requests: 2, connections: LATENCY_CONNECTIONS })
  try {
    const { median, p90, p99, p999 } = await probe.during(() => sleep(bench.sizes.latencySeconds * 1000))
    return { paced50: median, paced90: p90, paced99: p99, paced999: p999 }
  } finally {
    await probe.stop()
  }
}

/** What those who are there already wait while a thousand connections are opened at once, each with a client certificate. */
export async function measureCrowd(bench: Bench, subject: Subject): Promise<Figures> {
  const probe = await startProbe(bench.pki, subject.port)
  const crowd = startCrowd(bench.pki, subject.port, CROWD_PROCESSES)
  try {
    const before = await probe.during(() => sleep(SETTLES_MS))
    const [threads, began] = [threadTimes(subject.pid), performance.now()]
    let tookMs = 0
    const { median, p99, longest } = await probe.during(async () => {
      await crowd.open(CROWD, CROWD)
      tookMs = performance.now() - began
    })
    const busiest = busiestThread(threads, threadTimes(subject.pid))
    return {
      ...{ calmP99: before.p99, crowd50: median, crowd99: p99, crowdMax: longest, crowdMs: tookMs },
      ...(busiest && { crowdComputed: busiest.computed, crowdWaited: busiest.waited }),
    }
  } finally {
    crowd.leave()
    await probe.stop()
  }
}

/** Holds a thousand connections and closes them, as a gateway in use has had many: what they leave behind is a part of what requests cost from then on. */
export async function leavePast(bench: Bench, subject: Subject): Promise<void> {
  const crowd = startCrowd(bench.pki, subject.port, CROWD_PROCESSES)
  try {
    await crowd.open(CROWD, HELD_AT_ONCE)
  } finally {
    crowd.leave()
  }
}

/** Tens of thousands of idle connections in one process, and what a request costs beside them. */
export async function measureHeld(bench: Bench, subject: Subject): Promise<Figures> {
  const count = Math.min(bench.sizes.heldConnections, openFilesLimit() - OTHER_FILES)
  const crowd = startCrowd(bench.pki, subject.port, HELD_PROCESSES)
  const before = residentKib(subject.pid)
  try {
    await crowd.open(count, HELD_AT_ONCE)
    const probe = await startProbe(bench.pki, subject.port)
    const { p99 } = await probe.during(() => sleep(SETTLES_MS))
    await probe.stop()
    const held = count - (await crowd.lost())
    return { held, heldKib: (residentKib(subject.pid) - before) / held, heldP99: p99 }
  } finally {
    crowd.leave()
  }
}

/**
 * How many requests so many workers could answer if nothing else wanted their cores. Load generator and upstream share the cores, so that requests per second
 * say nothing of that. As many as the busiest of the gateway's processes answers in a second of its own CPU time, where each client asks as often as the
 * others do, whichever worker its connection came to. Where each asks again as soon as it has its answer, as those of this load do, no worker has ever
 * nothing to do, and together they answer what each of them answers in a second of its own; what a process wrote tells its part of the requests.
 */
export async function measureWorkers(bench: Bench, subject: Subject, two: boolean): Promise<Figures> {
  const { requests: total } = bench.sizes
  const before = cpuByProcess(subject.pid)
  const loadBefore = endedCommandsCpu()
  const writtenBefore = writtenByProcess(subject.pid)
  const { perSecond } = await loadWith(bench, subject, total)
  const spent = new Map([...cpuByProcess(subject.pid)].map(([pid, cpu]) => [pid, cpu - (before.get(pid) ?? 0)]))
  const loadCpu = (endedCommandsCpu() - loadBefore) / total
  const capacity = total / (Math.max(...spent.values()) / 1e6)
  if (!two) return { oneWorker: capacity, onePerSecond: perSecond }
  const written = [...writtenByProcess(subject.pid)].map(([pid, bytes]) => ({
    bytes: bytes - (writtenBefore.get(pid) ?? 0),
    seconds: (spent.get(pid) ?? 0) / 1e6,
  }))
  const bytesOfAll = written.reduce((sum, { bytes }) => sum + bytes, 0)
  const answering = written.filter(({ bytes }) => bytes > bytesOfAll / 100)
  const together = answering.reduce((sum, { bytes, seconds }) => sum + (total * bytes) / bytesOfAll / seconds, 0)
  return { twoWorkers: capacity, twoTogether: together, twoPerSecond: perSecond, loadCpu }
}
