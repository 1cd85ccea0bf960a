/** Holes that opened where two features met, each found by an attack on the whole. */
import { createServer } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { beforeAll, beforeEach, expect, test } from '@jest/globals'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { whenFileEnds } from '../support/cleanup.ts'
import { type Answer, json } from '../support/client.ts'
import { temporaryFolder } from '../support/folder.ts'
import type { Gateway } from '../support/gateway.ts'
import { CLOUD, identityService, issueToken, TOTP_SECRET } from '../support/identity.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'
import { totpCode } from '../support/totp.ts'

let scene: Scene
beforeAll(async () => {
  scene = await makeScene()
})
beforeEach(() => scene.backend.reset())

test.each(['client_cert', 'client.cert', 'CLIENT_CERT'])(
  'a load balancer that removes Client-Cert by its exact name is not tricked with %s',
  async (name) => {
    const gateway = await scene.start({
      ...listenerOf(scene.server({ certificate_header_format: 'rfc9440' })),
      trusted_ips: ['127.0.0.1'],
    })
    const headers = { [name]: `:${scene.ada.der.toString('base64')}:` }
    expect((await gateway.get('/', { headers })).status).toBe(400)
    expect(scene.backend.seen).toEqual([])
  },
)

test("the header in which a server in front names users is nobody else's, on any route", async () => {
  const gateway = await scene.start({ auth: { external: { header: 'X-Front-User', trusted_ips: ['192.0.2.1'] } } })
  expect((await gateway.get('/', { headers: { 'X-Front-User': 'root', x_front_user: 'root' } })).status).toBe(200)
  expect(scene.backend.last.headers.filter(([name]) => /front/i.test(name))).toEqual([])
})

test("a mapped user's password stays here also where only the server demands it", async () => {
  const users = [{ user: 'zed', certificate: ['cn:ada'], password: 'mapped secret' }]
  const gateway = await scene.start(listenerOf(scene.server({ verify_and_map: true, authorization: { users } })))
  const headers = { authorization: `Basic ${Buffer.from('zed:mapped secret').toString('base64')}` }
  expect((await gateway.get('/', { as: scene.ada, headers })).status).toBe(200)
  expect(scene.backend.last.header('Authorization')).toEqual([])
})

test('a program for rights that denies one repository and fails for another refuses the request, and nothing else', async () => {
  const socket = join(temporaryFolder(), 'program.sock')
  const server = createServer(async (request, response) => {
    const { Name: name } = JSON.parse(await text(request)) as { Name: string }
    if (name === 'a') response.end('[]')
    else setTimeout(() => response.writeHead(500).end('x'), 50)
  })
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  whenFileEnds(() => {
    server.closeAllConnections()
    server.close()
  })
  const signer = scene.inside.client('signer')
  const gateway = await scene.start({
    certificates: [{ name: 'tokens', cert: signer.chain, key: signer.key }],
    registry_realms: [
      { name: 'acme', services: ['registry.test'], certificate: 'tokens', authorization_socket: `unix:${socket}` },
    ],
    services: [
      {
        name: 'registry',
        url: scene.backend.url,
        registry: { realm: 'acme', service: 'registry.test', token: true },
        routes: [{ name: 'registry', paths: ['/'], strip_path: false }],
      },
    ],
  })
  const mount = `/v2/a/blobs/uploads/?mount=sha256:${'a'.repeat(64)}&from=b`
  expect((await gateway.get(mount, { as: scene.ada, method: 'POST' })).status).toBeGreaterThanOrEqual(400)
  // The second judgement fails when the first has refused already.
  expect((await gateway.get(mount, { as: scene.ada, method: 'POST' })).status).toBeGreaterThanOrEqual(400)
  expect(gateway.child.running).toBe(true)
})

const receiptOf = ({ headers }: Answer) => ({ 'Openstack-Auth-Receipt': `${headers['openstack-auth-receipt']}` })

test('a token that was got with a password is no password where a rule asks for both, nor with the receipt for it', async () => {
  const api = { name: 'api', url: scene.backend.url, rules: [['token', 'password']] }
  const gateway = await scene.start({
    ...CLOUD,
    services: [identityService(['/identity']), { ...api, routes: [{ name: 'api', paths: ['/'] }] }],
  })
  const token = { 'X-Auth-Token': await issueToken(gateway, 'ada') }
  const first = await gateway.get('/', { headers: token })
  expect(first.status).toBe(401)
  expect((await gateway.get('/', { headers: { ...token, ...receiptOf(first) } })).status).toBe(401)
  const authorization = `Basic ${Buffer.from('ada:password of ada').toString('base64')}`
  expect((await gateway.get('/', { headers: { ...token, authorization } })).status).toBe(200)
})

test('a receipt does not widen what an application credential is good for', async () => {
  const project = (id: string) => ({ id, name: id })
  const gateway = await scene.start({
    consumers: [
      {
        username: 'ada',
        totp_credentials: [{ secret: TOTP_SECRET }],
        application_credentials: [{ id: 'app', secret: 'secret', project: 'small' }],
        multi_factor_auth_rules: [['application_credential', 'totp']],
      },
    ],
    identity_api: {
      projects: [project('small'), project('large')],
      role_assignments: ['small', 'large'].map((each) => ({ role: 'member', user: 'ada', project: each })),
    },
    services: [identityService(['/identity'])],
  })
  const application_credential = { id: 'app', secret: 'secret' }
  const first = await logIn(gateway, { methods: ['application_credential'], application_credential })
  const code = (steps: number) => ({
    methods: ['totp'],
    totp: { user: { id: 'ada', passcode: totpCode(TOTP_SECRET, steps) } },
  })
  const wider = await logIn(gateway, code(-1), { scope: { project: { id: 'large' } } }, receiptOf(first))
  expect(wider.status).toBe(401)
  const second = await logIn(gateway, code(0), {}, receiptOf(first))
  expect(json(second)).toMatchObject({ token: { project: { id: 'small' }, application_credential: { id: 'app' } } })
})

function logIn(gateway: Gateway, identity: object, more: object = {}, headers: Record<string, string> = {}) {
  return gateway.get('/identity/v3/auth/tokens', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ auth: { identity, ...more } }),
  })
}

test('guesses at a robot of a registry are answered as those at names that nobody has: nobody learns which robots there are', async () => {
  const signer = scene.inside.client('signer')
  const gateway = await scene.start({
    consumers: [{ username: 'ada', basicauth_credentials: [{ username: 'ada', password: 'password of ada' }] }],
    auth: { lockout: { attempts: 3, backoff: '1m' } },
    certificates: [{ name: 'tokens', cert: signer.chain, key: signer.key }],
    registry_realms: [
      {
        ...{ name: 'acme', services: ['registry.test'], certificate: 'tokens' },
        robots: [{ name: 'robot$ci', secret: 'made at random' }],
      },
    ],
    services: [{ name: 'tokens', builtin: 'registry-tokens', routes: [{ name: 'tokens', paths: ['/'] }] }],
  })
  const answersTo = async (name: string, password: string, times: number) => {
    const authorization = `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`
    const found: unknown[] = []
    for (let i = 0; i < times; i++) {
      const answer = await gateway.get('/token?service=registry.test', { headers: { authorization } })
      found.push([answer.status, 'retry-after' in answer.headers])
    }
    return found
  }
  const unknown = await answersTo('robot$cx', 'wrong', 5)
  expect(unknown).toContainEqual([401, true])
  expect(await answersTo('robot$ci', 'wrong', 5)).toEqual(unknown)
  expect(await answersTo('robot$ci', 'made at random', 1)).toEqual([[200, false]])
})

test('a refresh token for a registry that was got with a token of another issuer is of no use without one', async () => {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const jwks = JSON.stringify({ keys: [await exportJWK(publicKey)] })
  const signer = scene.inside.client('signer')
  const gateway = await scene.start({
    consumers: [{ username: 'ada' }],
    auth: { jwt_issuers: [{ issuer: 'https://id.test', audience: ['registry'], jwks }] },
    certificates: [{ name: 'tokens', cert: signer.chain, key: signer.key }],
    registry_realms: [{ name: 'acme', services: ['registry.test'], certificate: 'tokens' }],
    services: [
      {
        ...{ name: 'tokens', builtin: 'registry-tokens', rules: [['token']], anonymous: true },
        routes: [{ name: 'tokens', paths: ['/'] }],
      },
    ],
  })
  const claims = { iss: 'https://id.test', aud: 'registry', sub: 'ada' }
  const token = await new SignJWT(claims).setProtectedHeader({ alg: 'ES256' }).setExpirationTime('5m').sign(privateKey)
  const authorization = { 'X-Auth-Token': token }
  const first = await gateway.get('/token?service=registry.test&offline_token=true', { headers: authorization })
  const { refresh_token } = json<{ readonly refresh_token: string }>(first)
  const form = { grant_type: 'refresh_token', service: 'registry.test', refresh_token }
  const refresh = (headers: Record<string, string>) =>
    gateway.get('/token', {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: new URLSearchParams(form).toString(),
    })
  expect((await refresh({})).status).toBe(401)
  expect((await refresh(authorization)).status).toBe(200)
})
