/** What it costs those who are connected that a revocation list is replaced: each of them is judged again. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeClient } from './client.ts'
import { startCrowd } from './crowd.ts'
import { reload, type Subject } from './measure.ts'
import type { KeyPair, Pki } from './pki.ts'
import { type Latency, startProbe } from './probe.ts'
import { openFilesLimit, residentKib } from './processes.ts'
import { serialOf, writeRevocationList } from './revocation-list.ts'
import { type Turns, turnsBetween } from './turns.ts'

const CROWD_PROCESSES = 5
const OPENED_AT_ONCE = 50
/** What a gateway has open beside its clients. */
const OTHER_FILES = 300
const SETTLES_MS = 4_000
/** What was replaced is collected within that time. */
const COLLECTED_MS = 3_500
const RELOADED = '"msg":"reloaded"'

interface Listed {
  readonly pki: Pki
  readonly authority: KeyPair
  readonly file: string
  readonly entries: number
  /** What `turns.ts` writes. */
  readonly turns: string
}

type Watched = Pick<Subject, 'pid' | 'port' | 'log'>

/** Replaces the list twice, as the first time much of the program runs that has not run yet; the second list has one of those who are connected. */
export async function measureReplacedList(subject: Watched, listed: Listed, live: number): Promise<void> {
  const { pki, authority, file, entries, turns } = listed
  const count = Math.min(live, openFilesLimit() - OTHER_FILES)
  const crowd = startCrowd(pki, subject.port, CROWD_PROCESSES)
  try {
    await crowd.open(count, OPENED_AT_ONCE)
    const revoked = await makeClient({ ...pki, client: pki.gateway }).hold(subject.port)
    const closed = once(revoked, 'close').then(() => Date.now())
    console.log(`\nA list of ${entries} replaced with ${count} connections open:\n`)
    console.log(
      '| | took | requests: 99.9th percentile, longest | longest turn of the event loop | of CPU time | memory |\n| --- | --- | --- | --- | --- | --- |',
    )
    const row = (name: string, took: string, { p999, longest }: Latency, of: Turns) => {
      const requests = `${p999.toFixed(0)} ms, ${longest.toFixed(0)} ms`
      const memory = `${(residentKib(subject.pid) / 1024).toFixed(0)} MiB`
      console.log(
        `| ${[name, took, requests, `${of.longest.toFixed(0)} ms`, `${of.longestCpu.toFixed(0)} ms`, memory].join(' | ')} |`,
      )
    }
    const calm = await seconds(pki, subject, turns)
    row('calm', '', calm.latency, calm.turns)
    for (const [name, serials] of [['first', []] as const, ['again', [serialOf(pki.gateway.certificate)]] as const]) {
      writeRevocationList(file, authority, entries, serials)
      const from = Date.now()
      const { reloadMs, latency } = await reload(pki, subject, { line: RELOADED })
      await sleep(COLLECTED_MS)
      row(name, `${reloadMs.toFixed(0)} ms`, latency, turnsBetween(turns, from, Date.now()))
    }
    const cut = await Promise.race([closed, sleep(SETTLES_MS)])
    const after = cut === undefined ? 'never' : `${Math.max(0, cut - lastReload(subject))} ms after the reload`
    console.log(
      `\nThe connection of the client that was revoked ended ${after}; ${await crowd.lost()} others were closed.`,
    )
  } finally {
    crowd.leave()
  }
}

async function seconds(pki: Pki, { port }: Watched, turns: string): Promise<{ latency: Latency; turns: Turns }> {
  const probe = await startProbe(pki, port)
  const from = Date.now()
  const latency = await probe.during(() => sleep(SETTLES_MS))
  await probe.stop()
  return { latency, turns: turnsBetween(turns, from, Date.now()) }
}

/** When the log tells of it, in milliseconds since the epoch. */
function lastReload({ log }: Watched): number {
  const line =
    readFileSync(log, 'utf8')
      .split('\n')
      .findLast((each) => each.includes(RELOADED)) ?? '{}'
  return Date.parse(JSON.parse(line).time)
}
