import { beforeAll, beforeEach, expect, test } from '@jest/globals'
import type { Backend } from '../support/backend.ts'
import { json } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import type { Gateway } from '../support/gateway.ts'
import { type RawBackend, startRawBackend } from '../support/raw-backend.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

let scene: Scene
let healthy: Backend
let broken: RawBackend
let misnamed: RawBackend
let garbled: RawBackend
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  const certificate = scene.inside.server('localhost')
  healthy = scene.backend
  // Takes the request and hangs up without an answer.
  broken = await startRawBackend(certificate, ({ socket, received }) => {
    if (received.includes('\r\n\r\n')) socket.destroy()
  })
  // One that has the wrong name, and one that answers with something else than HTTP.
  misnamed = await startRawBackend(scene.inside.server('other.example'))
  garbled = await startRawBackend(certificate, (connection) => {
    if (connection.received.endsWith('\r\n\r\n')) connection.write('SSH-2.0-OpenSSH_9\r\n\r\n')
  })
  const dead = await freePort()
  const upstream = (name: string, ...ports: number[]) => ({
    name,
    targets: ports.map((port) => ({ target: `localhost:${port}`, weight: 100 })),
  })
  const service = (name: string, fields: object = {}) => ({
    name,
    protocol: 'https',
    host: `${name}.upstream`,
    routes: [{ name, paths: [`/${name}`] }],
    ...fields,
  })
  gateway = await scene.start({
    upstreams: [
      upstream('half-dead.upstream', dead, healthy.port),
      upstream('half-broken.upstream', broken.port, healthy.port),
      upstream('all-dead.upstream', dead, await freePort()),
      upstream('no-retries.upstream', dead),
      upstream('misnamed.upstream', misnamed.port),
      upstream('half-misnamed.upstream', misnamed.port, healthy.port),
      upstream('garbled.upstream', garbled.port),
    ],
    services: [
      service('half-dead'),
      service('half-broken'),
      service('all-dead'),
      service('no-retries', { retries: 0 }),
      service('misnamed'),
      service('half-misnamed'),
      service('garbled'),
    ],
    proxy: {
      proxy_ssl_certificate: scene.own.chain,
      proxy_ssl_certificate_key: scene.own.key,
      proxy_ssl_trusted_certificate: scene.inside.certificate,
      proxy_ssl_name: 'localhost',
    },
  })
})

beforeEach(() => {
  healthy.reset()
  broken.connections.length = 0
})

test.each(['GET', 'POST'])('a target that cannot be reached: the next one is asked, %s too', async (method) => {
  for (let i = 0; i < 4; i++) {
    const answer = await gateway.get('/half-dead', { method, ...(method === 'POST' && { body: 'payload' }) })
    expect(answer.status).toBe(200)
  }
  expect(healthy.seen).toHaveLength(4)
  if (method === 'POST') expect(healthy.seen.map(({ body }) => body.toString())).toEqual(Array(4).fill('payload'))
})

test('a GET that a target dropped is asked of the next one', async () => {
  for (let i = 0; i < 4; i++) expect((await gateway.get('/half-broken')).status).toBe(200)
  expect(healthy.seen).toHaveLength(4)
  expect(broken.connections.length).toBeGreaterThan(0)
})

test('a POST that a target may have begun to process is not repeated', async () => {
  const statuses: number[] = []
  for (let i = 0; i < 4; i++) {
    const answer = await gateway.get('/half-broken', { method: 'POST', body: 'payment' })
    statuses.push(answer.status)
    if (answer.status === 502) expect(json(answer)).toMatchObject({ code: 'GW_UPSTREAM_RESET' })
  }
  expect(statuses).toContain(502)
  const processed =
    broken.connections.filter(({ received }) => received.startsWith('POST')).length + healthy.seen.length
  expect(processed).toBe(4)
})

test('where no target can be reached, the client gets 502 and the log tells how often it was tried', async () => {
  const answer = await gateway.get('/all-dead')
  expect(answer.status).toBe(502)
  expect(json(answer)).toMatchObject({ code: 'GW_UPSTREAM_CONNECT' })
  const line = await gateway.line(answer)
  expect(line.attempts).toBeGreaterThan(1)
  expect(String(line.detail)).toMatch(/refused/i)
})

test('retries: 0 tries once', async () => {
  const answer = await gateway.get('/no-retries')
  expect(answer.status).toBe(502)
  expect((await gateway.line(answer)).attempts).toBe(1)
})

test.each([
  ['misnamed', 'GW_UPSTREAM_TLS'],
  ['garbled', 'GW_UPSTREAM_RESPONSE'],
])('what would fail again is not tried again: %s', async (name, code) => {
  const answer = await gateway.get(`/${name}`)
  expect(answer.status).toBe(502)
  expect(await gateway.line(answer)).toMatchObject({ code, attempts: 1 })
})

test('a target whose certificate is wrong does not take the others with it', async () => {
  for (let i = 0; i < 4; i++) expect((await gateway.get('/half-misnamed')).status).toBe(200)
  expect(healthy.seen).toHaveLength(4)
})

test.each(['half-dead', 'half-broken'])(
  'a WebSocket finds the next target too (%s), with all that its client has sent meanwhile',
  async (name) => {
    healthy.upgrade = (_request, socket, head) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
      socket.write(head)
      socket.pipe(socket)
    }
    for (let i = 0; i < 4; i++) {
      const connection = await gateway.open()
      connection.write(
        `GET /${name} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly`,
      )
      await waitFor('the echo', () => connection.isClosed || connection.received.endsWith('early'))
      expect(connection.received).toMatch(/^HTTP\/1\.1 101 .*\r\n\r\nearly$/s)
      connection.destroy()
    }
  },
)

test('a WebSocket that no target takes is refused once, and the log tells how often it was tried', async () => {
  const [answer] = await gateway.talk(
    'GET /all-dead HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  )
  expect(answer?.status).toBe(502)
  expect(answer && JSON.parse(answer.body)).toMatchObject({ code: 'GW_UPSTREAM_CONNECT' })
  const line = await gateway.logged({ request_id: JSON.parse(answer?.body ?? '').request_id })
  expect(line.attempts).toBe(6)
})
