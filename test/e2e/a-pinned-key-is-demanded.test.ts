import { createHash } from 'node:crypto'
import { beforeAll, expect, test } from '@jest/globals'
import { json } from '../support/client.ts'
import type { Gateway } from '../support/gateway.ts'
import { authority, type Issued, selfSigned } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway
let bob: Issued
const stranger = authority('strangers').client('stranger')
const self = selfSigned('self')

function pinOf(issued: Issued): string {
  return createHash('sha256')
    .update(issued.x509.publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex')
}

function servers(pins: readonly string[]): ReturnType<typeof listenerOf> {
  return listenerOf(
    scene.server({ pinned_certs: pins }),
    scene.server({ server_names: ['open.test'], ssl_verify_client: 'optional_no_ca', pinned_certs: [pinOf(self)] }),
  )
}

beforeAll(async () => {
  scene = await makeScene()
  bob = scene.clients.client('bob')
  gateway = await scene.start(servers([pinOf(scene.ada).toUpperCase(), pinOf(stranger)]))
})

test('a client whose key is pinned is let in', async () => {
  expect((await gateway.get('/', { as: scene.ada })).status).toBe(200)
  expect(scene.backend.last.header('VERIFIED')).toEqual(['SUCCESS'])
})

test('another certificate of the same authority is refused, and the log says which pin would let it in', async () => {
  const answer = await gateway.get('/', { as: bob })
  expect(answer.status).toBe(400)
  expect(json(answer)).toMatchObject({ code: 'GW_CLIENT_CERTIFICATE_INVALID' })
  const line = await gateway.line(answer)
  expect(line).toMatchObject({ verify: 'FAILED', verify_reason: 'certificate not pinned' })
  expect(JSON.stringify(line)).toContain(pinOf(bob))
  expect(answer.text).not.toContain(pinOf(bob))
})

test('a pin is no replacement for the authority', async () => {
  expect((await gateway.get('/', { as: stranger })).status).toBe(400)
})

test('where unknown authorities are forgiven, an unpinned key is not', async () => {
  expect((await gateway.get('/', { as: self, host: 'open.test' })).status).toBe(200)
  expect((await gateway.get('/', { as: selfSigned('other'), host: 'open.test' })).status).toBe(400)
  expect((await gateway.get('/', { as: bob, host: 'open.test' })).status).toBe(400)
})

test('an open connection whose pin is taken away by a reload is not served any more', async () => {
  const connection = await gateway.open({ as: scene.ada })
  connection.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  expect((await connection.answers())[0]?.status).toBe(200)
  expect((await gateway.reload(scene.config(servers([pinOf(bob)])))).msg).toBe('reloaded')
  await connection.untilClosed()
  expect((await gateway.get('/', { as: scene.ada })).status).toBe(400)
  expect((await gateway.get('/', { as: bob })).status).toBe(200)
})
