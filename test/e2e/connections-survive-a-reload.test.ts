import type { ServerResponse } from 'node:http'
import { Agent } from 'node:https'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { beforeAll, expect, test } from '@jest/globals'
import { whenFileEnds } from '../support/cleanup.ts'
import { freePort } from '../support/free-port.ts'
import { Load } from '../support/load.ts'
import { openRaw } from '../support/raw.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor, within } from '../support/wait.ts'

let scene: Scene
beforeAll(async () => {
  scene = await makeScene()
})

test('a request in flight finishes with the configuration that it began with', async () => {
  let answer: ServerResponse | undefined
  scene.backend.respond = (_request, response) => {
    answer = response
  }
  const gateway = await scene.start()
  const waiting = gateway.get('/slow')
  await scene.backend.request('the request', ({ target }) => target === '/slow')
  await gateway.reload(
    scene.config({ services: [{ name: 'api', url: scene.backend.url, routes: [{ name: 'n', paths: ['/new'] }] }] }),
  )
  expect((await gateway.get('/slow')).status).toBe(404)
  answer?.end('still here')
  expect(await waiting).toMatchObject({ status: 200, text: 'still here' })
})

test('the next request on an open connection already meets the new configuration', async () => {
  scene.backend.reset()
  const gateway = await scene.start()
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const first = await gateway.begin('/old', { agent })
  const { socket } = first
  first.resume()
  await new Promise((resolve) => first.once('end', resolve))
  await gateway.reload(
    scene.config({ services: [{ name: 'api', url: scene.backend.url, routes: [{ name: 'n', paths: ['/new'] }] }] }),
  )
  const second = await gateway.begin('/old', { agent })
  expect(second.socket).toBe(socket)
  expect(second.statusCode).toBe(404)
  second.resume()
  agent.destroy()
})

test.each<[string, object, object, number]>([
  ['its route denies it', { deny: [{ methods: ['GET'] }] }, {}, 403],
  ['its client is revoked', {}, { ssl_crl: 'revoking' }, 400],
  ['another authority is trusted', {}, { ssl_client_certificate: 'another' }, 421],
  ['nothing changes for it', {}, {}, 200],
])('and so it does where its listener is gone: %s', async (_change, route, server, status) => {
  scene.backend.reset()
  const pems: Record<string, string> = { revoking: scene.clients.crl([scene.ada]), another: scene.servers.certificate }
  const fields = Object.fromEntries(Object.entries(server).map(([name, value]) => [name, pems[value]]))
  const at = (port: number, changed: boolean) =>
    scene.config({
      listeners: [{ listen: `127.0.0.1:${port}`, servers: [scene.server(changed ? fields : {})] }],
      services: [
        { name: 'api', url: scene.backend.url, routes: [{ name: 'all', paths: ['/'], ...(changed && route) }] },
      ],
    })
  const gateway = await scene.start(at(await freePort(), false))
  const client = await gateway.open({ as: scene.ada })
  const request = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'
  client.write(request)
  await client.answers(1)
  expect((await gateway.reload(at(await freePort(), true))).msg).toBe('reloaded')
  client.write(request)
  const [, answer] = await client.answers(2)
  // An idle connection whose client is refused may have been closed by then.
  if (answer || status < 400) expect(answer?.status).toBe(status)
  expect(scene.backend.seen).toHaveLength(status < 400 ? 2 : 1)
  client.destroy()
})

test('not one of many requests fails while the gateway reloads again and again, on new connections and on kept ones', async () => {
  scene.backend.reset()
  const gateway = await scene.start()
  const load = new Load(gateway, scene.ada)
  for (let i = 0; i < 5; i++) {
    await gateway.reload(scene.config({ identity_headers: { VERIFIED: 'verify', [`X-${i}`]: 'subject_dn' } }))
    await load.goesOn()
  }
  await load.stop()
  expect(load.failures).toEqual([])
})

/** Passes on what both sides send, but of the client only its first message until it is let go on. */
async function holdingRelay(port: number): Promise<{ port: number; held: () => boolean; goOn: () => void }> {
  let held: Buffer[] | undefined = []
  let upstream: Socket | undefined
  const relay = createServer((client) => {
    upstream = connect(port, '127.0.0.1')
    upstream.on('error', () => client.destroy()).on('close', () => client.destroy())
    client.on('error', () => upstream?.destroy()).on('close', () => upstream?.destroy())
    upstream.pipe(client)
    client.once('data', (hello: Buffer) => {
      upstream?.write(hello)
      client.on('data', (bytes: Buffer) => (held ? held.push(bytes) : upstream?.write(bytes)))
    })
  })
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
  whenFileEnds(() => relay.close())
  const goOn = () => {
    upstream?.write(Buffer.concat(held ?? []))
    held = undefined
  }
  return { port: (relay.address() as AddressInfo).port, held: () => (held?.length ?? 0) > 0, goOn }
}

test.each<[string, object, number]>([
  ['is judged by the new policy of its name', { ssl_verify_depth: 3 }, 200],
  ['is refused where its client is revoked by then', { ssl_crl: 'revoking' }, 400],
  ['is closed behind its 421 where another authority is trusted', { ssl_client_certificate: 'another' }, 421],
])('one whose handshake began before it %s', async (_what, fields, status) => {
  scene.backend.reset()
  const pems: Record<string, string> = { revoking: scene.clients.crl([scene.ada]), another: scene.servers.certificate }
  const changed = Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, pems[value as string] ?? (value as number)]),
  )
  const at = (port: number, more: object) =>
    scene.config({ listeners: [{ listen: `127.0.0.1:${port}`, servers: [scene.server(more)] }] })
  const port = await freePort()
  const gateway = await scene.start(at(port, {}))
  const relay = await holdingRelay(gateway.port)
  const opening = openRaw(relay.port, { as: scene.ada })
  await waitFor('the rest of the handshake', relay.held)
  expect((await gateway.reload(at(port, changed))).msg).toBe('reloaded')
  const client = await opening
  const request = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'
  client.write(request)
  relay.goOn()
  expect((await client.answers(1)).map((answer) => answer.status)).toEqual([status])
  if (status === 200) client.destroy()
  else await within(10, 'the end', client.closed)
})
