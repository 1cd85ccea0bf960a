/**
 * What revocation lists cost nginx, HAProxy and Sallyport, with the same lists for all; prints Markdown.
 *
 *   node bench/revocation.ts                                 lists of 0, 100, 100,000 and 1,000,000 entries
 *   node bench/revocation.ts --entries 0,100000 --rounds 5 --handshakes 1000 --live 2000
 *
 * --handshakes  full TLS 1.3 handshakes with one request each, per gateway, list and round; a tenth with a million entries (600)
 * --rounds      measured rounds, interleaved, after one that warms up (3); the table holds medians
 * --live        so many connections stay open while Sallyport replaces its largest list (1000; 0 leaves that out)
 *
 * CPU time is the gateway's own and hardly moves with what else the machine does; handshakes per second do. "Stall" is the longest that a request
 * on a kept connection took while the list was replaced.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import { parseArgs } from 'node:util'
import { type Client, makeClient } from './client.ts'
import type { Gateway } from './gateway.ts'
import { configure, gateways } from './gateways.ts'
import { measureHandshakes } from './measure.ts'
import { makePki, type Pki } from './pki.ts'
import { freePort, killAll, type Running, residentKib, start } from './processes.ts'
import { writeRevocationList } from './revocation-list.ts'
import { startUpstream } from './upstream.ts'

const START_LIMIT_MS = 60_000
const COMPETITORS = ['nginx', 'haproxy', 'sallyport']

interface Entrant {
  readonly gateway: Gateway
  readonly entries: number
  readonly port: number
  readonly running: Running
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
    const subject = { name, pid: entrant.running.pid, port: entrant.port }
    const handshakes = handshakesFor(entrant.entries)
    const sizes = { requests: 0, handshakes, bodies: 0, idleConnections: 0, heldConnections: 0 }
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
if (largest && Number(values.live) > 0) await measureReload(largest, client, pki)
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
  const running = await start(command, args, env, join(home, 'output.log'))
  while ((await client.ask(port, '/').catch(() => undefined))?.status !== 200) {
    if (running.exited()) throw new Error(`${gateway.name} ended: ${running.lastWords()}`)
    if (performance.now() - running.startedAt > START_LIMIT_MS) throw new Error(`${gateway.name} does not answer`)
    await sleep(5)
  }
  const startMs = performance.now() - running.startedAt
  await sleep(1500)
  const kib = residentKib(running.pid)
  return { gateway, entries, port, running, startMs, kib, cpu: [], perSecond: [] }
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
async function measureReload({ port, running, entries }: Entrant, { hold }: Client, { ca, client: pair }: Pki) {
  const held: TLSSocket[] = []
  for (let left = Number(values.live); left > 0; left -= 20) {
    held.push(...(await Promise.all(Array.from({ length: Math.min(20, left) }, () => hold(port)))))
  }
  const options = { ca: readFileSync(ca), cert: readFileSync(pair.certificate), key: readFileSync(pair.key) }
  const agent = new Agent({ ...options, keepAlive: true, maxSockets: 1, servername: 'localhost' })
  const once = () =>
    new Promise<number>((resolve, reject) => {
      const began = performance.now()
      request({ host: '127.0.0.1', port, agent, headers: { host: `localhost:${port}` } }, (response) => {
        response.resume().once('end', () => resolve(performance.now() - began))
      })
        .once('error', reject)
        .end()
    })
  const worst = async (milliseconds: number) => {
    let longest = 0
    for (const end = performance.now() + milliseconds; performance.now() < end; )
      longest = Math.max(longest, await once())
    return longest
  }
  await worst(1000)
  const before = await worst(4000)
  const rest = residentKib(running.pid)
  writeRevocationList(lists.get(entries) as string, authority, entries)
  process.kill(running.pid, 'SIGHUP')
  const during = await worst(8000)
  const closed = held.filter((socket) => socket.closed || socket.readableEnded).length
  console.log(
    `\nA list of ${entries} replaced with ${held.length} connections open: the longest request took ${during.toFixed(0)} ms ` +
      `(${before.toFixed(0)} ms in the seconds before), ${closed} connections were closed, memory ${(rest / 1024).toFixed(0)} → ${(residentKib(running.pid) / 1024).toFixed(0)} MiB.`,
  )
}
