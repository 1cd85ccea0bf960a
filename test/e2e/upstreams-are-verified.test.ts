import { beforeAll, beforeEach, expect, test } from '@jest/globals'
import { type Backend, startBackend } from '../support/backend.ts'
import { json } from '../support/client.ts'
import type { Gateway } from '../support/gateway.ts'
import { authority } from '../support/pki.ts'
import { makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
const backends: Record<string, Backend> = {}
let gateway: Gateway

const CA_ID = '22222222-2222-4222-8222-222222222222'

beforeAll(async () => {
  scene = await makeScene()
  const { inside } = scene
  const strangers = authority('strangers')
  const certificates = {
    trusted: inside.server('localhost'),
    stranger: strangers.server('localhost'),
    'wrong-name': inside.server('other.test', { hosts: ['other.test'] }),
    'address-only': inside.server('by-address', { hosts: ['127.0.0.1'] }),
    'common-name-only': inside.server('localhost', { hosts: [] }),
    expired: inside.server('localhost', { validFrom: -9, validUntil: -1 }),
    'client-purpose': inside.server('localhost', { purposes: ['clientAuth'] }),
    'one-intermediate': inside.authority('one').server('localhost'),
    'two-intermediates': inside.authority('one').authority('two').server('localhost'),
  }
  for (const [name, certificate] of Object.entries(certificates)) {
    backends[name] = await startBackend({ certificate, clients: inside })
  }
  const service = (name: string, url: string, fields: object = {}) => ({
    name,
    url,
    retries: 0,
    routes: [{ name, paths: [`/${name}/`] }],
    ...fields,
  })
  const at = (name: string) => backends[name]?.port
  gateway = await scene.start({
    ca_certificates: [{ id: CA_ID, cert: strangers.certificate }],
    services: [
      ...Object.entries(backends).map(([name, { url }]) => service(name, url)),
      service('own-ca', backends.stranger?.url ?? '', { ca_certificates: [CA_ID] }),
      service('other-ca', backends.trusted?.url ?? '', { ca_certificates: [CA_ID] }),
      service('without-tls', (backends.trusted?.url ?? '').replace('https:', 'http:')),
      service('address', `https://127.0.0.1:${at('trusted')}`),
      service('address-of-address-only', `https://127.0.0.1:${at('address-only')}`),
      service('address-of-wrong-name', `https://127.0.0.1:${at('wrong-name')}`),
    ],
  })
})

beforeEach(() => {
  for (const backend of Object.values(backends)) backend.reset()
})

test.each(['trusted', 'one-intermediate', 'own-ca', 'address', 'address-of-address-only'])(
  '%s: is asked',
  async (name) => {
    expect((await gateway.get(`/${name}/`)).status).toBe(200)
  },
)

test.each<[name: string, why: RegExp]>([
  ['stranger', /self[- ]signed|issuer|first certificate/i],
  ['wrong-name', /localhost|altname/i],
  ['address-only', /localhost|altname/i],
  ['address-of-wrong-name', /127\.0\.0\.1|altname|IP/i],
  ['expired', /expired/i],
  ['client-purpose', /purpose/i],
  ['two-intermediates', /depth|long/i],
  ['other-ca', /issuer|first certificate|self[- ]signed/i],
])('%s: is not asked, the client gets 502, and the log says why', async (name, why) => {
  const answer = await gateway.get(`/${name}/`, { method: 'POST', body: 'secret', as: scene.ada })
  expect(answer.status).toBe(502)
  expect(json(answer)).toMatchObject({ code: 'GW_UPSTREAM_TLS', message: 'Bad Gateway' })
  const line = await gateway.line(answer)
  expect(line).toMatchObject({ status: 502, code: 'GW_UPSTREAM_TLS' })
  expect(String(line.detail)).toMatch(why)
  expect(Object.values(backends).flatMap((backend) => backend.seen)).toEqual([])
})

test('the server name of the URL is sent as SNI', async () => {
  await gateway.get('/trusted/')
  expect(backends.trusted?.last.servername).toBe('localhost')
})

test('an address is sent as no server name', async () => {
  await gateway.get('/address/')
  expect(backends.trusted?.last.servername).toBe(false)
})

test('proxy_ssl_name is the name that is sent and checked', async () => {
  const { own, inside } = scene
  const proxy = {
    proxy_ssl_certificate: own.chain,
    proxy_ssl_certificate_key: own.key,
    proxy_ssl_trusted_certificate: inside.certificate,
    proxy_ssl_name: 'other.test',
  }
  const services = ['wrong-name', 'trusted'].map((name) => ({
    name,
    url: backends[name]?.url,
    routes: [{ name, paths: [`/${name}/`] }],
  }))
  const renamed = await scene.start({ proxy, services })
  expect((await renamed.get('/wrong-name/')).status).toBe(200)
  expect(backends['wrong-name']?.last.servername).toBe('other.test')
  expect((await renamed.get('/trusted/')).status).toBe(502)
})

test('an API that speaks TLS and is asked without it: the log says what to write', async () => {
  const answer = await gateway.get('/without-tls/')
  expect(answer.status).toBe(502)
  expect((await gateway.line(answer)).detail).toMatch(
    /closed .* without an answer; does it speak TLS, https:\/\/ in its url\?$/,
  )
})
