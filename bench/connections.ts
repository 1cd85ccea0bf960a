/** Measurements of connections rather than requests: sessions that are resumed, many at once, many held. */
import { setTimeout as sleep } from 'node:timers/promises'
import { HYBRID_KEY_EXCHANGE, type ResumeOptions } from './client.ts'
import { startCrowd } from './crowd.ts'
import { type Bench, cpuDuring, type Figures, loadWith, type Subject } from './measure.ts'
import { startProbe } from './probe.ts'
import { busiestThread, endedCommandsCpu, onProcessors, openFilesLimit, residentKib, threadTimes } from './processes.ts'

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
 * One worker on one core, or two on two, each with its load and its upstream on the same cores: what a gateway is given for a second core. Side by side,
 * requests per second say that, and nothing has to be inferred from the time that a process computed, which depends on how busy it is: answers that are
 * ready together cost less.
 */
export async function measureWorkers(bench: Bench, subject: Subject, two: boolean): Promise<Figures> {
  // As many for each worker: V8 compiles what is hot in each of them.
  const total = bench.sizes.requests * (two ? 2 : 1)
  const loadBefore = endedCommandsCpu()
  let perSecond = 0
  const spent = await onProcessors(two ? '0,1' : '0', () =>
    cpuDuring(subject, async () => {
      perSecond = (await loadWith(bench, subject, total)).perSecond
    }),
  )
  const cpu = spent / total
  if (!two) return { onePerSecond: perSecond, oneCpu: cpu }
  return { twoPerSecond: perSecond, twoCpu: cpu, loadCpu: (endedCommandsCpu() - loadBefore) / total }
}
