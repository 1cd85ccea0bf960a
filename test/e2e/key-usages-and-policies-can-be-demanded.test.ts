import { beforeAll, expect, test } from '@jest/globals'
import { objectIdentifier, octetString, sequence } from '../support/der.ts'
import type { Gateway } from '../support/gateway.ts'
import type { Issued } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway
const POLICY = '1.3.6.1.4.1.99999.1'

beforeAll(async () => {
  scene = await makeScene()
  gateway = await scene.start(
    listenerOf(
      scene.server({ ssl_verify_extended_key_usage: ['clientAuth', '1.3.6.1.5.5.7.3.4'] }),
      scene.server({ server_names: ['policy.test'], ssl_verify_policies: [POLICY] }),
    ),
  )
})

function reasonFor(as: Issued, host: string): Promise<unknown> {
  return gateway
    .get('/', { as, host })
    .then((answer) => (answer.status === 200 ? 'let in' : gateway.line(answer).then((line) => line.verify_reason)))
}

function policies(...oids: string[]): Buffer {
  const value = sequence(...oids.map((oid) => sequence(objectIdentifier(oid))))
  return sequence(objectIdentifier('2.5.29.32'), octetString(value))
}

test('a certificate must list every extended key usage that is demanded', async () => {
  const both = scene.clients.client('both', { purposes: ['clientAuth', 'emailProtection'] })
  const lacking = 'certificate lacks a required extended key usage'
  expect(await reasonFor(both, 'localhost')).toBe('let in')
  expect(await reasonFor(scene.ada, 'localhost')).toBe(lacking)
  expect(await reasonFor(scene.clients.client('any', { purposes: [] }), 'localhost')).toBe(lacking)
})

test('a certificate must have been issued under the policy that is demanded, by all its issuers', async () => {
  const extensions = [policies(POLICY)]
  const entitled = scene.clients.authority('entitled', { extensions })
  const plain = scene.clients.authority('plain')
  expect(await reasonFor(scene.clients.client('direct', { extensions }), 'policy.test')).toBe('let in')
  expect(await reasonFor(entitled.client('through', { extensions }), 'policy.test')).toBe('let in')
  expect(await reasonFor(scene.ada, 'policy.test')).toBe('no explicit policy')
  expect(await reasonFor(plain.client('usurper', { extensions }), 'policy.test')).toBe('no explicit policy')
})

test('a resumed session is judged as the full handshake was', async () => {
  const { sClient } = await import('../support/openssl.ts')
  const { temporaryFile } = await import('../support/folder.ts')
  const request = 'GET / HTTP/1.1\r\nHost: policy.test\r\nConnection: close\r\n\r\n'
  const as = scene.ada.files()
  for (const tls of ['tls1_2', 'tls1_3'] as const) {
    const keep = temporaryFile('session.pem', '')
    const options = { port: gateway.port, tls, servername: 'policy.test', as, request }
    expect((await sClient({ ...options, keep })).answers[0]?.status).toBe(400)
    const again = await sClient({ ...options, resume: keep })
    expect(again.answers[0]?.status).toBe(400)
  }
})
