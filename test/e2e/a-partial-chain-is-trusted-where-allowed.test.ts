import { beforeAll, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { sClient } from '../support/openssl.ts'
import type { Authority, Issued } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway
let middle: Authority
let low: Authority
let ada: Issued

beforeAll(async () => {
  scene = await makeScene()
  middle = scene.clients.authority('middle')
  low = middle.authority('low')
  ada = middle.client('ada')
  const trusts = (name: string, pem: string, fields: object = {}) =>
    scene.server({ server_names: [name], ssl_client_certificate: pem, allow_partial_chain: 'on', ...fields })
  gateway = await scene.start(
    listenerOf(
      trusts('default.test', middle.certificate),
      trusts('whole.test', middle.certificate, { allow_partial_chain: 'off' }),
      trusts('partial.test', middle.certificate),
      trusts('shallow.test', middle.certificate, { ssl_verify_depth: 0 }),
      trusts('leaf.test', ada.certificate, { ssl_verify_depth: 0 }),
      trusts('listed.test', middle.certificate, { ssl_crl: middle.crl(), ssl_crl_check: 'leaf' }),
      trusts('all-listed.test', middle.certificate, { ssl_crl: middle.crl() }),
      trusts('silent.test', middle.certificate, { send_ca_dn: 'off' }),
    ),
  )
})

function status(as: Issued, host: string): Promise<number> {
  return gateway.get('/', { as, host }).then((answer) => answer.status)
}

test('an intermediate authority alone is not trusted, as in nginx', async () => {
  expect(await status(ada, 'whole.test')).toBe(400)
})

test('it is with allow_partial_chain, and only for what it issued', async () => {
  for (const host of ['partial.test', 'silent.test']) {
    expect(await status(ada, host)).toBe(200)
    expect(await status(low.client('bob'), host)).toBe(200)
    expect(await status(scene.ada, host)).toBe(400)
  }
})

test('the depth is counted up to the authority that is trusted', async () => {
  expect(await status(ada, 'shallow.test')).toBe(200)
  expect(await status(low.client('bob'), 'shallow.test')).toBe(400)
})

test('a certificate itself can be trusted, and no other', async () => {
  expect(await status(ada, 'leaf.test')).toBe(200)
  expect(await status(middle.client('ada'), 'leaf.test')).toBe(400)
})

test.each(['tls1_2', 'tls1_3'] as const)('a client that sends no server name is judged alike: %s', async (tls) => {
  const outcome = async (as: Issued) => {
    const { certificate, key } = as.files()
    const request = 'GET / HTTP/1.1\r\nHost: default.test\r\nConnection: close\r\n\r\n'
    const options = { port: gateway.port, tls, as: { certificate, key, chain: certificate }, request }
    return (await sClient(options)).answers[0]?.status
  }
  expect(await outcome(ada)).toBe(200)
  expect(await outcome(low.client('bob'))).toBe(200)
  expect(await outcome(scene.ada)).toBe(400)
  expect(await outcome(middle.client('old', { validFrom: -9, validUntil: -1 }))).toBe(400)
})

test('with lists, that of its own clients is enough only where no other is needed', async () => {
  expect(await status(ada, 'listed.test')).toBe(200)
  expect(await status(ada, 'all-listed.test')).toBe(400)
})

test('an expired certificate stays out all the same', async () => {
  expect(await status(middle.client('old', { validFrom: -9, validUntil: -1 }), 'partial.test')).toBe(400)
})
