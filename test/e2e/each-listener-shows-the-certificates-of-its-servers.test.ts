// Trust policies outlive reloads and are shared by listeners; which certificate they show must not come from another configuration or listener.
import { connect } from 'node:tls'
import { beforeAll, expect, test } from '@jest/globals'
import type { Issued } from '../support/pki.ts'
import { makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let wide: object
let narrow: object

beforeAll(async () => {
  scene = await makeScene()
  const serverWith = ({ chain, key }: Issued, fields: object) =>
    scene.server({ ssl_certificate: chain, ssl_certificate_key: key, ...fields })
  wide = serverWith(scene.servers.server('*.example.test'), { server_names: ['*.example.test'] })
  narrow = serverWith(scene.servers.server('c.example.test'), {
    server_names: ['c.example.test'],
    ssl_verify_client: 'off',
  })
})

const listen = (...servers: object[]) => ({ listen: '127.0.0.1:0', servers })

function shownAt(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, servername: 'c.example.test', rejectUnauthorized: false })
    socket.once('error', reject)
    socket.once('secureConnect', () => {
      resolve(`${socket.getPeerCertificate().subject.CN}`)
      socket.destroy()
    })
  })
}

test('a server that a reload has removed does not show its certificate any more', async () => {
  const gateway = await scene.start({ listeners: [listen(wide, narrow)] })
  expect(await shownAt(gateway.port)).toBe('c.example.test')
  await gateway.reload(scene.config({ listeners: [listen(wide)] }))
  expect(await shownAt(gateway.port)).toBe('*.example.test')
})

test('nor does a server of another listener', async () => {
  const gateway = await scene.start({ listeners: [listen(wide, narrow), listen(wide)] })
  const ports = gateway.log.filter(({ msg, kind }) => msg === 'listening' && kind === 'https').map(({ port }) => port)
  expect(await Promise.all(ports.map((port) => shownAt(Number(port))))).toEqual(['c.example.test', '*.example.test'])
})
