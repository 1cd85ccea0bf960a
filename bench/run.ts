/**
 * Measures nginx, HAProxy, Caddy, http-proxy and Sallyport side by side in one run, and prints one table.
 *
 *   npm run bench                          everything, some minutes; writes bench/result.json and docs/performance.svg
 *   npm run bench -- requests bodies       only these rows: start, idle, requests, latency, posts, answers,
 *                                          handshakes, resumed, crowd, past, bodies, real, growth, names,
 *                                          mapping, users, workers, many
 *   npm run bench -- revocation            revocation lists of up to a million entries, see bench/revocation.ts
 *   npm run bench -- facts                 what Sallyport does for a new connection beside the handshake, see bench/facts.ts
 *   npm run bench -- --quick               small loads and one round: whether the bench works, not how fast anything is
 *   npm run bench:check                    nginx and Sallyport; exit status 1 where a ratio got worse than in bench/result.json as committed
 *
 * --only    gateways, by name: nginx, haproxy, caddy, http-proxy, sallyport. Ratios are to nginx, where it takes part
 * --rounds  measured rounds, after two that only warm up those that compile while they run (3)
 * --json, --svg  where to write every sample, the medians and the versions, and a picture of the ratios
 *
 * The job is the same for all: mutual TLS in (a client certificate is demanded), mutual TLS out (the gateway's own
 * certificate, the upstream verified), VERIFIED and DN set, connections kept on both sides, EC P-256 keys, one worker. `real` adds
 * nine routes and a line of JSON for each request, to a file; `growth` is Sallyport alone with 10 and 10,000 routes, `names` with as many server names
 * that have a certificate each; so is `mapping`, one gateway
 * with a route that asks whose a certificate is and one that does not, and `users`, what a file of a million holds. Each
 * gateway has to show that it does this before it is measured. Rounds are interleaved (A, B, C, A, B, C …), after
 * two that warm up what runs on Node, and the table holds medians and half of the range. CPU time per request and per new connection is taken in slices of a quarter of a
 * second within each round, in turns between the gateways (bench/slices.ts). CPU time is the gateway's own from /proc/PID/stat, with all its
 * threads and processes: it moves less with what else the machine does than throughput and the 99th percentile do, as load, gateway
 * and upstream share the machine's cores. The CPU of a new connection includes one request; that of a
 * request includes its share of the load's 32 handshakes, one or two µs.
 *
 * `requests` is measured in processes that were started just now, `past` is the same in those that have held and closed a thousand connections.
 *
 * `crowd` opens a thousand connections at once beside requests at a steady pace; `many` holds as many as the limit of open files allows, up to
 * 20,000; `workers` compares one worker on one core with two on two, load and upstream on the same cores.
 *
 * Needs Linux and Debian's packages nginx, haproxy, caddy, apache2-utils (ab), curl and openssl. The upstream is an nginx
 * too. A gateway that is not installed is left out; one that fails is left out and makes the exit status 1.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { chartOf } from './chart.ts'
import { makeClient } from './client.ts'
import * as connections from './connections.ts'
import { type Entrant, enter, firstSuccess, restart, subjectOf } from './entrant.ts'
import type { Job } from './gateway.ts'
import { gateways } from './gateways.ts'
import { measureMapping, measureUsers } from './mapping.ts'
import * as measure from './measure.ts'
import { makeNames, measureNames } from './names.ts'
import { JOBS, type Options, ROWS, type Row, readOptions } from './options.ts'
import { makePki } from './pki.ts'
import { killAll, runIfThere } from './processes.ts'
import { gotWorse, type Result, resultOf } from './result.ts'
import { LOADS, type Load, metricOf, roundSeconds, type Slices, startSlices } from './slices.ts'
import { markdownTable, record, type Samples } from './table.ts'
import { startUpstream } from './upstream.ts'

/** V8 compiles what is hot over some tens of thousands of requests; after that the figures stand still. */
const WARM_UPS = 2

/** Measured in processes that were started just now, and not where `idle` has held its connections. */
const FRESH: ReadonlySet<Row> = new Set(['requests'])
/** Sallyport collects what closed connections leave behind within half a minute. */
const PAST_SETTLES_MS = 40_000

/** Memory is read once: a second time, the process would have in reserve what the first one made it take. */
const ONCE: ReadonlySet<Row> = new Set(['idle', 'many', 'users'])

const RUN_LIMIT_MS = 60 * 60_000

const root = join(import.meta.dirname, '..')
const RESULTS = { json: 'bench/result.json', svg: 'docs/performance.svg' }

const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'))
process.once('exit', () => {
  killAll()
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130))
setTimeout(() => fail(`gave up after ${RUN_LIMIT_MS / 60_000} minutes`), RUN_LIMIT_MS).unref()

// Not rows: one runs each gateway once for each list, the other none at all.
if (process.argv[2] === 'revocation') await import('./revocation.ts')
if (process.argv[2] === 'facts') await import('./facts.ts')

try {
  process.exit(await main(readOptions(RESULTS)))
} catch (error) {
  fail(error instanceof Error ? error.message : String(error))
}

function fail(message: string): never {
  say(message)
  process.exit(1)
}

/** Progress and problems: to standard error, so that standard output is the table alone. */
function say(line: string): void {
  process.stderr.write(`bench: ${line}\n`)
}

async function main(options: Options): Promise<number> {
  await requireTools()
  const pki = await makePki(folder)
  const upstream = await startUpstream(folder, pki)
  const client = makeClient(pki)
  await firstSuccess(upstream.process, async () => (await client.ask(upstream.port, '/')).status === 200)
  const { bodyFile, smallBodyFile } = upstream
  const bench: measure.Bench = { folder, pki, client, bodyFile, smallBodyFile, sizes: options.sizes }
  const jobs = new Set<Job>(options.rows.flatMap((row) => JOBS[row] ?? ['bare']))
  if (jobs.has('10000-names')) await makeNames(pki, folder)
  const entrants: Entrant[] = []
  for (const gateway of gateways.filter(({ name }) => options.only.includes(name))) {
    const version = await gateway.version()
    if (version === undefined) say(`${gateway.name}: not installed, left out`)
    for (const job of version === undefined ? [] : [...jobs].filter((name) => gateway.jobs.has(name))) {
      entrants.push(await enter(bench, { gateway, job, version: version as string, upstreamPort: upstream.port }))
    }
  }
  const samples = await measureAll(bench, entrants, options)
  const result = report(samples, entrants, options)
  await Promise.all([upstream.process, ...entrants.map((entrant) => entrant.process)].map((running) => running?.stop()))
  const worse = options.check ? compare(result) : 0
  return worse > 0 || entrants.some((entrant) => entrant.failed) ? 1 : 0
}

async function requireTools(): Promise<void> {
  const tools = [
    ['nginx', 'nginx', '-v'],
    ['ab', 'apache2-utils', '-V'],
    ['curl', 'curl', '--version'],
    ['openssl', 'openssl', 'version'],
    ['taskset', 'util-linux', '--version'],
  ] as const
  for (const [command, debianPackage, flag] of tools) {
    if ((await runIfThere(command, [flag])) === undefined) {
      throw new Error(`needs ${command}: apt-get install --no-install-recommends ${debianPackage}`)
    }
  }
}

async function measureAll(bench: measure.Bench, entrants: Entrant[], options: Options): Promise<Samples> {
  const samples: Samples = new Map()
  const load =
    (step: (bench: measure.Bench, subject: measure.Subject) => Promise<measure.Figures>) => (entrant: Entrant) =>
      step(bench, subjectOf(entrant))
  const start = (entrant: Entrant) => restart(bench, entrant)
  const steps: Partial<Record<Row, (entrant: Entrant) => Promise<measure.Figures>>> = {
    start,
    idle: load(measure.measureIdle),
    requests: load(measure.measureRequests),
    latency: load(connections.measureLatency),
    resumed: load(connections.measureResumed),
    crowd: load(connections.measureCrowd),
    bodies: load(measure.measureBodies),
    mapping: load(measureMapping),
    users: () => measureUsers(bench),
    growth: (entrant) => measure.measureGrowth(bench, subjectOf(entrant), entrant.job === '10000-routes'),
    names: (entrant) => measureNames(bench, subjectOf(entrant), entrant.job === '10000-names'),
    workers: (entrant) => connections.measureWorkers(bench, subjectOf(entrant), entrant.job === 'two-workers'),
    many: load(connections.measureHeld),
  }
  for (const row of ROWS.filter((name) => options.rows.includes(name))) {
    const jobs: readonly Job[] = JOBS[row] ?? ['bare']
    const racing = entrants.filter(({ job }) => jobs.includes(job))
    if (row !== 'start')
      await eachEntrant(
        racing.filter((entrant) => FRESH.has(row) || !entrant.process),
        'start',
        start,
      )
    if (row === 'past') {
      await eachEntrant(racing, row, (entrant) => connections.leavePast(bench, subjectOf(entrant)))
      await sleep(PAST_SETTLES_MS)
    }
    const rounds = ONCE.has(row) ? 0 : options.rounds
    for (let round = rounds === 0 ? 0 : 1 - WARM_UPS; round <= rounds; round++) {
      const taking = rounds > 0 && round <= 0 ? racing.filter(({ gateway }) => gateway.warmsUp) : racing
      say(rounds === 0 ? row : `${row}, ${round <= 0 ? 'warm-up' : `round ${round} of ${rounds}`}`)
      const keep = (entrant: Entrant, figures: measure.Figures) => {
        if (round > 0 || rounds === 0) record(samples, entrant.gateway.name, figures)
      }
      for (const load of LOADS[row] ?? []) await inTurns(bench, taking, row, load, keep)
      const step = steps[row]
      if (step) await eachEntrant(taking, row, async (entrant) => keep(entrant, await step(entrant)))
    }
    // What has another job than the next rows must not share the cores with them.
    if (JOBS[row]) for (const entrant of racing) await entrant.process?.stop()
  }
  return samples
}

/** One round of slices: each gateway has as many, in another order each time. */
async function inTurns(
  bench: measure.Bench,
  racing: readonly Entrant[],
  row: Row,
  load: Load,
  keep: (entrant: Entrant, figures: measure.Figures) => void,
): Promise<void> {
  const loads = new Map<Entrant, Slices>()
  const left = () => racing.filter(({ failed }) => !failed)
  const seconds = roundSeconds(bench, left().length)
  await eachEntrant(racing, row, async (entrant) => {
    loads.set(entrant, startSlices(bench, subjectOf(entrant), load, seconds))
  })
  for (const until = performance.now() + seconds * 1000; performance.now() < until && left().length > 0; ) {
    const order = left().toSorted(() => Math.random() - 0.5)
    await eachEntrant(order, row, async (entrant) => loads.get(entrant)?.next())
  }
  await eachEntrant(racing, row, async (entrant) => {
    const cpu = await loads.get(entrant)?.end()
    if (cpu !== undefined) keep(entrant, { [metricOf(load, entrant.job)]: cpu })
  })
  for (const slices of loads.values()) slices.leave()
}

/** One round: every gateway still in the race, one after the other. One that fails is out, and the others go on. */
async function eachEntrant(
  entrants: readonly Entrant[],
  row: Row,
  step: (entrant: Entrant) => Promise<unknown>,
): Promise<void> {
  for (const entrant of entrants.filter(({ failed }) => !failed)) {
    try {
      await step(entrant)
    } catch (error) {
      entrant.failed = true
      say(`${entrant.gateway.name}: left out from "${row}" on: ${error instanceof Error ? error.message : error}`)
      await entrant.process?.stop()
    }
  }
}

function report(samples: Samples, entrants: readonly Entrant[], options: Options): Result {
  const { sizes, rounds } = options
  const versions = Object.fromEntries(entrants.map(({ gateway, version }) => [gateway.name, version]))
  const machine = `${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), Node ${process.versions.node}`
  const loads = `${sizes.sliceSeconds} s of slices for each gateway, or ${sizes.requests} requests, ${sizes.handshakes} resumed connections, ${sizes.bodies} × 100 MB, ${sizes.idleConnections} idle`
  const date = new Date().toISOString()
  console.log(`Mutual TLS in and out, VERIFIED and DN set, one worker each; ${machine}; ${date.slice(0, 10)}.`)
  console.log(
    `Medians of ${rounds} interleaved rounds after ${WARM_UPS} that warm up what runs on Node, ± half of the range; each round ${loads}. In brackets: × nginx.\n`,
  )
  for (const [name, version] of Object.entries(versions)) console.log(`- ${name} ${version}`)
  console.log(`\n${markdownTable(samples, Object.keys(versions), 'nginx')}`)
  const result = resultOf(samples, { date, machine, rounds, sizes, versions })
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(result, null, 1)}\n`)
  if (options.svg !== undefined) writeFileSync(options.svg, chartOf(result))
  return result
}

/** How many ratios got worse than in the result that was committed last. */
function compare(result: Result): number {
  const committed = execFileSync('git', ['show', `HEAD:${RESULTS.json}`], {
    cwd: root,
    maxBuffer: 16e6,
    encoding: 'utf8',
  })
  const before = JSON.parse(committed) as Result
  const worse = gotWorse(before, result)
  console.log(`\nAgainst ${RESULTS.json} of ${before.date.slice(0, 10)} (${before.rounds} rounds, ${before.machine}):`)
  for (const line of worse) console.log(`- worse: ${line}`)
  if (worse.length === 0) console.log('- nothing got worse by more than noise and spread')
  return worse.length
}
