import { beforeAll, describe, expect, test } from '@jest/globals'
import { type Answer, json } from '../support/client.ts'
import type { Gateway } from '../support/gateway.ts'
import { CLOUD, identityService, passwordOf, TOTP_SECRET } from '../support/identity.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'
import { totpCode } from '../support/totp.ts'

/** Users besides those of the cloud, each with a generator of codes of its own since a code counts once. */
const NAMES = ['two-at-once', 'two-steps', 'by-key', 'by-token', 'by-certificate', 'registry', 'tokenless', 'wrong']
const basic = (name: string, password = `password of ${name}`) => ({
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
})
const code = () => ({ 'x-otp': totpCode(TOTP_SECRET) })

let scene: Scene
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  const signer = scene.inside.client('signer')
  const careful = NAMES.map((name) => ({
    ...{ id: `u-${name}`, username: name, multi_factor_auth_rules: [['password', 'totp']] },
    basicauth_credentials: [{ username: name, password: `password of ${name}` }],
    keyauth_credentials: [{ key: `key of ${name}` }],
    totp_credentials: [{ secret: TOTP_SECRET }],
    mtls_auth_credentials: [{ subject_name: `cn:${name}` }],
  }))
  const route = (name: string, more: object) => ({ name, paths: [`/${name}`], ...more })
  gateway = await scene.start({
    ...CLOUD,
    ...listenerOf(
      scene.server({ authorization: { users: NAMES.map((user) => ({ user, certificate: [`cn:${user}`] })) } }),
    ),
    identity_headers: { 'X-User': 'user' },
    consumers: [
      ...CLOUD.consumers,
      ...careful,
      {
        ...{ username: 'off', multi_factor_auth_rules: [['password', 'totp']], multi_factor_auth_enabled: false },
        basicauth_credentials: [{ username: 'off', password: 'password of off' }],
      },
    ],
    auth: { methods: ['certificate', 'password', 'totp', 'token', 'api-key'] },
    identity_api: {
      ...CLOUD.identity_api,
      trusted_issuers: ['CN=clients'],
      role_assignments: [
        ...CLOUD.identity_api.role_assignments,
        { role: 'member', user: 'tokenless', project: 'demo' },
      ],
    },
    certificates: [{ name: 'tokens', cert: signer.chain, key: signer.key }],
    registry_realms: [{ name: 'acme', services: ['registry.test'], certificate: 'tokens' }],
    services: [
      identityService(['/identity']),
      { name: 'tokens', builtin: 'registry-tokens', routes: [route('registry', {})] },
      {
        ...{ name: 'api', url: scene.backend.url },
        routes: [
          route('password', { rules: [['password']] }),
          route('key', { rules: [['api-key']] }),
          route('token', { rules: [['token']] }),
          route('certificate', { rules: [['certificate']] }),
        ],
      },
    ],
  })
})

const logIn = (methods: object, headers: Record<string, string> = {}): Promise<Answer> =>
  gateway.get('/identity/v3/auth/tokens', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ auth: { identity: { methods: Object.keys(methods), ...methods } } }),
  })

describe('a user with multi_factor_auth_rules', () => {
  test('does not come in by a password where that is all that the route asks; with a code besides it does', async () => {
    const first = await gateway.get('/password', { headers: basic('two-at-once') })
    expect(first.status).toBe(401)
    expect(first.headers['www-authenticate']).toBe('TOTP realm="sallyport", header="X-OTP"')
    expect(json(first)).toMatchObject({
      receipt: { methods: ['password'], user: { id: 'u-two-at-once' } },
      required_auth_methods: [['password', 'totp']],
    })
    const both = await gateway.get('/password', { headers: { ...basic('two-at-once'), ...code() } })
    expect([both.status, scene.backend.last.header('x-user')]).toEqual([200, ['two-at-once']])
    expect([scene.backend.last.header('x-otp'), scene.backend.last.header('authorization')]).toEqual([[], []])
  })

  test('may do it in two steps', async () => {
    const first = await gateway.get('/password', { headers: basic('two-steps') })
    const receipt = { 'openstack-auth-receipt': String(first.headers['openstack-auth-receipt']) }
    expect((await gateway.get('/password', { headers: receipt })).status).toBe(401)
    expect((await gateway.get('/password', { headers: { ...receipt, ...code() } })).status).toBe(200)
  })

  test('is told of in the log with what is missing, at the Identity API too', async () => {
    expect((await logIn({ password: passwordOf('two-steps') })).status).toBe(401)
    const line = await gateway.logged({ msg: 'identity refused', user: 'two-steps' })
    expect(line).toMatchObject({ status: 401, reason: 'nothing yet for totp, after password' })
  })

  test('does not come in by a wrong code', async () => {
    const headers = { ...basic('wrong'), 'x-otp': '000000' }
    expect((await gateway.get('/password', { headers })).status).toBe(401)
  })

  test('needs both besides an API key or a certificate', async () => {
    const key = { apikey: 'key of by-key' }
    expect((await gateway.get('/key', { headers: key })).status).toBe(401)
    expect((await gateway.get('/key', { headers: { ...key, ...basic('by-key') } })).status).toBe(401)
    expect((await gateway.get('/key', { headers: { ...key, ...basic('by-key'), ...code() } })).status).toBe(200)
    const as = scene.clients.client('by-certificate')
    expect((await gateway.get('/certificate', { as })).status).toBe(401)
    const headers = { ...basic('by-certificate'), ...code() }
    expect((await gateway.get('/certificate', { as, headers })).status).toBe(200)
  })

  test('comes in with a token that was issued for both', async () => {
    const password = passwordOf('by-token')
    expect((await logIn({ password })).status).toBe(401)
    const totp = { user: { id: 'u-by-token', passcode: totpCode(TOTP_SECRET) } }
    const token = String((await logIn({ password, totp })).headers['x-subject-token'])
    expect((await gateway.get('/token', { headers: { 'x-auth-token': token } })).status).toBe(200)
  })

  test('gets no token for a registry by a password, nor anything of the Identity API by a certificate', async () => {
    const login = (name: string) =>
      gateway.get('/registry/token?service=registry.test&scope=repository:a:pull', { headers: basic(name) })
    expect((await login('registry')).status).toBe(401)
    expect((await login('ada')).status).toBe(200)
    await gateway.logged({ reason: 'registry needs more than password (multi_factor_auth_rules)' })
    const headers = { 'x-project-id': 'p-demo' }
    const as = scene.clients.client('tokenless')
    expect((await gateway.get('/identity/v3/auth/projects', { as, headers })).status).toBe(401)
    await gateway.logged({ reason: 'no X-Auth-Token; a certificate alone is not enough for tokenless' })
  })

  test('and nobody else needs more than the rule asks for, nor whose rules are not enabled', async () => {
    for (const name of ['ada', 'off']) {
      expect((await gateway.get('/password', { headers: basic(name) })).status).toBe(200)
      expect((await logIn({ password: passwordOf(name) })).status).toBe(201)
    }
  })
})

test('a token from before the user had such rules is of no use any more', async () => {
  const config = (multi_factor_auth_rules: string[][]) => ({
    consumers: [
      {
        ...{ id: 'u-ada', username: 'ada', multi_factor_auth_rules, totp_credentials: [{ secret: TOTP_SECRET }] },
        basicauth_credentials: [{ username: 'ada', password: 'password of ada' }],
      },
    ],
    services: [
      identityService(['/identity']),
      { name: 'api', url: scene.backend.url, rules: [['token']], routes: [{ name: 'all', paths: ['/'] }] },
    ],
  })
  gateway = await scene.start(config([]))
  const headers = { 'x-auth-token': String((await logIn({ password: passwordOf('ada') })).headers['x-subject-token']) }
  const statuses = async () => {
    const subject = { ...headers, 'x-subject-token': headers['x-auth-token'] }
    const answers = [
      await gateway.get('/', { headers }),
      await gateway.get('/identity/v3/auth/projects', { headers }),
      await gateway.get('/identity/v3/auth/tokens', { headers: subject }),
    ]
    return answers.map(({ status }) => status)
  }
  expect(await statuses()).toEqual([200, 200, 200])
  await gateway.reload(scene.config(config([['password', 'totp']])))
  expect(await statuses()).toEqual([401, 401, 401])
})
