import { Agent } from 'node:https'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { json } from '../support/client.ts'
import type { Gateway } from '../support/gateway.ts'
import { nameOf } from '../support/names.ts'
import type { Authority } from '../support/pki.ts'
import { authority } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

const HEADERS = {
  VERIFIED: 'verify',
  'X-Consumer-Username': 'user',
  'X-Consumer-ID': 'user_id',
  'X-Consumer-Custom-ID': 'custom_id',
  'X-Consumer-Groups': 'groups',
  'X-Credential-Identifier': 'credential',
}

let scene: Scene
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  gateway = await scene.start({
    ...listenerOf(
      scene.server({
        ssl_verify_client: 'on',
        verify_and_map: true,
        authorization: {
          users: [
            { user: 'ada', certificate: ['email:ada@Example.com'], groups: ['writers'] },
            { user: 'carl', certificate: ['dn:O=Acme, OU=Ops, CN=carl'], groups_from: ['OU'] },
            { user: { from: 'spiffe.path', domain: 'example.org' } },
            { user: 'paula', certificate: ['cn:paula'], password: 'both are needed' },
          ],
        },
      }),
    ),
    identity_headers: HEADERS,
    consumers: [
      { id: 'id-of-ada', username: 'ada', custom_id: '42', groups: ['staff'] },
      { username: 'kong', mtls_auth_credentials: [{ id: 'cert-7', subject_name: 'robot.example.com' }] },
      { username: 'gone', enabled: false, mtls_auth_credentials: [{ subject_name: 'gone' }] },
    ],
  })
})

/** What the backend saw of the headers that say who is calling. */
async function seen(as: ReturnType<Authority['client']>): Promise<Record<string, unknown>> {
  const answer = await gateway.get('/', { as })
  expect(answer.status).toBe(200)
  const { headers } = json<{ headers: [string, string][] }>(answer)
  return Object.fromEntries(
    headers.map(([name, value]) => [name.toLowerCase(), value]).filter(([name]) => /^x-c/.test(name as string)),
  )
}

describe('a server with verify_and_map', () => {
  test('finds the user by a typed rule and tells the backend who it is', async () => {
    const ada = scene.clients.client('whoever', { emails: ['other@example.com', 'ada@example.com'] })
    expect(await seen(ada)).toEqual({
      'x-consumer-username': 'ada',
      'x-consumer-id': 'id-of-ada',
      'x-consumer-custom-id': '42',
      'x-consumer-groups': 'staff,writers',
    })
  })

  test('finds a distinguished name in any order, with groups from its OU', async () => {
    const subject = nameOf(['OU', 'Ops'], ['CN', 'carl'], ['O', 'Acme'])
    expect(await seen(scene.clients.client('carl', { subject }))).toMatchObject({
      'x-consumer-username': 'carl',
      'x-consumer-groups': 'Ops',
    })
  })

  test('takes the user from a SPIFFE id of the right trust domain', async () => {
    const svid = (uri: string) => scene.clients.client('svid', { uris: [uri] })
    expect(await seen(svid('spiffe://example.org/ns/prod/sa/api'))).toMatchObject({
      'x-consumer-username': 'ns/prod/sa/api',
    })
    expect((await gateway.get('/', { as: svid('spiffe://example.net/ns/prod/sa/api') })).status).toBe(401)
  })

  test("finds a consumer by Kong's mtls_auth_credentials, and names the credential", async () => {
    expect(await seen(scene.clients.client('x', { hosts: ['robot.example.com'] }))).toEqual({
      'x-consumer-username': 'kong',
      'x-consumer-id': 'kong',
      'x-credential-identifier': 'cert-7',
    })
  })

  test.each([
    ['a name that is another user name only', { hosts: ['ada'] }],
    ['the address as a DNS name', { hosts: ['ada@example.com'] }],
    ['the address as its CN', { subject: nameOf(['CN', 'ada@example.com']) }],
    ['more attributes than the rule', { subject: nameOf(['O', 'Acme'], ['OU', 'Ops'], ['CN', 'carl'], ['UID', 'x']) }],
    ['the name in one attribute', { subject: nameOf(['CN', 'carl,OU=Ops,O=Acme']) }],
    ['the name of a consumer who is not enabled', { subject: nameOf(['CN', 'gone']) }],
  ])('refuses %s with 401', async (_what, options) => {
    const answer = await gateway.get('/', { as: scene.clients.client('x', options) })
    expect(answer.status).toBe(401)
    expect(answer.text).toContain('GW_UNAUTHENTICATED')
    expect(await gateway.line(answer)).toMatchObject({ code: 'GW_UNAUTHENTICATED' })
  })

  test('refuses a certificate alone where the user has a password too', async () => {
    const answer = await gateway.get('/', { as: scene.clients.client('paula') })
    expect(answer.status).toBe(401)
    expect(JSON.stringify(await gateway.line(answer))).toContain('password')
  })

  test('the log names the user', async () => {
    const ada = scene.clients.client('whoever', { emails: ['ada@example.com'] })
    const answer = await gateway.get('/', { as: ada })
    expect(await gateway.logged({ request_id: answer.headers['x-request-id'] })).toMatchObject({ user: 'ada' })
  })
})

test('headers that say who is calling never come from the client, configured or not', async () => {
  const headers = {
    'x-consumer-username': 'root',
    'X-Consumer-Groups': 'admins',
    'X-Credential-Identifier': 'x',
    'X-Anonymous-Consumer': 'true',
    'Remote-User': 'root',
    'X-Consumer-Anything': 'x',
  }
  const gatewayWithout = await scene.start()
  const answer = await gatewayWithout.get('/', { as: scene.ada, headers })
  const names = json<{ headers: [string, string][] }>(answer).headers.map(([name]) => name)
  expect(names).toContain('VERIFIED')
  expect(names.filter((name) => /consumer|credential|remote-user/i.test(name))).toEqual([])
})

test('a route that asks for no user, but says what it allows or denies, leaves it to the server whether anybody is let in', async () => {
  const users = { users: [{ user: 'ada', certificate: ['cn:ada'] }] }
  const routes = [
    { name: 'denying', paths: ['/denying'], deny: [{ methods: ['DELETE'] }] },
    { name: 'allowing', paths: ['/allowing'], allow: [{ addresses: ['127.0.0.0/8'] }] },
  ]
  const strict = await scene.start({
    ...listenerOf(scene.server({ verify_and_map: true, authorization: users })),
    identity_headers: HEADERS,
    services: [{ name: 'api', url: scene.backend.url, routes }],
  })
  for (const path of ['/denying', '/allowing']) {
    const statuses = [undefined, scene.clients.client('stranger'), scene.ada].map(async (as) => {
      return (await strict.get(path, as ? { as } : {})).status
    })
    expect(await Promise.all(statuses)).toEqual([401, 401, 200])
    expect(scene.backend.last.header('x-consumer-username')).toEqual(['ada'])
  }
  expect((await strict.get('/denying', { method: 'DELETE', as: scene.ada })).status).toBe(403)
})

test('without a rule for anybody verify_and_map does not start', async () => {
  await expect(scene.start(listenerOf(scene.server({ verify_and_map: true })))).rejects.toThrow(
    'listeners[0].servers[0].verify_and_map: lets nobody in',
  )
})

describe('where a server trusts several authorities', () => {
  const other = authority('other')

  test('a rule must name the issuer', async () => {
    const users = [{ user: 'ada', certificate: ['email:ada@example.com'] }]
    await expect(scene.start(listenerOf(trustingBoth(users)))).rejects.toThrow(
      'authorization.users[0]: does not say who must have issued the certificate',
    )
  })

  test('the same name from another authority is nobody', async () => {
    const users = [{ user: 'ada', certificate: ['email:ada@example.com'], issuer: 'CN=clients' }]
    const both = await scene.start(listenerOf(trustingBoth(users)))
    const options = { emails: ['ada@example.com'] }
    expect((await both.get('/', { as: scene.clients.client('x', options) })).status).toBe(200)
    expect((await both.get('/', { as: other.client('x', options) })).status).toBe(401)
  })

  test('an intermediate that another authority gave the same name is not believed', async () => {
    const users = [{ user: 'ada', certificate: ['email:ada@example.com'], issuer: 'CN=clients' }]
    const both = await scene.start(listenerOf(trustingBoth(users)))
    const impostor = other.authority('clients').client('x', { emails: ['ada@example.com'] })
    const answer = await both.get('/', { as: impostor })
    expect(answer.status).toBe(401)
  })

  test('the issuer is found by whichever worker resumes the session, over an intermediate that only the client has', async () => {
    const users = [{ user: 'ada', certificate: ['email:ada@example.com'], issuer: 'CN=clients' }]
    const both = await scene.start({ ...listenerOf(trustingBoth(users)), workers: 2 })
    const between = scene.clients.authority('between')
    const showing = (name: string) => between.client(name, { emails: ['ada@example.com'] })
    // Connections go round the workers: both have seen the intermediate, and one of them x.
    for (const name of ['one', 'other']) expect((await both.get('/', { as: showing(name) })).status).toBe(200)
    const x = { as: showing('x'), agent: new Agent({ keepAlive: false, maxCachedSessions: 10 }) }
    const answers: [boolean, number][] = []
    for (let i = 0; i < 4; i++) {
      const { resumed, status } = await both.get('/', x)
      answers.push([resumed, status])
    }
    expect(answers).toEqual([[false, 200], ...Array(3).fill([true, 200])])
  })

  function trustingBoth(users: readonly object[]): object {
    return scene.server({
      ssl_client_certificate: scene.clients.certificate + other.certificate,
      verify_and_map: true,
      authorization: { users },
    })
  }
})

describe('names that certificates choose', () => {
  let own: Gateway
  beforeAll(async () => {
    own = await scene.start({
      ...listenerOf(
        scene.server({
          verify_and_map: true,
          authorization: { users: [{ user: { from: 'subject.cn' }, groups_from: ['OU'] }] },
        }),
      ),
      identity_headers: { ...HEADERS, 'X-CN': 'subject_cn' },
      consumers: [{ id: 'c-1', username: 'root', groups: ['admins'] }],
    })
  })
  const told = async (cn: string, ou = 'dev') => {
    const subject = nameOf(['CN', cn], ['OU', ou])
    const answer = await own.get('/', { as: scene.clients.client('anyone', { subject }) })
    const header = (name: string) => scene.backend.last.header(name)[0]
    return { status: answer.status, user: header('X-Consumer-Username'), groups: header('X-Consumer-Groups'), answer }
  }

  test("are nobody's where they are the id of another user", async () => {
    expect(await told('root')).toMatchObject({ status: 200, user: 'root' })
    scene.backend.reset()
    const answer = await own.get('/', { as: scene.clients.client('anyone', { subject: nameOf(['CN', 'c-1']) }) })
    expect(answer.status).toBe(401)
    expect((await own.line(answer)).detail).toContain('"c-1" is the id of another user')
    expect(scene.backend.seen).toEqual([])
  })

  test('arrive as no other name, though whoever reads headers removes blanks and takes escapes for characters', async () => {
    const names = ['rené', 'ren%C3%A9', ' root', 'root ', 'root', '%20root']
    const arrived: unknown[] = []
    for (const name of names) {
      const { status, user } = await told(name)
      expect(status).toBe(200)
      expect(scene.backend.last.header('X-CN')).toEqual([user])
      expect(scene.backend.last.header('X-Consumer-ID')).toEqual([name === 'root' ? 'c-1' : user])
      arrived.push(user)
    }
    expect(arrived).toEqual(['ren%C3%A9', 'ren%25C3%25A9', '%20root', 'root%20', 'root', '%2520root'])
  })

  test('and so do groups', async () => {
    expect((await told('eve', 'admins ')).groups).toBe('admins%20')
    expect((await told('eve', ' admins')).groups).toBe('%20admins')
    expect((await told('root', 'night shift')).groups).toBe('admins,night shift')
  })
})
