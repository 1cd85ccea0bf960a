// As a load balancer does that only looks whether somebody is there. Its end comes together with the last bytes of the handshake, or while it is being asked
// about its certificate, and so before its connection is served.
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { connect } from 'node:tls'
import { beforeAll, expect, test } from '@jest/globals'
import { whenFileEnds } from '../support/cleanup.ts'
import type { Gateway } from '../support/gateway.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'
import { within } from '../support/wait.ts'

let scene: Scene
let gateway: Gateway
let asking: Gateway

beforeAll(async () => {
  scene = await makeScene()
  gateway = await scene.start()
  const questions = new Set<Socket>()
  const silent = createServer((socket) => questions.add(socket.on('error', () => {})))
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  whenFileEnds(() => {
    for (const socket of questions) socket.destroy()
    silent.close()
  })
  const responder = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
  const asks = { ssl_verify_client: 'on', ssl_ocsp: 'leaf', ssl_ocsp_responder: responder, ssl_ocsp_timeout: '1s' }
  asking = await scene.start(listenerOf(scene.server(asks)))
})

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const

test.each(VERSIONS)('%s: nobody waits for its request', async (version) => {
  await leave(gateway, version)
})

test.each(VERSIONS)('%s: nor where it leaves while its certificate is being asked about', async (version) => {
  await leave(asking, version)
  expect(await asking.get('/', { as: scene.ada })).toMatchObject({ status: 400 })
})

/** Resolves when the gateway has closed the connection. It would wait for 60 s for a request. */
async function leave({ port }: Gateway, version: (typeof VERSIONS)[number]): Promise<void> {
  const socket = connect({
    ...{ port, host: '127.0.0.1', servername: 'localhost', ca: scene.servers.certificate },
    ...{ cert: scene.ada.chain, key: scene.ada.key, minVersion: version, maxVersion: version },
  })
  const closed = new Promise<void>((resolve, reject) => socket.once('close', resolve).once('error', reject))
  socket.once('secureConnect', () => socket.end()).resume()
  await within(30, 'the gateway to close the connection', closed)
}
