import { connect } from 'node:net'
import { beforeAll, expect, test } from '@jest/globals'
import { ask } from '../support/client.ts'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { authority } from '../support/pki.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

let scene: Scene
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  gateway = await scene.start()
})

const metrics = async () => (await gateway.getAdmin('/metrics')).text

test('/healthz and /readyz say 200 while all is well', async () => {
  expect((await gateway.getAdmin('/healthz')).status).toBe(200)
  expect((await gateway.getAdmin('/readyz')).status).toBe(200)
})

test('/metrics counts requests, handshakes and verifications, and tells when certificates end', async () => {
  await gateway.get('/', { as: scene.ada })
  await gateway.get('/', { as: authority('strangers').client('mallory') })
  await waitFor('the metrics', async () => /requests_total\{[^}]*code="400"/.test(await metrics()) || undefined).catch(
    () => {},
  )
  const text = await metrics()
  expect(text).toMatch(/^\w*requests_total\{[^}]*\} [1-9]/m)
  expect(text).toMatch(/^\w*handshakes_total\{[^}]*\} [1-9]/m)
  expect(text).toMatch(/^\w*certificate_not_after\w*\{[^}]*\} 1\d{9}/m)
  expect(text).not.toContain('ada')
})

test('it is no way to the backend, and it has nothing else', async () => {
  scene.backend.reset()
  expect((await gateway.getAdmin('/')).status).toBe(404)
  expect((await gateway.getAdmin('/api')).status).toBe(404)
  expect((await ask(gateway.admin, '/metrics', { plain: true, method: 'POST' })).status).toBe(405)
  expect(scene.backend.seen).toEqual([])
})

test('its paths on the public listener belong to the backend', async () => {
  scene.backend.reset()
  expect((await gateway.get('/healthz')).status).toBe(200)
  expect(scene.backend.last.target).toBe('/healthz')
})

test('a name that only pretends to be local is refused (DNS rebinding)', async () => {
  expect((await ask(gateway.admin, '/metrics', { plain: true, host: 'evil.test' })).status).not.toBe(200)
})

test('a crowd that asks for the metrics without end, and never reads them, keeps no probe waiting', async () => {
  const asking = 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(100)
  const crowd = Array.from({ length: 100 }, () => connect(gateway.admin, '127.0.0.1').on('error', () => {}))
  for (const socket of crowd) socket.write(asking)
  const asked = Date.now()
  expect((await gateway.getAdmin('/healthz')).status).toBe(200)
  expect((await gateway.get('/')).status).toBe(200)
  // All of it written took the gateway half a minute.
  expect(Date.now() - asked).toBeLessThan(8000)
  for (const socket of crowd) socket.destroy()
})

test('off switches it off', async () => {
  const silent = await startGateway({ config: scene.config({ admin: { listen: 'off' } }) })
  expect(silent.log.filter(({ kind }) => kind === 'admin')).toEqual([])
  expect((await silent.get('/')).status).toBe(200)
})
