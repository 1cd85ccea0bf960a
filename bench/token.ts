/**
 * What a token on a route costs, and what signing and checking cost beside jose alone.
 *
 *   npm run bench:token            some minutes; --quick for whether it works
 *
 * One gateway, three loads in turn (A, B, C, C, B, A, A, B, C …), two warm-ups, then medians of the rounds, also of what each load costs over another in the same round: a route that demands nothing; the same with
 * the token in the request, which costs the parser the same; and a route with `rules: [[token]]`. CPU time is the gateway's own.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jwtVerify, SignJWT } from 'jose'
import { MemoryStore } from '../src/store/memory.ts'
import { Revocations } from '../src/tokens/revocations.ts'
import { derivedKeys } from '../src/tokens/signing-keys.ts'
import { Tokens } from '../src/tokens/tokens.ts'
import { fakeConnection } from '../test/support/fake-connection.ts'
import { makeClient, plainStatus } from './client.ts'
import { firstSuccess } from './entrant.ts'
import { makePki, type Pki } from './pki.ts'
import { cpuMicroseconds, freePort, killAll, run, start } from './processes.ts'
import { startUpstream } from './upstream.ts'

const quick = process.argv.includes('--quick')
const ROUNDS = quick ? 1 : 15
const WARM_UPS = 2
/** Few, and many rounds: what else the machine does changes slowly, and the loads of one round are compared with each other. */
const REQUESTS = quick ? 2_000 : 8_000
const SIGNATURES = quick ? 200 : 3_000
const PASSWORD = 'of the bench'

const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'))
process.once('exit', () => {
  killAll()
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
})

console.log(await measureRoutes())
console.log(await measureSignatures())
process.exit(0)

async function measureRoutes(): Promise<string> {
  const pki = await makePki(folder)
  const upstream = await startUpstream(folder, pki)
  const [port, adminPort] = [await freePort(), await freePort()]
  const config = join(folder, 'sallyport.json')
  writeFileSync(config, JSON.stringify(configuration({ port, adminPort, upstreamPort: upstream.port, pki })))
  const program = join(import.meta.dirname, '..', 'bin', 'sallyport.js')
  const gateway = await start(process.execPath, [program, 'run', '-c', config], {}, join(folder, 'gateway.log'))
  await firstSuccess(gateway, async () => (await plainStatus(`http://127.0.0.1:${adminPort}/readyz`)) === 200)
  const client = makeClient(pki)
  await firstSuccess(upstream.process, async () => (await client.ask(upstream.port, '/')).status === 200)
  const token = await logIn(port, pki)
  const header = ['-H', `X-Auth-Token: ${token}`]
  const loads = { plain: ['plain', []], carried: ['plain', header], demanded: ['token', header] } as const
  const samples = new Map<string, number[]>()
  for (let round = 1 - WARM_UPS; round <= ROUNDS; round++) {
    const order = Object.entries(loads)
    for (const [name, [path, more]] of round % 2 === 0 ? order : order.reverse()) {
      const before = cpuMicroseconds(gateway.pid)
      await load(`https://localhost:${port}/${path}/`, pki, more)
      const cpu = (cpuMicroseconds(gateway.pid) - before) / REQUESTS
      if (round > 0) samples.set(name, [...(samples.get(name) ?? []), cpu])
    }
  }
  const [plain = 0, carried = 0, demanded = 0] = ['plain', 'carried', 'demanded'].map((name) =>
    median(samples.get(name)),
  )
  const over = (name: string, base: string) => {
    const [values = [], bases = []] = [samples.get(name), samples.get(base)]
    return percent(median(values.map((value, i) => value / (bases[i] ?? value))))
  }
  return [
    `CPU µs per request: ${plain.toFixed(1)} without a token, ${carried.toFixed(1)} with one that nobody asks for, ${demanded.toFixed(1)} where the route demands it`,
    `the demand costs ${over('demanded', 'carried')} over the same request, ${over('demanded', 'plain')} over one without a token`,
  ].join('\n')
}

interface Site {
  readonly port: number
  readonly adminPort: number
  readonly upstreamPort: number
  readonly pki: Pki
}

function configuration({ port, adminPort, upstreamPort, pki }: Site): object {
  const server = {
    server_names: ['localhost'],
    ssl_certificate: pki.server.certificate,
    ssl_certificate_key: pki.server.key,
    ssl_client_certificate: pki.ca,
    ssl_verify_client: 'on',
  }
  const api = (name: string, more: object) => ({
    ...{ name, url: `https://127.0.0.1:${upstreamPort}`, ...more },
    routes: [{ name, paths: [`/${name}`] }],
  })
  return {
    listeners: [{ listen: `127.0.0.1:${port}`, keepalive_requests: 1_000_000_000, servers: [server] }],
    consumers: [{ username: 'ada', basicauth_credentials: [{ username: 'ada', password: PASSWORD }] }],
    services: [
      { name: 'identity', builtin: 'identity', routes: [{ name: 'identity', paths: ['/identity'] }] },
      api('plain', {}),
      api('token', { rules: [['token']] }),
    ],
    proxy: {
      proxy_ssl_certificate: pki.gateway.certificate,
      proxy_ssl_certificate_key: pki.gateway.key,
      proxy_ssl_trusted_certificate: pki.ca,
      proxy_ssl_name: 'localhost',
    },
    log: { access_log: 'off' },
    admin: { listen: `127.0.0.1:${adminPort}` },
  }
}

async function logIn(port: number, { ca, client }: Pki): Promise<string> {
  const user = { name: 'ada', domain: { id: 'default' }, password: PASSWORD }
  const body = JSON.stringify({ auth: { identity: { methods: ['password'], password: { user } } } })
  const output = await run('curl', [
    ...[
      '-sS',
      '--fail',
      '--cert',
      client.certificate,
      '--key',
      client.key,
      '--cacert',
      ca,
      '-D',
      '-',
      '-o',
      '/dev/null',
    ],
    ...['-H', 'Content-Type: application/json', '-d', body, `https://localhost:${port}/identity/v3/auth/tokens`],
  ])
  const token = /^x-subject-token: (\S+)/im.exec(output)?.[1]
  if (token === undefined) throw new Error(`no token: ${output}`)
  return token
}

async function load(url: string, { client }: Pki, more: readonly string[]): Promise<void> {
  const output = await run('ab', ['-q', '-k', '-c', '32', '-n', String(REQUESTS), '-E', client.both, ...more, url])
  if (/Non-2xx|Failed requests:\s+[1-9]/.test(output)) throw new Error(`ab: ${output}`)
}

/** The same claims and key, in turns: ours with all that it adds, and jose alone. */
async function measureSignatures(): Promise<string> {
  const HOUR = 3_600_000
  const keys = derivedKeys({ secret: randomBytes(32), rotation: 24 * HOUR, lifetime: HOUR })
  const revocations = new Revocations(new MemoryStore(1000))
  const tokens = new Tokens({ keys, issuer: 'bench', revocations, cacheEntries: 0, expiredWindow: 0 })
  const { alg, kid, privateKey, publicKey } = keys.current
  const header = { alg, kid, typ: 'at+jwt' }
  const claims = { sub: 'ada', methods: ['password'], project_id: 'demo' }
  const connection = fakeConnection()
  const expiresAt = Date.now() + HOUR
  const { token } = await tokens.issue(claims, expiresAt, connection)
  const options = { issuer: 'bench', typ: 'at+jwt', requiredClaims: ['sub', 'jti', 'iat', 'exp'] }
  const steps = {
    'sign, ours': () => tokens.issue(claims, expiresAt, connection),
    'sign, jose': () =>
      new SignJWT({ ...claims, jti: 'x' })
        .setProtectedHeader(header)
        .setIssuer('bench')
        .setIssuedAt()
        .setExpirationTime('1h')
        .sign(privateKey),
    'check, ours': () => tokens.inspect(token),
    'check, jose': () => jwtVerify(token, publicKey, options),
  }
  const samples = new Map<string, number[]>()
  for (let round = 1 - WARM_UPS; round <= ROUNDS; round++) {
    for (const [name, step] of Object.entries(steps)) {
      const before = process.cpuUsage()
      for (let i = 0; i < SIGNATURES; i++) await step()
      const { user, system } = process.cpuUsage(before)
      if (round > 0) samples.set(name, [...(samples.get(name) ?? []), (user + system) / SIGNATURES])
    }
  }
  return [...samples].map(([name, values]) => `${name}: ${median(values).toFixed(1)} µs`).join(', ')
}

function median(values: readonly number[] = []): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}

function percent(ratio: number): string {
  return `${((ratio - 1) * 100).toFixed(1)} %`
}
