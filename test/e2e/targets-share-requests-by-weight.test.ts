import { type AddressInfo, createServer, type Socket } from 'node:net'
import { beforeAll, expect, test } from '@jest/globals'
import { type Backend, startBackend } from '../support/backend.ts'
import { whenFileEnds } from '../support/cleanup.ts'
import { json } from '../support/client.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

let scene: Scene
let first: Backend
let second: Backend
let proxy: object

beforeAll(async () => {
  scene = await makeScene()
  const { inside, own } = scene
  first = scene.backend
  second = await startBackend({ certificate: inside.server('localhost'), clients: inside })
  proxy = {
    proxy_ssl_certificate: own.chain,
    proxy_ssl_certificate_key: own.key,
    proxy_ssl_trusted_certificate: inside.certificate,
    proxy_ssl_name: 'localhost',
  }
})

function configuration(weights: readonly [number, number], ports = [first.port, second.port]): object {
  return {
    proxy,
    upstreams: [
      {
        name: 'pool',
        targets: ports.map((port, i) => ({ target: `localhost:${port}`, weight: weights[i] })),
      },
    ],
    services: [{ name: 'api', protocol: 'https', host: 'pool', routes: [{ name: 'all', paths: ['/'] }] }],
  }
}

async function counts(weights: readonly [number, number], requests: number): Promise<[number, number]> {
  first.reset()
  second.reset()
  const gateway = await scene.start(configuration(weights) as never)
  for (let i = 0; i < requests; i++) expect((await gateway.get('/')).status).toBe(200)
  await gateway.stop()
  return [first.seen.length, second.seen.length]
}

test('three to one', async () => {
  const [a, b] = await counts([300, 100], 40)
  expect(a + b).toBe(40)
  expect(a).toBeGreaterThanOrEqual(28)
  expect(a).toBeLessThanOrEqual(32)
})

test('a weight of 0 takes a target out', async () => {
  expect(await counts([100, 0], 10)).toEqual([10, 0])
})

test('where every target has weight 0, the client gets 503', async () => {
  const gateway = await scene.start(configuration([0, 0]) as never)
  const answer = await gateway.get('/')
  expect(answer.status).toBe(503)
  expect(json(answer)).toMatchObject({ code: 'GW_NO_TARGET' })
})

test('a target at its limit is passed over; where all are, the client gets 503 at once', async () => {
  const config = { ...configuration([1000, 1]), proxy: { ...proxy, upstream_max_connections: 1 } }
  const gateway = await scene.start(config as never)
  const held: (() => void)[] = []
  for (const backend of [first, second]) {
    backend.reset()
    backend.respond = (_request, response) => held.push(() => response.end('late'))
  }
  const one = gateway.get('/')
  await waitFor('the first request', () => first.seen.length === 1)
  const other = gateway.get('/')
  await waitFor('the second request', () => second.seen.length === 1)
  const refused = await gateway.get('/')
  expect([refused.status, refused.text]).toEqual([503, expect.stringContaining('GW_OVERLOADED')])
  const line = await gateway.logged({ msg: 'connections to upstreams refused', reason: 'upstream_max_connections' })
  expect(line).toMatchObject({ level: 'warn', count: 1 })
  for (const answer of held) answer()
  expect([(await one).status, (await other).status]).toEqual([200, 200])
  first.reset()
  expect((await gateway.get('/')).status).toBe(200)
})

test('a target that hangs before it is connected keeps hardly anybody waiting, and the log says so once', async () => {
  const hanging = await startSilentServer()
  const config = configuration([100, 100], [hanging.port, first.port]) as { services: object[] }
  const services = config.services.map((service) => ({ ...service, connect_timeout: 200 }))
  const gateway = await scene.start({ ...config, services } as never)
  for (let i = 0; i < 20; i++) expect((await gateway.get('/')).status).toBe(200)
  // Every second one without that. It is tried again every ten seconds.
  expect(hanging.connections()).toBeLessThan(5)
  const lines = gateway.log.filter(({ target, level }) => level === 'warn' && target === `localhost:${hanging.port}`)
  expect(lines).toEqual([
    expect.objectContaining({ reason: expect.stringContaining('no TLS handshake within 200 ms') }),
  ])
})

/** Accepts connections, and never says a word. */
async function startSilentServer(): Promise<{ port: number; connections: () => number }> {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket.on('error', () => {}))
  })
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
  whenFileEnds(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, connections: () => sockets.length }
}
