import { beforeAll, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { authority } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway
const root = authority('root')
const department = root.authority('department')
const ada = department.client('ada')
const bob = department.client('bob')
const eve = root.client('eve')

/** Server name and the bundle in its ssl_crl. */
const BUNDLES = {
  'nothing-revoked.test': root.crl() + department.crl(),
  'other-order.test': department.crl([ada]) + root.crl(),
  'leaf-revoked.test': root.crl() + department.crl([ada]),
  'intermediate-revoked.test': root.crl([department]) + department.crl(),
  'intermediate-missing.test': root.crl(),
  'expired.test': root.crl() + department.crl([], { thisUpdate: -9, nextUpdate: -1 }),
  'not-yet.test': root.crl() + department.crl([], { thisUpdate: 1 }),
} as const

beforeAll(async () => {
  scene = await makeScene()
  const servers = Object.entries(BUNDLES).map(([name, ssl_crl]) =>
    scene.server({ server_names: [name], ssl_client_certificate: root.certificate, ssl_crl }),
  )
  gateway = await scene.start(listenerOf(...servers))
})

test.each<[keyof typeof BUNDLES, string, typeof ada, string]>([
  ['nothing-revoked.test', 'ada', ada, 'SUCCESS'],
  ['leaf-revoked.test', 'ada', ada, 'certificate revoked'],
  ['leaf-revoked.test', 'bob', bob, 'SUCCESS'],
  ['other-order.test', 'ada', ada, 'certificate revoked'],
  ['other-order.test', 'bob', bob, 'SUCCESS'],
  ['intermediate-revoked.test', 'ada', ada, 'certificate revoked'],
  ['intermediate-revoked.test', 'eve, of the root itself', eve, 'SUCCESS'],
  ['intermediate-missing.test', 'ada', ada, 'unable to get certificate CRL'],
  ['intermediate-missing.test', 'eve, of the root itself', eve, 'SUCCESS'],
  ['expired.test', 'ada', ada, 'CRL has expired'],
  ['not-yet.test', 'ada', ada, 'CRL is not yet valid'],
])('%s: %s', async (host, _who, as, outcome) => {
  scene.backend.reset()
  const answer = await gateway.get('/', { host, as })
  if (outcome === 'SUCCESS') {
    expect(answer.status).toBe(200)
    expect(scene.backend.last.header('VERIFIED')).toEqual(['SUCCESS'])
  } else {
    expect(answer.status).toBe(400)
    expect(await gateway.line(answer)).toMatchObject({ verify: 'FAILED', verify_reason: outcome })
    expect(scene.backend.seen).toEqual([])
  }
})

test('clients without a certificate are not bothered by it', async () => {
  expect((await gateway.get('/', { host: 'expired.test' })).status).toBe(200)
})
