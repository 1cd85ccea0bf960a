/**
 * What the registry's parts cost: `npm run build && node bench/registry.ts [--quick]`, some minutes; prints one table.
 *
 * tokens    a right judged and a token signed (ES256), in this process, with ten rules and users and with 1,000 rules and 100,000 users
 * endpoint  the same asked of a gateway by ab over kept mutual TLS connections
 * direct    a request through the gate, against the same request forwarded by a gateway without it
 * blob      CPU per GB of a layer of 2 GB, gate against plain, and the most memory that the gateway ever had
 *
 * CPU is the gateway's own, from /proc. Rounds are interleaved and the first is thrown away; figures are medians. Needs nginx, ab and curl.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createRights, type RightsRule } from '../src/registry/rights.ts'
import { createTokenSigner } from '../src/registry/token-signer.ts'
import { readKeyPair } from '../src/tls-cert-utils/key-pair.ts'
import type { User } from '../src/types.ts'
import { makePki, type Pki } from './pki.ts'
import { cpuMicroseconds, freePort, killAll, type Running, run, start } from './processes.ts'
import { nginxConfig } from './upstream.ts'

const quick = process.argv.includes('--quick')
const ROUNDS = quick ? 2 : 5
const REQUESTS = quick ? 1_000 : 20_000
const TOKENS = quick ? 500 : 10_000
const BLOB_BYTES = quick ? 50_000_000 : 2 * 2 ** 30
const BLOB = `/v2/team/app1/blobs/sha256:${'a'.repeat(64)}`
const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'))
process.once('exit', () => {
  killAll()
  rmSync(folder, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

const samples = new Map<string, number[]>()
function sample(name: string, value: number): void {
  samples.set(name, [...(samples.get(name) ?? []), value])
}
function median(name: string): number {
  const [, ...kept] = samples.get(name) ?? []
  return kept.toSorted((a, b) => a - b)[kept.length >> 1] ?? Number.NaN
}

const pki = await makePki(folder)
await measureTokens(pki)
await measureGateways(pki)
print()
process.exit(0)

/** Identity cached, as at the token server: what is left is to judge and to sign. */
async function measureTokens({ gateway }: Pki): Promise<void> {
  const pair = readKeyPair({
    certificate: readFileSync(gateway.certificate, 'utf8'),
    key: readFileSync(gateway.key, 'utf8'),
  })
  const signer = createTokenSigner({ issuer: 'bench', pairs: [pair], keyIdForm: 'libtrust' })
  const few = { rules: 10, rights: createRights(rulesFor(10)), users: usersFor(10) }
  const many = { rules: 1_000, rights: createRights(rulesFor(1_000)), users: usersFor(100_000) }
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, { rules, rights, users }] of Object.entries({ few, many })) {
      const before = process.cpuUsage()
      for (let i = 0; i < TOKENS; i++) {
        const user = users[(i * 7919) % users.length] as User
        const subject = { user, certificate: undefined, address: '192.0.2.1', service: 'registry' }
        // Of the rules with an odd number, so that both cases grant the same and sign as much.
        const name = `team/app${(2 * i + 1) % rules}`
        const resource = { type: 'repository', name, actions: ['pull', 'push'] }
        const { granted } = await rights.judge(subject, resource, undefined)
        const access = [{ ...resource, actions: granted }]
        const issuedAt = Math.floor(Date.now() / 1000)
        signer.sign({ subject: user.name, audience: 'registry', access, issuedAt, expiresAt: issuedAt + 300 })
      }
      const { user, system } = process.cpuUsage(before)
      sample(`tokens/${name}`, TOKENS / ((user + system) / 1e6))
    }
  }
}

/** Each rule is of a group of its own and a repository of its own, the dearest case for what looks at all of them. */
function rulesFor(count: number): RightsRule[] {
  return Array.from({ length: count }, (_, i) => ({
    ...{ name: `rule ${i}`, effect: 'allow', users: [], groups: i % 2 === 0 ? [`group${i % 10}`] : [] },
    ...{ anonymous: false, certificate: [], addresses: undefined, tags: [], catalog: false, actions: ['push'] },
    repositories: [`team/app${i}`, `team/app${i}/**`],
  }))
}

function usersFor(count: number): User[] {
  return Array.from({ length: count }, (_, i) => {
    return { id: `${i}`, name: `user${i}`, groups: [`group${i % 10}`], customId: undefined }
  })
}

interface Gateway {
  readonly name: string
  readonly port: number
  readonly process: Running
}

async function measureGateways(pki: Pki): Promise<void> {
  const upstream = await startUpstream()
  const plain = await startGateway('plain', pki, upstream)
  const direct = await startGateway('direct', pki, upstream)
  for (let round = 0; round < ROUNDS; round++) {
    for (const gateway of [plain, direct]) {
      sample(`request/${gateway.name}`, await cpuPerRequest(gateway, pki, '/v2/team/app1/tags/list'))
      const before = cpuMicroseconds(gateway.process.pid)
      await fetchBlob(gateway, pki)
      sample(`blob/${gateway.name}`, (cpuMicroseconds(gateway.process.pid) - before) / 1000 / (BLOB_BYTES / 2 ** 30))
    }
    const query = '/auth/token?service=registry&scope=repository:team/app1:pull,push'
    sample('endpoint', 1e6 / (await cpuPerRequest(direct, pki, query)))
  }
  for (const { name, process } of [plain, direct]) {
    const [, peak = ''] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${process.pid}/status`, 'utf8')) ?? []
    samples.set(`memory/${name}`, [0, Number(peak) / 1024])
  }
}

async function cpuPerRequest({ port, process }: Gateway, pki: Pki, path: string): Promise<number> {
  const before = cpuMicroseconds(process.pid)
  const output = await run('ab', [
    ...['-q', '-k', '-c', '16', '-n', `${REQUESTS}`, '-E', pki.client.both, '-H', `Host: localhost:${port}`],
    `https://127.0.0.1:${port}${path}`,
  ])
  if (/Non-2xx/.test(output)) throw new Error(`${path} was refused: ${output}`)
  await sleep(100)
  return (cpuMicroseconds(process.pid) - before) / REQUESTS
}

async function fetchBlob({ port }: Gateway, pki: Pki): Promise<void> {
  const who = ['--cacert', pki.ca, '--cert', pki.client.certificate, '--key', pki.client.key]
  await run('curl', ['-sS', '--fail', '-o', '/dev/null', ...who, `https://localhost:${port}${BLOB}`])
}

async function startUpstream(): Promise<number> {
  const port = await freePort()
  const home = join(folder, 'registry')
  mkdirSync(home, { recursive: true })
  writeFileSync(join(home, 'blob'), '')
  truncateSync(join(home, 'blob'), BLOB_BYTES)
  const server = `
  server {
    listen 127.0.0.1:${port} backlog=1024;
    location / { return 200 '{"name":"team/app1","tags":["latest"]}'; }
    location ${BLOB} { alias ${home}/blob; }
  }`
  writeFileSync(join(home, 'nginx.conf'), nginxConfig(home, server))
  await start('nginx', ['-p', home, '-c', join(home, 'nginx.conf')], {}, join(home, 'output.log'))
  return port
}

async function startGateway(name: 'plain' | 'direct', pki: Pki, upstreamPort: number): Promise<Gateway> {
  const [port, adminPort] = [await freePort(), await freePort()]
  const isDirect = name === 'direct'
  const asks = isDirect ? { rules: [['certificate']], anonymous: true } : {}
  const server = {
    server_names: ['localhost'],
    ssl_certificate: pki.server.certificate,
    ssl_certificate_key: pki.server.key,
    ssl_client_certificate: pki.ca,
    ssl_verify_client: 'optional',
    ...(isDirect && {
      verify_and_map: true,
      authorization: { users: [{ user: 'client', certificate: ['cn:client'] }] },
    }),
  }
  const tokens = { name: 'tokens', builtin: 'registry-tokens', ...asks, routes: [{ name: 't', paths: ['/auth'] }] }
  const config = {
    listeners: [{ listen: `127.0.0.1:${port}`, keepalive_requests: 1_000_000_000, servers: [server] }],
    certificates: [{ name: 'tokens', cert: pki.gateway.certificate, key: pki.gateway.key }],
    registry_realms: [
      {
        ...{ name: 'bench', services: ['registry'], certificate: 'tokens' },
        rules: rulesFor(1_000).map(({ name, repositories, actions }) => ({ name, repositories, actions })),
      },
    ],
    services: [
      ...(isDirect ? [tokens] : []),
      {
        ...{ name: 'registry', url: `http://127.0.0.1:${upstreamPort}`, ...asks },
        ...(isDirect && { registry: { realm: 'bench', service: 'registry' } }),
        routes: [{ name: 'registry', paths: ['/v2'], strip_path: false }],
      },
    ],
    log: { access_log: 'off', level: 'warn' },
    admin: { listen: `127.0.0.1:${adminPort}` },
  }
  const file = join(folder, `${name}.yaml`)
  writeFileSync(file, JSON.stringify(config))
  const program = join(import.meta.dirname, '..', 'bin', 'sallyport.js')
  const running = await start(process.execPath, [program, 'run', '-c', file], {}, join(folder, `${name}.log`))
  for (let i = 0; i < 200; i++) {
    if (running.exited()) break
    const ready = await fetch(`http://127.0.0.1:${adminPort}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    )
    if (ready) return { name, port, process: running }
    await sleep(50)
  }
  throw new Error(`the gateway did not start: ${running.lastWords()}`)
}

function print(): void {
  const ratio = (a: string, b: string) => (median(a) / median(b)).toFixed(2)
  const rows = [
    ['tokens a second, 10 rules, 10 users', median('tokens/few').toFixed(0), ''],
    [
      'tokens a second, 1,000 rules, 100,000 users',
      median('tokens/many').toFixed(0),
      ratio('tokens/many', 'tokens/few'),
    ],
    ['tokens a second of CPU at the endpoint, over TLS', median('endpoint').toFixed(0), ''],
    ['CPU µs for a request, plain', median('request/plain').toFixed(1), ''],
    [
      'CPU µs for a request, direct mode',
      median('request/direct').toFixed(1),
      ratio('request/direct', 'request/plain'),
    ],
    ['CPU ms for a GB of a layer, plain', median('blob/plain').toFixed(0), ''],
    ['CPU ms for a GB of a layer, direct mode', median('blob/direct').toFixed(0), ratio('blob/direct', 'blob/plain')],
    ['MB at most, plain', samples.get('memory/plain')?.[1]?.toFixed(0) ?? '', ''],
    ['MB at most, direct mode', samples.get('memory/direct')?.[1]?.toFixed(0) ?? '', ''],
  ]
  process.stdout.write(
    `| | | ratio |\n| --- | --- | --- |\n${rows.map((row) => `| ${row.join(' | ')} |`).join('\n')}\n`,
  )
}
