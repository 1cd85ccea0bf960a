/**
 * Measures nginx, HAProxy, Caddy, http-proxy and Sallyport side by side in one run, and prints one table.
 *
 *   npm run bench                          everything, some minutes
 *   npm run bench -- --quick               small loads and one round: whether the bench works, not how fast anything is
 *   npm run bench -- --only nginx,sallyport --rows requests,handshakes --rounds 5 --json result.json
 *
 * --only    gateways, by name: nginx, haproxy, caddy, http-proxy, sallyport. Ratios are to nginx, where it takes part
 * --rows    what to measure: start, idle, requests, handshakes, bodies
 * --rounds  measured rounds after two that only warm up (3)
 * --json    also writes every sample, the medians and the versions to this file
 *
 * The job is the same for all: mutual TLS in (a client certificate is demanded), mutual TLS out (the gateway's own
 * certificate, the upstream verified), VERIFIED and DN set, connections kept on both sides, EC P-256 keys, one worker. Each
 * gateway has to show that it does this before it is measured. Rounds are interleaved (A, B, C, A, B, C …), the first
 * two are thrown away, and the table holds medians. CPU time is the gateway's own from /proc/PID/stat, with all its threads and
 * processes: it hardly moves with what else the machine does; throughput and the 99th percentile do, as load, gateway and
 * upstream share the machine's cores. The CPU of a new connection includes one request; that of a
 * request includes its share of the load's 32 handshakes, about 1 µs.
 *
 * Needs Linux and Debian's packages nginx, haproxy, caddy, apache2-utils (ab), curl and openssl. The upstream is an nginx
 * too. A gateway that is not installed is left out; one that fails is left out and makes the exit status 1.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { checkGateway, makeClient, plainStatus } from './client.ts'
import { configure, type Gateway, gateways, type Launch } from './gateways.ts'
import * as measure from './measure.ts'
import { makePki } from './pki.ts'
import { freePort, killAll, type Running, runIfThere, start } from './processes.ts'
import { markdownTable, medians, record, type Samples } from './table.ts'
import { startUpstream } from './upstream.ts'

/** V8 compiles what is hot over some tens of thousands of requests; after that the figures stand still. */
const WARM_UPS = 2

const RUN_LIMIT_MS = 45 * 60_000
const START_LIMIT_MS = 20_000
const POLL_MS = 5

const FULL: measure.Sizes = { requests: 30_000, handshakes: 2_000, bodies: 5, idleConnections: 500 }
const QUICK: measure.Sizes = { requests: 10_000, handshakes: 300, bodies: 1, idleConnections: 200 }

/** In the order they run: memory is read before any load has grown it. */
const ROWS = ['start', 'idle', 'requests', 'handshakes', 'bodies'] as const
type Row = (typeof ROWS)[number]

/** A gateway in this run: configured, perhaps running, perhaps out of the race. */
interface Entrant {
  readonly gateway: Gateway
  readonly version: string
  readonly port: number
  readonly launch: Launch
  readonly log: string
  process: Running | undefined
  failed: boolean
}

interface Options {
  readonly only: readonly string[]
  readonly rows: readonly Row[]
  readonly rounds: number
  readonly sizes: measure.Sizes
  readonly json: string | undefined
}

const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'))
process.once('exit', () => {
  killAll()
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130))
setTimeout(() => fail(`gave up after ${RUN_LIMIT_MS / 60_000} minutes`), RUN_LIMIT_MS).unref()

try {
  process.exit(await main(readOptions()))
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

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', default: gateways.map((gateway) => gateway.name).join() },
      rows: { type: 'string', default: ROWS.join() },
      rounds: { type: 'string' },
      json: { type: 'string' },
    },
  })
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 3))
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 100) throw new Error('--rounds wants a number from 1 to 100')
  return {
    only: listOf('--only', values.only, new Set(gateways.map((gateway) => gateway.name))),
    rows: listOf('--rows', values.rows, new Set(ROWS)),
    rounds,
    sizes: values.quick ? QUICK : FULL,
    json: values.json,
  }
}

function listOf<T extends string>(option: string, text: string, known: ReadonlySet<T>): T[] {
  const names = text.split(',').map((name) => name.trim() as T)
  const unknown = names.find((name) => !known.has(name))
  if (unknown !== undefined) throw new Error(`${option}: no "${unknown}"; there is ${[...known].join(', ')}`)
  return names
}

async function main(options: Options): Promise<number> {
  await requireTools()
  const pki = await makePki(folder)
  const upstream = await startUpstream(folder, pki)
  const client = makeClient(pki)
  await firstSuccess(upstream.process, async () => (await client.ask(upstream.port, '/')).status === 200)
  const bench: measure.Bench = { folder, pki, client, bodyFile: upstream.bodyFile, sizes: options.sizes }
  const entrants: Entrant[] = []
  for (const gateway of gateways.filter(({ name }) => options.only.includes(name))) {
    const version = await gateway.version()
    if (version === undefined) say(`${gateway.name}: not installed, left out`)
    else {
      const port = await freePort()
      const site = { port, adminPort: await freePort(), upstreamPort: upstream.port, pki }
      const launch = configure(gateway, folder, site)
      const log = join(folder, gateway.name, 'output.log')
      entrants.push({ gateway, version, port, launch, log, process: undefined, failed: false })
    }
  }
  const samples = await measureAll(bench, entrants, options)
  report(samples, entrants, options)
  await Promise.all([upstream.process, ...entrants.map((entrant) => entrant.process)].map((running) => running?.stop()))
  return entrants.some((entrant) => entrant.failed) ? 1 : 0
}

async function requireTools(): Promise<void> {
  const tools = [
    ['nginx', 'nginx', '-v'],
    ['ab', 'apache2-utils', '-V'],
    ['curl', 'curl', '--version'],
    ['openssl', 'openssl', 'version'],
  ] as const
  for (const [command, debianPackage, flag] of tools) {
    if ((await runIfThere(command, [flag])) === undefined) {
      throw new Error(`needs ${command}: apt-get install --no-install-recommends ${debianPackage}`)
    }
  }
}

async function measureAll(bench: measure.Bench, entrants: Entrant[], options: Options): Promise<Samples> {
  const samples: Samples = new Map()
  const steps: Record<Row, (entrant: Entrant) => Promise<measure.Figures>> = {
    start: (entrant) => restart(bench, entrant),
    idle: (entrant) => measure.measureIdle(bench, subjectOf(entrant)),
    requests: (entrant) => measure.measureRequests(bench, subjectOf(entrant)),
    handshakes: (entrant) => measure.measureHandshakes(bench, subjectOf(entrant)),
    bodies: (entrant) => measure.measureBodies(bench, subjectOf(entrant)),
  }
  if (!options.rows.includes('start')) await eachEntrant(entrants, 'start', steps.start)
  for (const row of ROWS.filter((name) => options.rows.includes(name))) {
    // Memory is read once: a second time, the process would have in reserve what the first one made it take.
    const rounds = row === 'idle' ? 0 : options.rounds
    for (let round = rounds === 0 ? 0 : 1 - WARM_UPS; round <= rounds; round++) {
      say(rounds === 0 ? row : `${row}, ${round <= 0 ? 'warm-up' : `round ${round} of ${rounds}`}`)
      await eachEntrant(entrants, row, async (entrant) => {
        const figures = await steps[row](entrant)
        if (round > 0 || rounds === 0) record(samples, entrant.gateway.name, figures)
        return figures
      })
    }
  }
  return samples
}

/** One round: every gateway still in the race, one after the other. One that fails is out, and the others go on. */
async function eachEntrant(
  entrants: readonly Entrant[],
  row: Row,
  step: (entrant: Entrant) => Promise<measure.Figures>,
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

function subjectOf({ gateway, process: running, port }: Entrant): measure.Subject {
  return { name: gateway.name, pid: running?.pid ?? 0, port }
}

/** Stops the gateway where it runs, starts it, and waits for its first answer (and for its own word, where it has one). */
async function restart(bench: measure.Bench, entrant: Entrant): Promise<measure.Figures> {
  await entrant.process?.stop()
  const { command, args, env = {}, readyUrl } = entrant.launch
  const running = await start(command, args, env, entrant.log)
  entrant.process = running
  const [readyMs, startMs] = await Promise.all([
    readyUrl && firstSuccess(running, async () => (await plainStatus(readyUrl)) === 200),
    firstSuccess(running, async () => (await bench.client.ask(entrant.port, '/')).status === 200),
  ])
  await checkGateway(bench.client, entrant.port)
  return readyMs ? { startMs, readyMs } : { startMs }
}

/** Milliseconds from the start of the process until `attempt` first returned true. */
async function firstSuccess(running: Running, attempt: () => Promise<boolean>): Promise<number> {
  for (;;) {
    if (await attempt().catch(() => false)) return performance.now() - running.startedAt
    if (running.exited()) throw new Error(`ended at its start:\n    ${running.lastWords()}`)
    if (performance.now() - running.startedAt > START_LIMIT_MS) {
      throw new Error(`gave no good answer within ${START_LIMIT_MS / 1000} s:\n    ${running.lastWords()}`)
    }
    await sleep(POLL_MS)
  }
}

function report(samples: Samples, entrants: readonly Entrant[], options: Options): void {
  const { sizes, rounds } = options
  const names = entrants.map(({ gateway }) => gateway.name)
  const versions = Object.fromEntries(entrants.map(({ gateway, version }) => [gateway.name, version]))
  const machine = `${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), Node ${process.versions.node}`
  const loads = `${sizes.requests} requests, ${sizes.handshakes} connections, ${sizes.bodies} × 100 MB, ${sizes.idleConnections} idle`
  const date = new Date().toISOString()
  console.log(`Mutual TLS in and out, VERIFIED and DN set, one worker each; ${machine}; ${date.slice(0, 10)}.`)
  console.log(
    `Medians of ${rounds} interleaved rounds after ${WARM_UPS} that warm up; each round ${loads}. In brackets: × nginx.\n`,
  )
  for (const [name, version] of Object.entries(versions)) console.log(`- ${name} ${version}`)
  console.log(`\n${markdownTable(samples, names, 'nginx')}`)
  if (options.json !== undefined) {
    const raw = Object.fromEntries([...samples].map(([metric, values]) => [metric, Object.fromEntries(values)]))
    const result = { date, machine, rounds, sizes, versions, medians: medians(samples), samples: raw }
    writeFileSync(options.json, `${JSON.stringify(result, null, 2)}\n`)
  }
}
