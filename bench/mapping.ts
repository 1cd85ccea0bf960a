/**
 * What it costs to find the user of a certificate among many, and to ask again on a connection that is known.
 *
 *   npm run bench:mapping [-- users]      one million by default
 *
 * Memory is what the heap holds with the rules, as a configuration has them, and what is made of them; a look-up is the whole of `map`.
 */
import { spawnSync } from 'node:child_process'
import { createAuthorization } from '../src/auth/authorization.ts'
import { createCertificateMethod } from '../src/auth/methods/certificate.ts'
import type { RuleSettings } from '../src/identity/mapping/rule.ts'
import { createStrictMapper } from '../src/identity/mapping/strict.ts'
import { createUsers } from '../src/identity/users.ts'
import { readCertificate } from '../src/tls-cert-utils/certificate.ts'
import type { Caller, Connection } from '../src/types.ts'

const kind = process.argv[2]
if (kind === undefined || /^\d+$/.test(kind)) {
  // One process each: what one leaves on the heap must not count for the other.
  for (const each of ['email', 'dn']) {
    const args = ['--expose-gc', '--max-old-space-size=4096', import.meta.filename, each, kind ?? '1000000']
    spawnSync(process.execPath, args, { stdio: 'inherit' })
  }
  process.exit(0)
}

const COUNT = Number(process.argv[3])
const certificate = readCertificate(certificateOf(Math.floor(COUNT * 0.77)))
const connection = {
  certificate,
  verification: { result: 'SUCCESS' },
  chain: [],
  expiresAt: Number.POSITIVE_INFINITY,
} as unknown as Connection

const kinds: Record<string, (i: number) => string> = {
  email: (i) => `email:user${i}@example.com`,
  dn: (i) => `dn:CN=user${i},OU=Unit ${i % 100},O=Example,C=DE`,
}

measure(kinds[kind] as (i: number) => string)

function measure(rule: (i: number) => string): void {
  const before = heap()
  const started = performance.now()
  const rules: RuleSettings[] = []
  for (let i = 0; i < COUNT; i++) rules.push({ at: 'users', user: `user${i}`, certificates: [rule(i)] })
  const mapper = createStrictMapper({ rules, users: createUsers([]), trusted: [] })
  const built = performance.now() - started
  const megabytes = (heap() - before) / 1e6
  const rounds = 100_000
  const at = performance.now()
  let found = ''
  for (let i = 0; i < rounds; i++) {
    const mapping = mapper.map(certificate, connection)
    if (!(mapping instanceof Promise)) found = mapping.status
  }
  const each = ((performance.now() - at) * 1000) / rounds
  const speed = `built in ${Math.round(built)} ms, ${Math.round(megabytes)} MB, ${each.toFixed(2)} µs a look-up`
  console.log(`${COUNT} users by ${kind}: ${speed} (${found})`)
  perRequest(mapper)
}

function heap(): number {
  global.gc?.()
  return process.memoryUsage().heapUsed
}

/** A certificate of the nth user, whose RDNs stand in another order than in the rules. */
function certificateOf(n: number): Buffer {
  const subject = `/CN=user${n}/C=DE/OU=Unit ${n % 100}/O=Example`
  const names = ['-addext', `subjectAltName=email:user${n}@example.com`, '-subj', subject]
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', '/dev/null']
  return spawnSync('openssl', ['req', '-x509', ...key, '-outform', 'DER', '-days', '2', ...names]).stdout
}

function perRequest(mapper: ReturnType<typeof createStrictMapper>): void {
  const method = createCertificateMethod()
  const server = { name: '', policy: '', verify: 'on', mapper, verifyAndMap: true } as const
  const caller = { connection, server, method: 'GET' } as unknown as Caller
  const limits = [
    {
      at: 'r',
      allow: [{ at: 'r.allow[0]', groups: new Set(['staff']) }],
      deny: [{ at: 'r.deny[0]', users: new Set(['eve']) }],
    },
  ]
  const authorization = createAuthorization({ limits, addressOf: () => '' })
  const identity = {
    user: { id: 'a', name: 'a', groups: ['staff'], customId: undefined },
    methods: ['certificate'],
    credential: undefined,
    expiresAt: Number.POSITIVE_INFINITY,
  }
  const rounds = 5_000_000
  for (let round = 0; round < 2; round++) {
    const at = performance.now()
    for (let i = 0; i < rounds; i++) {
      method.authenticate(caller)
      authorization.authorize(caller, identity)
    }
    if (round === 1)
      console.log(
        `known connection: ${(((performance.now() - at) * 1e6) / rounds).toFixed(0)} ns a request for user and permission`,
      )
  }
}
