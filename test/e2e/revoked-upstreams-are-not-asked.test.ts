import { renameSync, writeFileSync } from 'node:fs'
import type { TLSSocket } from 'node:tls'
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { type Backend, startBackend } from '../support/backend.ts'
import { json } from '../support/client.ts'
import { temporaryFile } from '../support/folder.ts'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { authority } from '../support/pki.ts'
import { type GatewayConfig, makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

const root = authority('root')
const department = root.authority('department')
const closed = root.authority('closed')
const stale = authority('stale')
const unlisted = authority('unlisted')

const UPSTREAMS = {
  good: root.server('localhost'),
  revoked: root.server('localhost'),
  'of-an-intermediate': department.server('localhost'),
  'revoked-by-an-intermediate': department.server('localhost'),
  'of-a-revoked-intermediate': closed.server('localhost'),
  'with-a-stale-list': stale.server('localhost'),
  'revoked-by-a-stale-list': stale.server('localhost'),
  'without-a-list': unlisted.server('localhost'),
}
const LISTS = [
  root.crl([UPSTREAMS.revoked, closed]),
  department.crl([UPSTREAMS['revoked-by-an-intermediate']]),
  closed.crl(),
  stale.crl([UPSTREAMS['revoked-by-a-stale-list']], { thisUpdate: -9, nextUpdate: -1 }),
].join('')
const AUTHORITIES = [root, stale, unlisted].map(({ certificate }) => certificate).join('')

let scene: Scene
const backends: Record<string, Backend> = {}

beforeAll(async () => {
  scene = await makeScene()
  for (const [name, certificate] of Object.entries(UPSTREAMS)) {
    backends[name] = await startBackend({ certificate, clients: scene.inside })
  }
})

beforeEach(() => {
  for (const backend of Object.values(backends)) backend.reset()
})

const urlOf = (name: string) => backends[name]?.url ?? ''

function proxyWith(fields: object): object {
  const { own } = scene
  return {
    proxy_ssl_certificate: own.chain,
    proxy_ssl_certificate_key: own.key,
    proxy_ssl_trusted_certificate: AUTHORITIES,
    proxy_ssl_crl: LISTS,
    ...fields,
  }
}

/** One service for each of the upstreams. */
function configuration(fields: object = {}, proxy: object = {}): GatewayConfig {
  const services = Object.keys(backends).map((name) => ({
    ...{ name, url: urlOf(name), retries: 0, routes: [{ name, paths: [`/${name}/`] }] },
    ...fields,
  }))
  return { services, proxy: proxyWith(proxy) }
}

const everybodySeen = () => Object.values(backends).flatMap(({ seen }) => seen)

describe('as nginx with proxy_ssl_crl', () => {
  let gateway: Gateway

  beforeAll(async () => {
    gateway = await scene.start(configuration())
  })

  test.each(['good', 'of-an-intermediate'])('%s: is asked', async (name) => {
    expect((await gateway.get(`/${name}/`)).status).toBe(200)
  })

  test.each<[keyof typeof UPSTREAMS, RegExp]>([
    ['revoked', /: certificate revoked \(CERT_REVOKED\)/],
    ['revoked-by-an-intermediate', /: certificate revoked/],
    ['of-a-revoked-intermediate', /: certificate revoked \(CN=closed\)/],
    ['with-a-stale-list', /: CRL has expired \(.*the list of CN=stale\)/],
    ['revoked-by-a-stale-list', /: CRL has expired/],
    ['without-a-list', /: unable to get certificate CRL \(.*no list of CN=unlisted\)/],
  ])('%s: gets nothing, the client gets 502, and the log says why', async (name, why) => {
    const answer = await gateway.get(`/${name}/`, { method: 'POST', body: 'secret' })
    expect(answer.status).toBe(502)
    expect(json(answer)).toMatchObject({ code: 'GW_UPSTREAM_TLS' })
    expect(String((await gateway.line(answer)).detail)).toMatch(why)
    expect(everybodySeen()).toEqual([])
  })

  test('lists that are of little use are warned of at the start', () => {
    const warnings = JSON.stringify(gateway.log)
    expect(warnings).toMatch(
      /the list of CN=stale was to be replaced by .*: until it is, every upstream of this CA is refused/,
    )
    expect(warnings).toMatch(
      /there is no list of CN=unlisted: until there is one, every upstream of this CA is refused/,
    )
  })
})

test('IGNORE_CA_ERROR asks upstreams without a current list, but none that is revoked, and the log says so', async () => {
  const gateway = await scene.start(configuration({}, { proxy_revocation_check_mode: 'IGNORE_CA_ERROR' }))
  const status = async (name: string) => (await gateway.get(`/${name}/`)).status
  expect(await Promise.all(['with-a-stale-list', 'without-a-list', 'good'].map(status))).toEqual([200, 200, 200])
  expect(await Promise.all(['revoked', 'revoked-by-a-stale-list'].map(status))).toEqual([502, 502])
  const msg = 'upstreams are asked without a current revocation list (proxy_revocation_check_mode IGNORE_CA_ERROR)'
  await gateway.logged({ msg, reason: 'CRL has expired', detail: 'the list of CN=stale' })
  await gateway.logged({ msg, reason: 'unable to get certificate CRL', detail: 'no list of CN=unlisted' })
})

test('a service of its own can do without, and the start warns of it', async () => {
  const gateway = await scene.start(configuration({ proxy_revocation_check_mode: 'SKIP' }))
  expect((await gateway.get('/revoked/')).status).toBe(200)
  expect(JSON.stringify(gateway.log)).toMatch(/is SKIP: nobody asks whether the upstream of revoked was revoked/)
})

test('a stricter mode holds for connections that were kept under the laxer one', async () => {
  const lax = scene.config(configuration({}, { proxy_revocation_check_mode: 'IGNORE_CA_ERROR' }))
  const gateway = await startGateway({ config: lax })
  const status = async () => (await gateway.get('/without-a-list/')).status
  expect([await status(), await status()]).toEqual([200, 200])
  await gateway.reload(scene.config(configuration()))
  expect(await status()).toBe(502)
})

describe('a list that is replaced', () => {
  const api = root.server('localhost')
  let backend: Backend
  const reused: boolean[] = []

  beforeAll(async () => {
    backend = await startBackend({ certificate: api, clients: scene.inside })
    backend.server.on('secureConnection', (socket: TLSSocket) => reused.push(socket.isSessionReused()))
  })

  async function gatewayWith(file: string, proxy: object): Promise<Gateway> {
    return await startGateway({
      config: scene.config({
        services: [{ name: 'api', url: backend.url, retries: 0, routes: [{ name: 'api', paths: ['/'] }] }],
        proxy: proxyWith({ proxy_ssl_trusted_certificate: root.certificate, proxy_ssl_crl: file, ...proxy }),
      }),
    })
  }

  test.each<[string, object, boolean]>([
    ['whose connections are kept', {}, false],
    ['whose sessions are resumed', { upstream_keepalive_pool_size: 0 }, true],
    [
      'whose sessions are resumed in TLS 1.2',
      { upstream_keepalive_pool_size: 0, proxy_ssl_protocols: ['TLSv1.2'] },
      true,
    ],
  ])('takes effect on an upstream %s', async (_what, proxy, resumes) => {
    reused.length = 0
    const file = temporaryFile('crl.pem', root.crl())
    const gateway = await gatewayWith(file, proxy)
    const ask = async () => (await gateway.get('/')).status
    for (let i = 0; i < 3; i++) expect(await ask()).toBe(200)
    expect(reused.includes(true)).toBe(resumes)
    writeFileSync(`${file}.new`, root.crl([api]))
    renameSync(`${file}.new`, file)
    await waitFor('the refusal', async () => (await ask()) === 502)
    writeFileSync(file, root.crl())
    await gateway.reload()
    expect(await ask()).toBe(200)
  })
})

test.each<[string, () => GatewayConfig, RegExp]>([
  [
    'that its authority has not signed',
    () => configuration({}, { proxy_ssl_crl: root.crl([], { signer: unlisted }) }),
    /proxy\.proxy_ssl_crl: the list of CN=root is not signed by the CA of that name in proxy_ssl_trusted_certificate/,
  ],
  ['that is none', () => configuration({}, { proxy_ssl_crl: root.certificate }), /proxy\.proxy_ssl_crl/],
  [
    'that is larger than allowed',
    () => configuration({}, { proxy_ssl_crl: temporaryFile('crl.pem', LISTS.repeat(9)), proxy_ssl_crl_max_size: 1024 }),
    /proxy\.proxy_ssl_crl: names .*; proxy_ssl_crl_max_size allows 1024/,
  ],
  [
    'of nobody whom the service trusts',
    () => configuration({}, { proxy_ssl_trusted_certificate: undefined }),
    /services\[0\]: trusts the public authorities, of which proxy_ssl_crl has no lists/,
  ],
])('a start with a list %s is refused', async (_what, config, message) => {
  await expect(scene.start(config())).rejects.toThrow(message)
})

test('the environment names it too', async () => {
  const { own, front, clients } = scene
  const gateway = await startGateway({
    env: {
      SALLYPORT_LISTEN: '127.0.0.1:0',
      SALLYPORT_ADMIN_LISTEN: '127.0.0.1:0',
      SALLYPORT_UPSTREAM_URL: urlOf('revoked'),
      SALLYPORT_SSL_CERTIFICATE: front.chain,
      SALLYPORT_SSL_CERTIFICATE_KEY: front.key,
      SALLYPORT_SSL_CLIENT_CERTIFICATE: clients.certificate,
      SALLYPORT_SSL_VERIFY_CLIENT: 'optional',
      SALLYPORT_PROXY_SSL_TRUSTED_CERTIFICATE: AUTHORITIES,
      SALLYPORT_PROXY_SSL_CRL: temporaryFile('crl.pem', LISTS),
      SECRET_CLIENT_KEY: own.key,
      SECRET_CLIENT_CERT: own.certificate,
    },
  })
  const answer = await gateway.get('/')
  expect(answer.status).toBe(502)
  expect((await gateway.line(answer)).detail).toMatch(/certificate revoked/)
})
