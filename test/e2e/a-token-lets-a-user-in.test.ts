import { execFileSync } from 'node:child_process'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { type Ask, json } from '../support/client.ts'
import type { Gateway } from '../support/gateway.ts'
import { CLOUD, identityService, issueToken } from '../support/identity.ts'
import { type GatewayConfig, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway
let config: GatewayConfig
beforeAll(async () => {
  scene = await makeScene()
  const api = (name: string, more: object) => ({
    ...{ name, url: scene.backend.url, ...more },
    routes: [{ name, paths: [`/${name}`] }],
  })
  config = {
    ...CLOUD,
    identity_presets: ['keystone'],
    // Each reload is then the one that the test has asked for.
    reload: { watch: 'off' },
    services: [
      identityService(['/identity']),
      api('api', { rules: [['token']] }),
      api('open', { rules: [['token']], anonymous: 'on' }),
      api('both', { rules: [['token', 'totp']] }),
      api('shown', { rules: [['token']], hide_credentials: 'off' }),
      api('none', {}),
    ],
  }
  gateway = await scene.start(config)
})

/** The headers that the backend saw, by name in lower case. */
async function seen(path: string, options: Ask = {}): Promise<Record<string, string>> {
  const answer = await gateway.get(path, options)
  expect(answer).toMatchObject({ status: 200 })
  const { headers } = json<{ headers: [string, string][] }>(answer)
  return Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value]))
}

const status = (path: string, headers: Ask['headers'], as?: Ask['as']) =>
  gateway.get(path, { headers: headers ?? {}, ...(as && { as }) }).then((answer) => answer.status)

describe('a route that demands a token', () => {
  test("takes it from X-Auth-Token or after Bearer, and tells the backend in keystonemiddleware's words", async () => {
    const token = await issueToken(gateway, 'ada')
    for (const headers of [{ 'x-auth-token': token }, { authorization: `Bearer ${token}` }]) {
      const found = await seen('/api', { headers })
      expect(found).toMatchObject({
        'x-identity-status': 'Confirmed',
        ...{ 'x-user-id': 'u-ada', 'x-user-name': 'ada', 'x-user-domain-id': 'default' },
        ...{ 'x-user-domain-name': 'Default', 'x-project-id': 'p-demo', 'x-project-name': 'demo' },
        ...{ 'x-project-domain-id': 'default', 'x-project-domain-name': 'Default', 'x-roles': 'member' },
        ...{ 'x-is-admin-project': 'True', 'x-user': 'ada', 'x-role': 'member' },
        ...{ 'x-tenant-id': 'p-demo', 'x-tenant-name': 'demo', 'x-tenant': 'demo' },
      })
      expect(found).not.toHaveProperty('openstack-system-scope')
    }
  })

  test('tells of a domain or of the whole system where the token is for those', async () => {
    const domain = await issueToken(gateway, 'root', { domain: { id: 'default' } })
    expect(await seen('/api', { headers: { 'x-auth-token': domain } })).toMatchObject({
      ...{ 'x-domain-id': 'default', 'x-domain-name': 'Default', 'x-roles': 'admin' },
    })
    const system = await issueToken(gateway, 'root', { system: { all: true } })
    expect(await seen('/api', { headers: { 'x-auth-token': system } })).toMatchObject({
      ...{ 'openstack-system-scope': 'all', 'x-roles': 'admin' },
    })
  })

  test('keeps the token from the backend, unless it is told otherwise', async () => {
    const token = await issueToken(gateway, 'ada')
    const text = JSON.stringify(await seen('/api', { headers: { 'x-auth-token': token } }))
    expect(text).not.toContain(token)
    expect(await seen('/shown', { headers: { 'x-auth-token': token } })).toMatchObject({ 'x-auth-token': token })
  })

  test('answers 401 with a challenge to whoever has none, a bad one, or two', async () => {
    const token = await issueToken(gateway, 'ada')
    const none = await gateway.get('/api')
    expect(none).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Bearer realm="sallyport"' } })
    expect(await status('/api', { 'x-auth-token': `${token}x` })).toBe(401)
    expect(await status('/api', { authorization: 'Bearer' })).toBe(401)
    expect(await status('/api', { 'x-auth-token': token, authorization: `Bearer ${token}` })).toBe(401)
    expect(await status('/open', { 'x-auth-token': 'nonsense' })).toBe(401)
  })

  test('ends to let it in at once when it is revoked, also on a connection that has used it', async () => {
    const token = await issueToken(gateway, 'ada')
    const headers = { 'x-auth-token': token }
    expect(await status('/api', headers)).toBe(200)
    const revoked = { ...headers, 'x-subject-token': token }
    expect(await gateway.get('/identity/v3/auth/tokens', { method: 'DELETE', headers: revoked })).toMatchObject({
      status: 204,
    })
    expect(await status('/api', headers)).toBe(401)
  })

  test('takes a token that was issued to a certificate only with that certificate', async () => {
    const token = await issueToken(gateway, 'ada', undefined, { as: scene.ada })
    const headers = { 'x-auth-token': token }
    expect(await status('/api', headers, scene.ada)).toBe(200)
    expect(await status('/api', headers)).toBe(401)
    expect(await status('/api', headers, scene.clients.client('ada'))).toBe(401)
  })

  test('asks a second method about the same user', async () => {
    const token = await issueToken(gateway, 'ada')
    const answer = await gateway.get('/both', { headers: { 'x-auth-token': token } })
    expect(answer).toMatchObject({ status: 401, headers: { 'openstack-auth-receipt': expect.any(String) } })
  })

  test('forgets nobody over a reload, and lets nobody in whose role or user is gone', async () => {
    const token = await issueToken(gateway, 'nova')
    const headers = { 'x-auth-token': token }
    await gateway.reload()
    expect(await status('/api', headers)).toBe(200)
    const role_assignments = CLOUD.identity_api.role_assignments.filter(({ role }) => role !== 'service')
    await gateway.reload(scene.config({ ...config, identity_api: { ...CLOUD.identity_api, role_assignments } }))
    expect(await status('/api', headers)).toBe(401)
    const consumers = CLOUD.consumers.filter((consumer) => !JSON.stringify(consumer).includes('"nova"'))
    await gateway.reload(
      scene.config({ ...config, consumers, identity_api: { projects: CLOUD.identity_api.projects } }),
    )
    expect(await status('/api', headers)).toBe(401)
    await gateway.reload(scene.config(config))
    expect(await status('/api', headers)).toBe(200)
  })
})

test('a token ends with the password or the program that it was got with, also one that it was exchanged for; one that was got otherwise does not', async () => {
  const hashOf = (text: string) => execFileSync('openssl', ['passwd', '-6', text], { encoding: 'utf8' }).trim()
  const consumerOf = (password: string, secret: string) => ({
    ...{ id: 'u-eva', username: 'eva', groups: ['watchers'] },
    basicauth_credentials: [{ username: 'eva', password }],
    application_credentials: [{ id: 'app-eva', secret, project: 'demo' }],
  })
  const withEva = (password: string, secret: string) =>
    scene.config({ ...config, consumers: [...CLOUD.consumers, consumerOf(password, secret)] })
  const [password, secret] = [hashOf('password of eva'), hashOf('secret')]
  await gateway.reload(withEva(password, secret))
  const tokenOf = async (identity: object, scope?: object) => {
    const body = JSON.stringify({ auth: { identity, ...(scope && { scope }) } })
    const answer = await gateway.get('/identity/v3/auth/tokens', { method: 'POST', body })
    expect([answer.status, answer.text]).toEqual([201, expect.any(String)])
    return String(answer.headers['x-subject-token'])
  }
  const project = { project: { id: 'p-demo' } }
  const byPassword = await issueToken(gateway, 'eva')
  const exchanged = await tokenOf({ methods: ['token'], token: { id: byPassword } }, project)
  const again = await tokenOf({ methods: ['token'], token: { id: exchanged } }, project)
  const program = { id: 'app-eva', secret: 'secret' }
  const byProgram = await tokenOf({ methods: ['application_credential'], application_credential: program })
  const statuses = () =>
    Promise.all([byPassword, exchanged, again, byProgram].map((token) => status('/api', { 'x-auth-token': token })))
  const shown = async (token: string) =>
    (await gateway.get('/identity/v3/auth/tokens', { headers: { 'x-auth-token': token, 'x-subject-token': token } }))
      .status

  await gateway.reload(withEva(password, secret))
  expect(await statuses()).toEqual([200, 200, 200, 200])
  await gateway.reload(withEva(hashOf('password of eva'), secret))
  expect(await statuses()).toEqual([401, 401, 401, 200])
  expect([await shown(again), await shown(byProgram)]).toEqual([401, 200])
  await gateway.reload(withEva(password, hashOf('another')))
  expect(await statuses()).toEqual([200, 200, 200, 401])
  await gateway.reload(scene.config(config))
})

describe('whoever is not known', () => {
  test('is told so where the route lets him pass', async () => {
    const found = await seen('/open')
    expect(found).toMatchObject({ 'x-identity-status': 'Invalid' })
    expect(Object.keys(found).filter((name) => /^x-(user|project|role|tenant|domain)/.test(name))).toEqual([])
  })

  const NAMES = [
    ...['X-Identity-Status', 'X-Service-Identity-Status', 'X-Service-Catalog', 'X-Is-Admin-Project'],
    ...['', 'Service-'].flatMap((kind) =>
      [
        ...['Domain-Id', 'Domain-Name', 'Project-Id', 'Project-Name', 'Project-Domain-Id', 'Project-Domain-Name'],
        ...['User-Id', 'User-Name', 'User-Domain-Id', 'User-Domain-Name', 'Roles'],
      ].map((name) => `X-${kind}${name}`),
    ),
    ...['X-Role', 'X-User', 'X-Tenant-Id', 'X-Tenant-Name', 'X-Tenant', 'OpenStack-System-Scope'],
  ]

  test.each(NAMES)('cannot say %s himself, on any route and in any spelling', async (name) => {
    const spellings = [name, name.toUpperCase(), name.replaceAll('-', '_')]
    const headers = Object.fromEntries(spellings.map((each) => [each, 'forged-by-the-client']))
    for (const path of ['/open', '/none']) expect(JSON.stringify(await seen(path, { headers }))).not.toContain('forged')
  })
})
