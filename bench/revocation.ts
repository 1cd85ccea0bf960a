/**
 * What revocation lists cost nginx, HAProxy and Sallyport, with the same lists for all; prints Markdown.
 *
 *   npm run bench -- revocation                              lists of 0, 100, 100,000 and 1,000,000 entries
 *   node bench/revocation.ts --entries 0,100000 --rounds 5 --handshakes 1000 --live 2000
 *
 * --handshakes  full TLS 1.3 handshakes with one request each, per gateway, list and round; a tenth with a million entries (600)
 * --rounds      measured rounds, interleaved, after one that warms up (3); the table holds medians
 * --live        so many connections stay open while Sallyport replaces its largest list (1000; 0 leaves that out)
 *
 * CPU time is the gateway's own and moves less with what else the machine does than handshakes per second do. As a list costs less than
 * the noise of a whole handshake, the look-up is also measured alone, in this process, and held against the handshake's CPU time.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import { parseArgs } from 'node:util'
import { readCertificates } from '../src/tls-cert-utils/certificates.ts'
import { Revocation } from '../src/tls-cert-utils/revocation.ts'
import { readRevocationLists } from '../src/tls-cert-utils/revocation-list.ts'
import { type Client, makeClient } from './client.ts'
import type { Gateway } from './gateway.ts'
import { configure, gateways } from './gateways.ts'
import { measureHandshakes, reload } from './measure.ts'
import { makePki } from './pki.ts'
import { type Latency, startProbe } from './probe.ts'
import { freePort, killAll, type Running, residentKib, start } from './processes.ts'
import { writeRevocationList } from './revocation-list.ts'
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
    live: { type: 'string', default: '1000' },
  },
})
const counts = values.entries.split(',').map(Number)
const pki = await makePki(folder)
const authority = { certificate: pki.ca, key: join(folder, 'ca.key'), both: '' }
const upstream = await startUpstream(folder, pki)
const client = makeClient(pki)
const lists = new Map(counts.map((count) => [count, join(folder, `${count}.crl`)]))
for (const [count, file] of lists) writeRevocationList(file, authority, count)

/** With a million entries, a peer takes a tenth of a second for each. */
const handshakesFor = (entries: number) => Math.max(64, Number(values.handshakes) / (entries < 500_000 ? 1 : 10))
const entrants: Entrant[] = []
for (const entries of counts) {
  for (const gateway of gateways.filter(({ name }) => COMPETITORS.includes(name))) {
    entrants.push(await enter(gateway, entries))
  }
}
for (let round = 0; round <= Number(values.rounds); round++) {
  say(round === 0 ? 'warm-up' : `round ${round}`)
  for (const entrant of entrants) {
    const began = performance.now()
    const { name } = entrant.gateway
    const subject = { ...entrant, name, pid: entrant.running.pid }
    const handshakes = handshakesFor(entrant.entries)
    const sizes = {
      requests: 0,
      handshakes,
      bodies: 0,
      idleConnections: 0,
      heldConnections: 0,
      latencySeconds: 0,
      users: 0,
    }
    const { bodyFile, smallBodyFile } = upstream
    const bench = { folder, pki, client, bodyFile, smallBodyFile, sizes }
    const { connectionCpu = 0 } = await measureHandshakes(bench, subject).catch((error: Error) => {
      say(`${name} with a list of ${entrant.entries}: ${error.message}`)
      return { connectionCpu: Number.NaN }
    })
    if (round === 0 || Number.isNaN(connectionCpu)) continue
    entrant.cpu.push(connectionCpu)
    entrant.perSecond.push(handshakes / ((performance.now() - began) / 1000))
  }
}
report(entrants)
const largest = entrants.filter(({ gateway }) => gateway.name === 'sallyport').at(-1)
reportLookups(entrants.filter(({ gateway }) => gateway.name === 'sallyport'))
if (largest && Number(values.live) > 0) await measureReload(largest, client)
process.exit(0)

function say(line: string): void {
  process.stderr.write(`bench: ${line}\n`)
}

async function enter(gateway: Gateway, entries: number): Promise<Entrant> {
  say(`${gateway.name} with a list of ${entries}`)
  const port = await freePort()
  const crl = lists.get(entries) as string
  const site = { port, adminPort: await freePort(), upstreamPort: upstream.port, pki, crl, job: 'bare' as const }
  const { command, args, env = {}, home } = configure(gateway, join(folder, String(entries)), site)
  const log = join(home, 'output.log')
  const running = await start(command, args, env, log)
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

/** Replaces the list while connections are open and requests go on. */
async function measureReload(entrant: Entrant, { hold }: Client): Promise<void> {
  const { port, running, entries } = entrant
  const held: TLSSocket[] = []
  for (let left = Number(values.live); left > 0; left -= 20) {
    held.push(...(await Promise.all(Array.from({ length: Math.min(20, left) }, () => hold(port)))))
  }
  const probe = await startProbe(pki, port)
  const before = await probe.during(() => sleep(4000))
  await probe.stop()
  const rest = residentKib(running.pid)
  writeRevocationList(lists.get(entries) as string, authority, entries)
  const { reloadMs, latency } = await reload(pki, { ...entrant, pid: running.pid }, { line: '"msg":"reloaded"' })
  const closed = held.filter((socket) => socket.closed || socket.readableEnded).length
  const shown = ({ p999, longest }: Latency) =>
    `99.9th percentile ${p999.toFixed(0)} ms, longest ${longest.toFixed(0)} ms`
  console.log(
    `\nA list of ${entries} replaced within ${reloadMs.toFixed(0)} ms with ${held.length} connections open; requests meanwhile: ${shown(latency)} ` +
      `(in the seconds before: ${shown(before)}). ${closed} connections were closed, memory ${(rest / 1024).toFixed(0)} → ${(residentKib(running.pid) / 1024).toFixed(0)} MiB.`,
  )
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
