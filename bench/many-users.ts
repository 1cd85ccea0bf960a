/**
 * A file of users, read as a gateway reads it: what it holds in memory, and how long it takes to find the user of a certificate. Prints one line of JSON.
 *
 *   node --expose-gc bench/many-users.ts email 1000000       or dn, whose RDNs stand in the certificate in another order
 */
import { spawnSync } from 'node:child_process'
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { StrictMapper } from '../src/identity/mapping/strict.ts'
import { createUsers } from '../src/identity/users.ts'
import { UsersFiles } from '../src/runtime/users/files.ts'
import { readCertificate } from '../src/tls-cert-utils/certificate.ts'
import type { Connection } from '../src/types.ts'

const [kind = 'email', written = '1000000'] = process.argv.slice(2)
const COUNT = Number(written)
const LOOK_UPS = 100_000
const SETTLES_MS = 1000

const RULES: Readonly<Record<string, (i: number) => string>> = {
  email: (i) => `email:user${i}@example.com`,
  dn: (i) => `"dn:CN=user${i},OU=Unit ${i % 100},O=Example,C=DE"`,
}

const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
const file = join(folder, 'users.csv')
await writeUsers(file)
const mapper = new StrictMapper({ rules: [], users: createUsers([]), trusted: [] })
const before = await memory()
const started = performance.now()
const told = { problems: [], warnings: [] }
const bounds = { maxSize: 2 ** 30, maxUsers: COUNT, maxEntry: 65_536 }
const wanted = { file, mapping: 'strict' as const, tops: [], ...bounds }
await new UsersFiles().attach({ wanted, mapper, issuersOf: () => [] }, told)
const seconds = (performance.now() - started) / 1000
const megabytes = ((await memory()) - before) / 1e6
console.log(JSON.stringify({ megabytes, seconds, microseconds: lookUp() }))

async function writeUsers(path: string): Promise<void> {
  const output = createWriteStream(path)
  output.write('user,certificate,groups\n')
  for (let i = 0; i < COUNT; i += 1000) {
    const rows = Array.from(
      { length: Math.min(1000, COUNT - i) },
      (_, j) => `user${i + j},${RULES[kind]?.(i + j)},staff\n`,
    )
    if (!output.write(rows.join(''))) await new Promise((resolve) => output.once('drain', resolve))
  }
  output.end()
  await finished(output)
}

/** Of the whole process, since the table lies outside of the heap; once the thread is gone that has read it. */
async function memory(): Promise<number> {
  await sleep(SETTLES_MS)
  global.gc?.()
  return process.memoryUsage().rss
}

/** Microseconds of CPU time for the whole of `map`, of users from all over the file. */
function lookUp(): number {
  const certificates = [0.03, 0.29, 0.51, 0.77, 0.98].map((part) =>
    readCertificate(certificateOf(Math.floor(COUNT * part))),
  )
  const connection = { chain: [] } as unknown as Connection
  let mapped = 0
  const once = () => {
    for (const certificate of certificates) if (mapper.map(certificate, connection).status === 'mapped') mapped++
  }
  for (let i = 0; i < LOOK_UPS / 10; i++) once()
  mapped = 0
  const before = process.threadCpuUsage()
  for (let i = 0; i < LOOK_UPS / certificates.length; i++) once()
  const { user, system } = process.threadCpuUsage(before)
  if (mapped !== LOOK_UPS) throw new Error(`${LOOK_UPS - mapped} users were not found`)
  return (user + system) / LOOK_UPS
}

function certificateOf(n: number): Buffer {
  const subject = `/CN=user${n}/C=DE/OU=Unit ${n % 100}/O=Example`
  const names = ['-addext', `subjectAltName=email:user${n}@example.com`, '-subj', subject]
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', '/dev/null']
  return spawnSync('openssl', ['req', '-x509', ...key, '-outform', 'DER', '-days', '2', ...names]).stdout
}
