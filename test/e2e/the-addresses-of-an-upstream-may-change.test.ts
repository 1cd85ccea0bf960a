import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { beforeAll, expect, test } from '@jest/globals'
import { whenFileEnds } from '../support/cleanup.ts'
import { temporaryFile } from '../support/folder.ts'
import { freePort } from '../support/free-port.ts'
import type { Gateway } from '../support/gateway.ts'
import { makeScene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

interface Host {
  readonly addresses?: readonly string[]
  /** As getaddrinfo calls it; `hangs` answers never. */
  readonly error?: string
}

/** What the name servers say; the gateway under test looks here for each name, and notes which it was asked for. */
const hosts = temporaryFile('hosts.json', '{}')
const asked = temporaryFile('asked', '')
const nameServers = temporaryFile(
  'name-servers.mjs',
  `import { appendFileSync, readFileSync } from 'node:fs'
import dns from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'
const system = dns.lookup
dns.lookup = (name, options, done) => {
  const host = JSON.parse(readFileSync(${JSON.stringify(hosts)}, 'utf8'))[name]
  if (!host) return system(name, options, done)
  appendFileSync(${JSON.stringify(asked)}, name + '\\n')
  if (host.error === 'hangs') return
  const error = host.error && Object.assign(new Error('getaddrinfo ' + host.error + ' ' + name), { code: host.error })
  setImmediate(() => done(error ?? null, (host.addresses ?? []).map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))))
}
syncBuiltinESMExports()`,
)
let gateway: Gateway
/** Keeps connections for a few requests. */
let keeping: Gateway

function say(names: Readonly<Record<string, Host>>): void {
  writeFileSync(hosts, JSON.stringify(names))
}

function timesAsked(name: string): number {
  return readFileSync(asked, 'utf8')
    .split('\n')
    .filter((line) => line === name).length
}

async function backendAt(address: string, port: number): Promise<void> {
  const server = createServer((_request, response) => response.end(address))
  await new Promise<void>((resolve) => server.listen(port, address, resolve))
  whenFileEnds(() => {
    server.closeAllConnections()
    server.close()
  })
}

beforeAll(async () => {
  const port = await freePort()
  await Promise.all([backendAt('127.0.0.2', port), backendAt('127.0.0.3', port)])
  const scene = await makeScene()
  const service = (name: string, fields: object = {}) => ({
    name,
    url: `http://${name}.test:${port}`,
    connect_timeout: 20_000,
    retries: 0,
    routes: [{ name, paths: [`/${name}`] }],
    ...fields,
  })
  const services = ['several', 'half', 'dead', 'moving', 'vanishing'].map((name) => service(name))
  const env = { NODE_OPTIONS: `--import=${nameServers}` }
  gateway = await scene.start(
    {
      services: [...services, service('hanging', { connect_timeout: 3000 })],
      proxy: { upstream_keepalive_pool_size: 0 },
    },
    { env },
  )
  keeping = await scene.start(
    { services: [service('kept')] },
    { env: { ...env, SALLYPORT_UPSTREAM_KEEPALIVE_MAX_REQUESTS: '3' } },
  )
})

test('of several addresses each is used in its turn', async () => {
  say({ 'several.test': { addresses: ['127.0.0.2', '127.0.0.3'] } })
  const texts: string[] = []
  for (let i = 0; i < 4; i++) texts.push((await gateway.get('/several')).text)
  expect(texts).toEqual(['127.0.0.2', '127.0.0.3', '127.0.0.2', '127.0.0.3'])
})

test('an address where nobody listens is passed over', async () => {
  say({ 'half.test': { addresses: ['::1', '127.0.0.9', '127.0.0.3'] } })
  for (let i = 0; i < 2; i++) expect((await gateway.get('/half')).text).toBe('127.0.0.3')
})

test('where nobody listens at any address, the log says what each of them said', async () => {
  say({ 'dead.test': { addresses: ['127.0.0.8', '127.0.0.9'] } })
  const answer = await gateway.get('/dead')
  expect(answer.status).toBe(502)
  const { code, detail } = await gateway.line(answer)
  expect(code).toBe('GW_UPSTREAM_CONNECT')
  expect(detail).toMatch(
    /^dead\.test:\d+: connect ECONNREFUSED 127\.0\.0\.8:\d+; connect ECONNREFUSED 127\.0\.0\.9:\d+$/,
  )
})

test('a name that leads elsewhere is followed; while no name server answers, it leads where it led last', async () => {
  const text = async () => (await gateway.get('/moving')).text
  say({ 'moving.test': { addresses: ['127.0.0.2'] } })
  expect(await text()).toBe('127.0.0.2')
  say({ 'moving.test': { addresses: ['127.0.0.3'] } })
  expect(await text()).toBe('127.0.0.3')
  say({ 'moving.test': { error: 'EAI_AGAIN' } })
  expect(await text()).toBe('127.0.0.3')
  await gateway.logged({
    msg: 'the name of an upstream is not found: its last addresses are used',
    name: 'moving.test',
    reason: 'getaddrinfo EAI_AGAIN moving.test',
  })
  say({ 'moving.test': { addresses: ['127.0.0.2'] } })
  expect(await text()).toBe('127.0.0.2')
  await gateway.logged({ msg: 'the name of an upstream is found again', name: 'moving.test' })
})

test('a kept connection is followed by one to where its name leads now, after upstream_keepalive_max_requests', async () => {
  const texts: string[] = []
  for (const address of ['127.0.0.2', '127.0.0.3', '127.0.0.3', '127.0.0.3', '127.0.0.2', '127.0.0.2', '127.0.0.2']) {
    say({ 'kept.test': { addresses: [address] } })
    texts.push((await keeping.get('/kept')).text)
  }
  const [first, second] = [Array(3).fill('127.0.0.2'), Array(3).fill('127.0.0.3')]
  expect(texts).toEqual([...first, ...second, '127.0.0.2'])
})

test('a name that is gone is gone', async () => {
  say({ 'vanishing.test': { addresses: ['127.0.0.2'] } })
  expect((await gateway.get('/vanishing')).text).toBe('127.0.0.2')
  say({ 'vanishing.test': { error: 'ENOTFOUND' } })
  expect((await gateway.get('/vanishing')).status).toBe(502)
})

// Node asks the system two questions at a time: each request that asked its own kept all other names waiting.
test('requests for a name that nobody answers for ask one question together', async () => {
  say({ 'hanging.test': { error: 'hangs' } })
  const waiting = Array.from({ length: 20 }, () => gateway.get('/hanging'))
  await waitFor('the question', () => timesAsked('hanging.test') > 0)
  const answers = await Promise.all(waiting)
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 504))
  expect(timesAsked('hanging.test')).toBe(1)
})
