// Whoever forgot an intermediate adds it behind the same certificate, with the same key.
import { connect, type TLSSocket } from 'node:tls'
import { expect, test } from '@jest/globals'
import { authority } from '../support/pki.ts'
import { listenerOf, makeScene } from '../support/scene.ts'

const root = authority('root')
const intermediate = root.authority('intermediate')

function verifiedBy(port: number, ca: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket: TLSSocket = connect({
      host: '127.0.0.1',
      port,
      servername: 'localhost',
      ca,
      rejectUnauthorized: false,
    })
    socket.once('error', reject)
    socket.once('secureConnect', () => {
      resolve(socket.authorized)
      socket.destroy()
    })
  })
}

test('a server shows its new chain to new clients', async () => {
  const scene = await makeScene()
  const front = intermediate.server('localhost')
  const parts = (chain: string) => listenerOf(scene.server({ ssl_certificate: chain, ssl_certificate_key: front.key }))
  const gateway = await scene.start(parts(front.certificate))
  expect(await verifiedBy(gateway.port, root.certificate)).toBe(false)
  await gateway.reload(scene.config(parts(front.chain)))
  expect(await verifiedBy(gateway.port, root.certificate)).toBe(true)
})

test('a certificate for many server names too', async () => {
  const scene = await makeScene()
  const front = intermediate.server('localhost')
  const parts = (cert: string) => ({
    ...listenerOf({ server_names: ['localhost'] }),
    certificates: [{ cert, key: front.key, snis: [{ name: 'localhost' }] }],
  })
  const gateway = await scene.start(parts(front.certificate))
  expect(await verifiedBy(gateway.port, root.certificate)).toBe(false)
  await gateway.reload(scene.config(parts(front.chain)))
  expect(await verifiedBy(gateway.port, root.certificate)).toBe(true)
})

test('an upstream is shown the new chain', async () => {
  const scene = await makeScene({ clients: root })
  const own = intermediate.client('gateway')
  const parts = (chain: string) => ({
    proxy: {
      proxy_ssl_certificate: chain,
      proxy_ssl_certificate_key: own.key,
      proxy_ssl_trusted_certificate: scene.inside.certificate,
    },
  })
  const gateway = await scene.start(parts(own.certificate))
  expect((await gateway.get('/')).status).toBe(502)
  await gateway.reload(scene.config(parts(own.chain)))
  expect((await gateway.get('/')).status).toBe(200)
})
