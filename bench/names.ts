/** Server names with a certificate of their own each: what ten thousand of them cost a request, a handshake, the start, a reload and memory. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { openAuthority } from '../src/tls-cert-utils/development-pki.ts'
import { type Bench, cpuDuring, type Figures, reloadWhole, type Subject } from './measure.ts'
import { type KeyPair, type Pki, pathsOf } from './pki.ts'
import { residentKib } from './processes.ts'

export const MANY_NAMES = 10_000
export const FEW_NAMES = 10
const AT_ONCE = 16

function nameOf(i: number): string {
  return `host-${i}.example`
}

/** Kong's `certificates` for the gateway's configuration, with so many names beside localhost. */
export function certificatesSetting(pki: Pki, names: number): string {
  if (names === 0) return ''
  const entry = (name: string, { certificate, key }: KeyPair) =>
    `  - { cert: ${certificate}, key: ${key}, snis: [{ name: ${name} }] }`
  const others = Array.from({ length: names }, (_, i) => entry(nameOf(i), pathsOf(pki.names, nameOf(i))))
  return ['certificates:', entry('localhost', pki.server), ...others].join('\n')
}

/** Each has a key of its own. */
export async function makeNames(pki: Pki, folder: string): Promise<void> {
  const ca = pathsOf(folder, 'ca')
  const authority = openAuthority({ pem: readFileSync(ca.certificate, 'utf8'), keyPem: readFileSync(ca.key, 'utf8') })
  mkdirSync(pki.names)
  for (let i = 0; i < MANY_NAMES; i++) {
    const name = nameOf(i)
    const issued = await authority.issue({ subject: name, dnsNames: [name] })
    const { certificate, key } = pathsOf(pki.names, name)
    writeFileSync(certificate, issued.pem)
    writeFileSync(key, issued.keyPem, { mode: 0o600 })
  }
}

/** How many names have been asked for, by process: a name's first connection makes its TLS context. */
const met = new Map<number, number>()

export async function measureNames(bench: Bench, subject: Subject, many: boolean): Promise<Figures> {
  const { handshakes } = bench.sizes
  const from = met.get(subject.pid) ?? 0
  met.set(subject.pid, from + handshakes)
  const count = many ? MANY_NAMES : FEW_NAMES
  const connect = () => cpuDuring(subject, () => connectTo(bench, subject.port, { from, total: handshakes, count }))
  const first = (await connect()) / handshakes
  const again = (await connect()) / handshakes
  const mib = residentKib(subject.pid) / 1024
  if (!many) return { tenNamesConnection: again, tenNamesMib: mib }
  const { reloadMs, latency } = await reloadWhole(bench, subject)
  return {
    ...{ manyNamesFirst: first, manyNamesConnection: again, manyNamesMib: mib },
    ...{ manyNamesStart: subject.startMs, manyNamesReload: reloadMs, namesReloadLongest: latency.longest },
  }
}

/** One full handshake and one request each, by one name after the other. */
async function connectTo(
  { client }: Bench,
  port: number,
  { from, total, count }: { from: number; total: number; count: number },
): Promise<void> {
  let next = 0
  const one = async () => {
    for (let i = next++; i < total; i = next++)
      await client.resume(port, undefined, { servername: nameOf((from + i) % count) })
  }
  await Promise.all(Array.from({ length: AT_ONCE }, one))
}
