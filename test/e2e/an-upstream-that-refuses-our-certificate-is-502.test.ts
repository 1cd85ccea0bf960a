import { beforeAll, expect, test } from '@jest/globals'
import { startBackend } from '../support/backend.ts'
import { json } from '../support/client.ts'
import type { Gateway } from '../support/gateway.ts'
import { sServer } from '../support/openssl.ts'
import { describeWith } from '../support/peers.ts'
import { authority } from '../support/pki.ts'
import { makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
beforeAll(async () => {
  scene = await makeScene()
})

async function refusal(gateway: Gateway, method = 'GET'): Promise<void> {
  const answer = await gateway.get('/', { method, ...(method === 'POST' && { body: 'x'.repeat(100_000) }) })
  expect(answer.status).toBe(502)
  expect(json(answer)).toMatchObject({ code: 'GW_UPSTREAM_REFUSED_CERTIFICATE' })
  const line = await gateway.line(answer)
  expect(line).toMatchObject({ status: 502, code: 'GW_UPSTREAM_REFUSED_CERTIFICATE' })
  expect(String(line.detail)).toMatch(/certificate|unknown ca/i)
}

const service = (url: string) => [{ name: 'api', url, retries: 0, routes: [{ name: 'all', paths: ['/'] }] }]

describeWith(['openssl'], 'OpenSSL as the upstream, which says why in a TLS alert', () => {
  test.each(['GET', 'POST'])('that does not know our CA: %s', async (method) => {
    const upstream = await sServer(scene.inside.server('localhost'), authority('other'))
    const gateway = await scene.start({ services: service(upstream.url) })
    await refusal(gateway, method)
    await refusal(gateway, method)
  })
  test('that demands a certificate when we have none', async () => {
    const upstream = await sServer(scene.inside.server('localhost'), scene.inside)
    const gateway = await scene.start({
      services: service(upstream.url),
      proxy: { proxy_ssl_trusted_certificate: scene.inside.certificate },
    })
    await refusal(gateway)
  })
})

test('Node as the upstream that demands a certificate when we have none', async () => {
  const upstream = await startBackend({ certificate: scene.inside.server('localhost'), clients: scene.inside })
  const gateway = await scene.start({
    services: service(upstream.url),
    proxy: { proxy_ssl_trusted_certificate: scene.inside.certificate },
  })
  await refusal(gateway)
  expect(upstream.seen).toEqual([])
})
