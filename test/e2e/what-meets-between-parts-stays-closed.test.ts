/** Holes that opened where two features met, each found by an attack on the whole. */
import { createServer } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { beforeAll, beforeEach, expect, test } from '@jest/globals'
import { whenFileEnds } from '../support/cleanup.ts'
import { temporaryFolder } from '../support/folder.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
beforeAll(async () => {
  scene = await makeScene()
})
beforeEach(() => scene.backend.reset())

test.each(['client_cert', 'client.cert', 'CLIENT_CERT'])(
  'a load balancer that removes Client-Cert by its exact name is not tricked with %s',
  async (name) => {
    const gateway = await scene.start({
      ...listenerOf(scene.server({ certificate_header_format: 'rfc9440' })),
      trusted_ips: ['127.0.0.1'],
    })
    const headers = { [name]: `:${scene.ada.der.toString('base64')}:` }
    expect((await gateway.get('/', { headers })).status).toBe(400)
    expect(scene.backend.seen).toEqual([])
  },
)

test("the header in which a server in front names users is nobody else's, on any route", async () => {
  const gateway = await scene.start({ auth: { external: { header: 'X-Front-User', trusted_ips: ['192.0.2.1'] } } })
  expect((await gateway.get('/', { headers: { 'X-Front-User': 'root', x_front_user: 'root' } })).status).toBe(200)
  expect(scene.backend.last.headers.filter(([name]) => /front/i.test(name))).toEqual([])
})

test("a mapped user's password stays here also where only the server demands it", async () => {
  const users = [{ user: 'zed', certificate: ['cn:ada'], password: 'mapped secret' }]
  const gateway = await scene.start(listenerOf(scene.server({ verify_and_map: true, authorization: { users } })))
  const headers = { authorization: `Basic ${Buffer.from('zed:mapped secret').toString('base64')}` }
  expect((await gateway.get('/', { as: scene.ada, headers })).status).toBe(200)
  expect(scene.backend.last.header('Authorization')).toEqual([])
})

test('a program for rights that denies one repository and fails for another refuses the request, and nothing else', async () => {
  const socket = join(temporaryFolder(), 'program.sock')
  const server = createServer(async (request, response) => {
    const { Name: name } = JSON.parse(await text(request)) as { Name: string }
    if (name === 'a') response.end('[]')
    else setTimeout(() => response.writeHead(500).end('x'), 50)
  })
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  whenFileEnds(() => {
    server.closeAllConnections()
    server.close()
  })
  const signer = scene.inside.client('signer')
  const gateway = await scene.start({
    certificates: [{ name: 'tokens', cert: signer.chain, key: signer.key }],
    registry_realms: [
      { name: 'acme', services: ['registry.test'], certificate: 'tokens', authorization_socket: `unix:${socket}` },
    ],
    services: [
      {
        name: 'registry',
        url: scene.backend.url,
        registry: { realm: 'acme', service: 'registry.test', token: true },
        routes: [{ name: 'registry', paths: ['/'], strip_path: false }],
      },
    ],
  })
  const mount = `/v2/a/blobs/uploads/?mount=sha256:${'a'.repeat(64)}&from=b`
  expect((await gateway.get(mount, { as: scene.ada, method: 'POST' })).status).toBeGreaterThanOrEqual(400)
  // The second judgement fails when the first has refused already.
  expect((await gateway.get(mount, { as: scene.ada, method: 'POST' })).status).toBeGreaterThanOrEqual(400)
  expect(gateway.child.running).toBe(true)
})
