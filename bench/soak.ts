/**
 * Mixed traffic through `sallyport run` with two workers for half an hour, while the gateway is reloaded every ten seconds, its workers are replaced
 * now and then, and a target dies and comes back. Nothing may be lost, nothing wrong, and nothing may grow.
 *
 *   npm run soak                    30 minutes
 *   npm run soak -- --minutes 3     shorter: whether the soak works, and what shows at once
 *
 * Small requests over kept connections and new ones (resumed and not), uploads, downloads, slow readers, answers that take seconds, WebSockets, and
 * clients that leave in the middle; eight certificates and none, changing from connection to connection. The backend tells what VERIFIED and DN it
 * was told and which request it answers, each byte both ways is compared, and a client whose certificate is on the revocation list at times must be
 * refused just then. Every failure is a loss, but for a POST (or what has begun to be answered) on a target that died within the last seconds.
 *
 * Growth is judged from the fifth minute on (the first quarter of a shorter run, in which RSS is only shown): RSS, heap, descriptors, sockets, handles, in the first and the
 * last third of that time. Workers are replaced before and after it only, as nothing could grow in one that does not live. In the end, when the
 * traffic has stopped, as many descriptors must be left as there were before it. The load is paced to take about half of one core with
 * everything. Exit status 1 where anything was lost, wrong or grew. Needs Linux.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { cpuMicroseconds, killAll } from './processes.ts'
import { GatewayLog } from './soak/gateway-log.ts'
import { type Sample, type Trend, takeSample, trendsOf } from './soak/growth.ts'
import { Ledger } from './soak/ledger.ts'
import { runSoak } from './soak/run.ts'
import { makeScene, type Scene } from './soak/scene.ts'

/** The first quarter of a run, at most five minutes, is for the processes to get warm. */
const WARM_FROM_MINUTES = 20
/** Connections to upstreams are gone by then (upstream_keepalive_idle_timeout), and whatever lingers. */
const REST_LIMIT_S = 60
/** Descriptors that may be more after the traffic than before it. */
const REST_SLACK = 4

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '30' } } })
const minutes = Number(values.minutes)
if (!(minutes >= 1 && minutes <= 24 * 60)) throw new Error('--minutes wants a number from 1 to 1440')

const folder = mkdtempSync(join(tmpdir(), 'sallyport-soak-'))
process.once('exit', () => {
  killAll()
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130))
process.exit(await main(minutes * 60_000))

async function main(duration: number): Promise<number> {
  const scene = await makeScene(folder)
  const ledger = new Ledger()
  const log = new GatewayLog(scene.log)
  const atRest = await takeSample(scene)
  const cpuBefore = cpuMicroseconds(process.pid)
  const samples = await runSoak({ scene, log, ledger, duration })
  const cores = (cpuMicroseconds(process.pid) - cpuBefore) / 1000 / duration
  const trends = [...trendsOf(samples, minutes >= WARM_FROM_MINUTES), await whatIsLeft(scene, atRest)]
  for (const { level, msg } of log.read()) {
    if (level === 'error' || level === 'fatal') ledger.problem('in the log', String(msg))
  }
  report({ ledger, trends, cores })
  await scene.gateway.stop()
  return ledger.problems.size > 0 || trends.some(({ grew }) => grew) ? 1 : 0
}

/** Descriptors after the traffic against those before it, once nothing lingers any more. */
async function whatIsLeft(scene: Scene, atRest: Sample): Promise<Trend> {
  const count = (sample: Sample) => sample['file descriptors'] ?? Number.NaN
  const early = count(atRest)
  let late = Number.NaN
  for (let waits = 0; waits < REST_LIMIT_S && !(late <= early + REST_SLACK); waits++) {
    await sleep(1000)
    late = count(await takeSample(scene))
  }
  return { name: 'file descriptors at rest, before and after', early, late, grew: !(late <= early + REST_SLACK) }
}

function report({ ledger, trends, cores }: { ledger: Ledger; trends: readonly Trend[]; cores: number }): void {
  const { reloads, replacements, deaths, unsavable, done, problems } = ledger
  const happened = `${reloads} reloads, ${replacements} replacements of the workers, ${deaths} deaths of a target`
  console.log(`${minutes} minutes, two workers; ${happened}; ${cores.toFixed(2)} cores with clients and targets.\n`)
  console.log('| traffic | went well |\n| --- | ---: |')
  for (const [kind, count] of [...done].sort()) console.log(`| ${kind} | ${count} |`)
  console.log(`| POSTs and answers that died with their target | ${unsavable} |`)
  console.log('\n| what might grow | early | late | |\n| --- | ---: | ---: | --- |')
  for (const { name, early, late, grew } of trends) {
    console.log(`| ${name} | ${early.toFixed(0)} | ${late.toFixed(0)} | ${grew ? '**grew**' : ''} |`)
  }
  console.log(problems.size === 0 ? '\nNothing was lost, nothing was wrong.' : '\nLost or wrong:')
  for (const [words, count] of problems) console.log(`- ${count} × ${words}`)
}
