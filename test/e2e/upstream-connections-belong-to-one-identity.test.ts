import { beforeAll, expect, test } from '@jest/globals'
import { type Backend, startBackend } from '../support/backend.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

let scene: Scene
let backend: Backend
const ID = '11111111-1111-4111-8111-111111111111'

beforeAll(async () => {
  scene = await makeScene()
  backend = await startBackend({ certificate: scene.inside.server('localhost') })
})

test('requests with one identity share a connection, with another they do not', async () => {
  const special = scene.inside.client('special')
  const service = (name: string, fields: object) => ({
    name,
    url: backend.url,
    routes: [{ name, paths: [`/${name}`] }],
    ...fields,
  })
  const gateway = await scene.start({
    certificates: [{ id: ID, cert: special.chain, key: special.key }],
    services: [
      service('one', {}),
      service('same', {}),
      service('special', { client_certificate: ID }),
      service('none', { client_certificate: 'none' }),
    ],
  })
  for (const path of ['/one', '/same', '/special', '/none', '/special', '/one', '/none']) {
    expect((await gateway.get(path)).status).toBe(200)
  }
  const used = backend.seen.map(({ connection, gatewaySubject }) => [gatewaySubject, connection] as const)
  const connections = new Map<string, Set<number>>()
  for (const [subject, connection] of used) {
    connections.set(subject, (connections.get(subject) ?? new Set()).add(connection))
  }
  expect(used.map(([subject]) => subject)).toEqual([
    'CN=gateway',
    'CN=gateway',
    'CN=special',
    '',
    'CN=special',
    'CN=gateway',
    '',
  ])
  expect([...connections.values()].map((set) => set.size)).toEqual([1, 1, 1])
  expect(new Set(used.map(([, connection]) => connection)).size).toBe(3)
})

test('a rotated certificate retires the old connections', async () => {
  const { inside } = scene
  const first = inside.client('first')
  const second = inside.client('second')
  const proxy = (own: typeof first) => ({
    proxy_ssl_certificate: own.chain,
    proxy_ssl_certificate_key: own.key,
    proxy_ssl_trusted_certificate: inside.certificate,
  })
  const services = [{ name: 'api', url: backend.url, routes: [{ name: 'all', paths: ['/'] }] }]
  const gateway = await scene.start({ proxy: proxy(first), services })
  await gateway.get('/')
  await gateway.get('/')
  const before = backend.last.connection
  expect(backend.last.gatewaySubject).toBe('CN=first')
  await gateway.reload(scene.config({ proxy: proxy(second), services }))
  await waitFor('the new certificate', async () => {
    await gateway.get('/')
    return backend.last.gatewaySubject === 'CN=second'
  })
  backend.reset()
  for (let i = 0; i < 5; i++) await gateway.get('/')
  expect(backend.seen.map(({ gatewaySubject }) => gatewaySubject)).toEqual(Array(5).fill('CN=second'))
  expect(backend.seen.map(({ connection }) => connection)).not.toContain(before)
})
