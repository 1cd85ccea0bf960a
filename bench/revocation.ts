/**
 * What revocation lists cost nginx, HAProxy and Sallyport, with the same lists for all; prints Markdown.
 *
 *   npm run bench -- revocation                              lists of 0, 100, 100,000 and 1,000,000 entries
 *   node bench/revocation.ts --entries 0,100000 --rounds 5 --handshakes 1000 --live 2000
 *   node bench/revocation.ts --entries 1000000 --rounds 0    the last two tables alone
 *
 * --handshakes  full TLS 1.3 handshakes with certificates on both sides, per gateway, list and round; of peers a tenth with a million entries (600)
 * --rounds      measured rounds, interleaved, after one that warms up what runs on Node (3); the table holds medians
 * --live        so many connections, or as many as files may be open, stay open while Sallyport replaces its largest list (10000; 0 leaves that out)
 *
 * CPU time is the gateway's own and moves less with what else the machine does than handshakes per second do. As a list costs less than
 * the noise of a whole handshake, the look-up is also measured alone, in this process, and held against the handshake's CPU time.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { readCertificates } from '../src/tls-cert-utils/certificates.ts'
import { Revocation } from '../src/tls-cert-utils/revocation.ts'
import { readRevocationLists } from '../src/tls-cert-utils/revocation-list.ts'
import { makeClient } from './client.ts'
import type { Gateway, Job } from './gateway.ts'
import { configure, gateways } from './gateways.ts'
import { startHandshakes } from './handshakes.ts'
import { cpuDuring } from './measure.ts'
import { makePki } from './pki.ts'
import { freePort, killAll, type Running, residentKib, start } from './processes.ts'
import { measureReplacedList } from './replaced-list.ts'
import { writeRevocationList } from './revocation-list.ts'
import { sallyport } from './sallyport-gateway.ts'
import { TURNS_FILE } from './turns.ts'
import { startUpstream } from './upstream.ts'

const START_LIMIT_MS = 60_000
const LOOKUPS = 200_000
const COMPETITORS = ['nginx', 'haproxy', 'sallyport']

interface Entrant {
  readonly gateway: Gateway
  readonly entries: number
  readonly port: number
  readonly running: Running
  readonly log: string
  readonly startMs: number
  readonly kib: number
  readonly cpu: number[]
  readonly perSecond: number[]
}

const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'))
process.once('exit', () => {
  killAll()
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130))

const { values } = parseArgs({
  // `npm run bench -- revocation` has its own name among them.
  allowPositionals: true,
  options: {
    entries: { type: 'string', default: '0,100,100000,1000000' },
    handshakes: { type: 'string', default: '600' },
    rounds: { type: 'string', default: '3' },
    live: { type: 'string', default: '10000' },
  },
})
const counts = values.entries.split(',').map(Number)
const pki = await makePki(folder)
const authority = { certificate: pki.ca, key: join(folder, 'ca.key'), both: '' }
const upstream = await startUpstream(folder, pki)
const client = makeClient(pki)
const lists = new Map(counts.map((count) => [count, join(folder, `${count}.crl`)]))
for (const [count, file] of lists) writeRevocationList(file, authority, count)

/** V8 goes on compiling what a connection runs for some thousands of them. */
const WARM_UP = 6_000
/** With a million entries, OpenSSL takes a tenth of a second for each. */
const handshakesFor = ({ gateway, entries }: Entrant) =>
  Math.max(64, Number(values.handshakes) / (gateway.warmsUp || entries < 500_000 ? 1 : 10))
const entrants: Entrant[] = []
for (const entries of counts) {
  for (const gateway of gateways.filter(({ name }) => COMPETITORS.includes(name))) {
    entrants.push(await enter(gateway, entries))
  }
}
for (let round = 0; round <= Number(values.rounds); round++) {
  say(round === 0 ? 'warm-up' : `round ${round}`)
  for (const entrant of round === 0 ? entrants.filter(({ gateway }) => gateway.warmsUp) : entrants) {
    const began = performance.now()
    const subject = { ...entrant, name: entrant.gateway.name, pid: entrant.running.pid }
    const count = round === 0 ? WARM_UP : handshakesFor(entrant)
    const cpu = await cpuDuring(subject, () => startHandshakes(pki, subject.port, { count }).result).catch((error) => {
      say(`${subject.name} with a list of ${entrant.entries}: ${error.message}`)
      return Number.NaN
    })
    if (round === 0 || Number.isNaN(cpu)) continue
    entrant.cpu.push(cpu / count)
    entrant.perSecond.push(count / ((performance.now() - began) / 1000))
  }
}
report(entrants)
reportLookups(entrants.filter(({ gateway }) => gateway.name === 'sallyport'))
await Promise.all(entrants.map(({ running }) => running.stop()))
if (Number(values.live) > 0) await replaceLargest()
process.exit(0)

function say(line: string): void {
  process.stderr.write(`bench: ${line}\n`)
}

/** With a gateway of its own, whose turns are watched and that reloads only when it is told to. */
async function replaceLargest(): Promise<void> {
  const entries = counts.at(-1) as number
  const turns = join(folder, 'turns')
  const env = { [TURNS_FILE]: turns, SALLYPORT_RELOAD_WATCH: 'off' }
  const watched = { job: 'many', env, execArgs: ['--import', join(import.meta.dirname, 'turns.ts')] } as const
  const { running, port, log } = await enter(sallyport, entries, watched)
  const listed = { pki, authority, file: lists.get(entries) as string, entries, turns }
  await measureReplacedList({ pid: running.pid, port, log }, listed, Number(values.live))
}

interface Manner {
  readonly job: Job
  readonly env?: NodeJS.ProcessEnv
  /** For Node itself. */
  readonly execArgs?: readonly string[]
}

async function enter(gateway: Gateway, entries: number, manner: Manner = { job: 'bare' }): Promise<Entrant> {
  say(`${gateway.name} with a list of ${entries}`)
  const { job, execArgs = [] } = manner
  const port = await freePort()
  const crl = lists.get(entries) as string
  const site = { port, adminPort: await freePort(), upstreamPort: upstream.port, pki, crl, job }
  const { command, args, env = {}, home } = configure(gateway, join(folder, `${entries}-${job}`), site)
  const log = join(home, 'output.log')
  const running = await start(command, [...execArgs, ...args], { ...env, ...manner.env }, log)
  while ((await client.ask(port, '/').catch(() => undefined))?.status !== 200) {
    if (running.exited()) throw new Error(`${gateway.name} ended: ${running.lastWords()}`)
    if (performance.now() - running.startedAt > START_LIMIT_MS) throw new Error(`${gateway.name} does not answer`)
    await sleep(5)
  }
  const startMs = performance.now() - running.startedAt
  await sleep(1500)
  const kib = residentKib(running.pid)
  return { gateway, entries, port, running, log, startMs, kib, cpu: [], perSecond: [] }
}

function report(all: readonly Entrant[]): void {
  console.log('| entries | gateway | CPU per handshake | handshakes/s | start | memory |')
  console.log('| --- | --- | --- | --- | --- | --- |')
  for (const { gateway, entries, cpu, perSecond, startMs, kib } of all) {
    const figures = [
      `${median(cpu).toFixed(0)} µs`,
      median(perSecond).toFixed(0),
      `${startMs.toFixed(0)} ms`,
      `${(kib / 1024).toFixed(0)} MiB`,
    ]
    console.log(`| ${entries} | ${gateway.name} | ${figures.join(' | ')} |`)
  }
}

function median(samples: readonly number[]): number {
  return samples.toSorted((a, b) => a - b)[Math.floor(samples.length / 2)] ?? Number.NaN
}

/** What judging one client by the list takes in microseconds, and what the list takes to be read, in seconds, both of CPU time. */
function measureLookup(entries: number): { lookup: number; reading: number } {
  const [leaf, authorityFacts] = [pki.client.certificate, pki.ca].map(
    (file) => readCertificates(readFileSync(file, 'utf8'))[0],
  )
  if (!leaf || !authorityFacts) throw new Error('no certificates to look up')
  const read = process.cpuUsage()
  const parts = readRevocationLists(readFileSync(lists.get(entries) as string))
  const reading = cpuSince(read) / 1e6
  const revocation = new Revocation(parts, { certificates: 'chain', mode: 'STRICT' })
  const judge = () => {
    if (revocation.judge([leaf, authorityFacts], Date.now()).findings.length > 0)
      throw new Error('the client is refused')
  }
  for (let i = 0; i < LOOKUPS / 10; i++) judge()
  const begun = process.cpuUsage()
  for (let i = 0; i < LOOKUPS; i++) judge()
  return { lookup: cpuSince(begun) / LOOKUPS, reading }
}

function cpuSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before)
  return user + system
}

/** The look-up alone against a whole handshake. */
function reportLookups(all: readonly Entrant[]): void {
  console.log('\n| entries | look-up | of a handshake | reading the list |\n| --- | --- | --- | --- |')
  for (const { entries, cpu } of all) {
    const { lookup, reading } = measureLookup(entries)
    const part = ((lookup / median(cpu)) * 100).toFixed(2)
    console.log(`| ${entries} | ${lookup.toFixed(2)} µs | ${part} % | ${reading.toFixed(2)} s |`)
  }
}
