import { beforeAll, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { type Attribute, nameOf } from '../support/names.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  const users = ['ada', 'bob', 'eve'].map((name) => ({ user: name, certificate: [`cn:${name}`] }))
  gateway = await scene.start({
    ...listenerOf(scene.server({ authorization: { users } })),
    identity_headers: { 'X-Consumer-Username': 'user' },
    trusted_ips: ['127.0.0.1'],
    consumers: [
      { username: 'ada', groups: ['staff'] },
      { username: 'eve', groups: ['staff', 'suspended'] },
      { username: 'guest' },
    ],
    services: [
      {
        name: 'api',
        url: scene.backend.url,
        deny: [{ groups: ['suspended'] }],
        routes: [
          { name: 'staff', paths: ['/staff'], allow: [{ groups: ['staff'] }] },
          { name: 'read', paths: ['/read'], allow: [{ users: ['ada'] }, { users: ['bob'], methods: ['GET'] }] },
          { name: 'acme', paths: ['/acme'], allow: [{ certificate: [{ subject: { O: 'Acme' } }] }] },
          { name: 'office', paths: ['/office'], allow: [{ addresses: ['192.0.2.0/24'] }] },
          { name: 'never', paths: ['/never'], allow: [] },
          { name: 'always', paths: ['/always'], allow: [{ users: ['ada'], times: ['00:00-24:00'] }] },
          { name: 'guests', paths: ['/guests'], default_consumer: 'guest' },
        ],
      },
      { name: 'open', url: scene.backend.url, routes: [{ name: 'open', paths: ['/open'] }] },
    ],
  })
})

async function status(path: string, name?: string, options: object = {}): Promise<number> {
  const as = name === undefined ? {} : { as: scene.clients.client(name) }
  return (await gateway.get(path, { ...as, ...options })).status
}

test('a group lets its users pass, and a denied group none of its', async () => {
  expect(await status('/staff', 'ada')).toBe(200)
  expect(await status('/staff', 'bob')).toBe(403)
  expect(await status('/staff', 'eve')).toBe(403)
})

test('who is nobody is asked who he is, where users or groups matter', async () => {
  expect(await status('/staff')).toBe(401)
  expect(await status('/staff', 'stranger')).toBe(401)
  expect(await status('/open')).toBe(200)
})

test('a user may be allowed some methods only', async () => {
  expect(await status('/read', 'bob')).toBe(200)
  expect(await status('/read', 'bob', { method: 'DELETE' })).toBe(403)
  expect(await status('/read', 'ada', { method: 'DELETE' })).toBe(200)
})

test('a field of the certificate decides, whole and of its type', async () => {
  const client = (...rdns: readonly Attribute[]) => ({
    as: scene.clients.client('bob', { subject: nameOf(...rdns) }),
  })
  const bob = ['CN', 'bob'] as const
  expect(await status('/acme', undefined, client(['O', 'Acme'], bob))).toBe(200)
  expect(await status('/acme', undefined, client(['O', 'Acme Inc'], bob))).toBe(403)
  expect(await status('/acme', undefined, client(['OU', 'O=Acme'], bob))).toBe(403)
})

test('an address is that of the client, which only trusted proxies may tell', async () => {
  expect(await status('/office', 'ada', { headers: { 'x-forwarded-for': '192.0.2.9' } })).toBe(200)
  expect(await status('/office', 'ada', { headers: { 'x-forwarded-for': '198.51.100.9' } })).toBe(403)
  expect(await status('/office', 'ada', { headers: { 'x-forwarded-for': '192.0.2.9, 198.51.100.9' } })).toBe(403)
})

test('an empty list lets nobody pass; a time of day counts', async () => {
  expect(await status('/never', 'ada')).toBe(403)
  expect(await status('/always', 'ada')).toBe(200)
})

test('the answer has the code, the log says which setting it was', async () => {
  const answer = await gateway.get('/staff', { as: scene.clients.client('eve') })
  expect(answer.text).toContain('GW_FORBIDDEN')
  expect(answer.text).not.toContain('suspended')
  expect(JSON.stringify(await gateway.line(answer))).toContain('services[0].deny[0] does not let eve pass')
})

test('default_consumer is whom a certificate of nobody stands for', async () => {
  const answer = await gateway.get('/guests', { as: scene.clients.client('stranger') })
  expect(answer.status).toBe(200)
  expect(answer.text).toContain('"guest"')
  expect(await status('/guests')).toBe(401)
})
