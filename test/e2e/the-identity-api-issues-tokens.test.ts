import { beforeAll, describe, expect, test } from '@jest/globals'
import type { Answer, Ask } from '../support/client.ts'
import { json } from '../support/client.ts'
import type { Gateway } from '../support/gateway.ts'
import { CLOUD, identityService, passwordOf, type TokenAnswer } from '../support/identity.ts'
import { makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway
beforeAll(async () => {
  scene = await makeScene()
  const olga = {
    ...{ id: 'olga@example.com', username: 'olga' },
    basicauth_credentials: [{ username: 'olga', password: 'password of olga' }],
  }
  gateway = await scene.start({
    ...CLOUD,
    consumers: [...CLOUD.consumers, olga],
    services: [identityService(['/'])],
  })
})

const log = (auth: object, options: Ask = {}): Promise<Answer> =>
  gateway.get('/v3/auth/tokens', {
    method: 'POST',
    body: JSON.stringify({ auth }),
    ...options,
    headers: { 'content-type': 'application/json', ...options.headers },
  })

const withPassword = (name: string) => ({ methods: ['password'], password: passwordOf(name) })
const inProject = { project: { name: 'demo', domain: { id: 'default' } } }

async function tokenOf(name: string, scope: object | string = inProject, options: Ask = {}): Promise<string> {
  const answer = await log({ identity: withPassword(name), scope }, options)
  expect([answer.status, answer.text]).toMatchObject([201, expect.any(String)])
  return answer.headers['x-subject-token'] as string
}

describe('POST /v3/auth/tokens', () => {
  test("answers 201 with the token in a header and Keystone's body", async () => {
    const answer = await log({ identity: withPassword('ada'), scope: inProject })
    expect(answer.status).toBe(201)
    expect(answer.headers).toMatchObject({ vary: 'X-Auth-Token', 'content-type': 'application/json' })
    expect(answer.headers['x-subject-token']).toMatch(/^ey[\w-]+\.[\w-]+\.[\w-]+$/)
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
    const { token } = json<TokenAnswer>(answer)
    expect(token).toEqual({
      methods: ['password'],
      user: { id: 'u-ada', name: 'ada', domain: { id: 'default', name: 'Default' }, password_expires_at: null },
      audit_ids: [expect.stringMatching(/^[\w-]{22}$/)],
      expires_at: time,
      issued_at: time,
      project: { id: 'p-demo', name: 'demo', domain: { id: 'default', name: 'Default' } },
      is_domain: false,
      roles: [{ id: expect.stringMatching(/^[0-9a-f]{32}$/), name: 'member' }],
      catalog: [
        expect.objectContaining({ type: 'identity', name: 'keystone' }),
        expect.objectContaining({
          type: 'compute',
          endpoints: [expect.objectContaining({ url: 'https://nova.test/v2/p-demo', region: 'RegionOne' })],
        }),
      ],
    })
  })

  test('leaves the catalog out with ?nocatalog, and without a scope', async () => {
    const body = JSON.stringify({ auth: { identity: withPassword('ada'), scope: inProject } })
    const headers = { 'content-type': 'application/json' }
    const answer = await gateway.get('/v3/auth/tokens?nocatalog', { method: 'POST', body, headers })
    expect(json<TokenAnswer>(answer).token).not.toHaveProperty('catalog')
    const { token } = json<TokenAnswer>(await log({ identity: withPassword('ada'), scope: 'unscoped' }))
    for (const name of ['catalog', 'roles', 'project', 'is_domain']) expect(token).not.toHaveProperty(name)
  })

  test('takes the default project where the client says no scope, unless it says "unscoped"', async () => {
    const { token } = json<TokenAnswer>(await log({ identity: withPassword('bob') }))
    expect(token.project?.id).toBe('p-demo')
    for (const scope of ['unscoped', { unscoped: {} }]) {
      const unscoped = json<TokenAnswer>(await log({ identity: withPassword('bob'), scope }))
      expect(unscoped.token).not.toHaveProperty('project')
    }
  })

  test('gives tokens for a domain and for the system to whoever has a role there', async () => {
    const domain = json<TokenAnswer>(
      await log({ identity: withPassword('root'), scope: { domain: { id: 'default' } } }),
    )
    expect(domain.token).toMatchObject({ domain: { id: 'default', name: 'Default' }, roles: [{ name: 'admin' }] })
    const system = json<TokenAnswer>(await log({ identity: withPassword('root'), scope: { system: { all: true } } }))
    expect(system.token).toMatchObject({ system: { all: true }, roles: [{ name: 'admin' }] })
    const denied = await log({ identity: withPassword('ada'), scope: { system: { all: true } } })
    expect(denied.status).toBe(401)
  })

  test('gives roles to users through their groups', async () => {
    const { token } = json<TokenAnswer>(await log({ identity: withPassword('bob'), scope: inProject }))
    expect(token.roles?.map(({ name }) => name)).toEqual(['reader'])
  })

  test('tells nobody what was wrong, but the log', async () => {
    const answers = await Promise.all([
      log({ identity: { methods: ['password'], password: passwordOf('ada', 'wrong') } }),
      log({ identity: { methods: ['password'], password: passwordOf('nobody', 'wrong') } }),
      log({ identity: withPassword('ada'), scope: { project: { name: 'secret', domain: { id: 'default' } } } }),
      log({ identity: withPassword('ada'), scope: { project: { id: 'p-closed' } } }),
    ])
    for (const answer of answers) {
      expect(answer.status).toBe(401)
      expect(answer.headers['www-authenticate']).toMatch(/^Keystone uri="https:\/\/localhost.*\/v3"$/)
      expect(json(answer)).toEqual({
        error: { code: 401, title: 'Unauthorized', message: 'The request you have made requires authentication.' },
      })
    }
    expect(await gateway.logged({ msg: 'identity refused', reason: 'no project secret' })).toMatchObject({
      status: 401,
    })
  })

  test.each([
    [{ name: 'nobody', domain: { name: 'Default' } }, '"nobody" in the domain "Default"'],
    [{ name: 'ada', domain: { id: 'Default' } }, '"ada" in the domain "Default", which is not there'],
    [{ id: 'u-nobody' }, '"u-nobody"'],
  ])('names in the log whom nobody is: %j', async (user, told) => {
    const identity = { methods: ['password'], password: { user: { ...user, password: 'wrong' } } }
    expect((await log({ identity })).status).toBe(401)
    expect(await gateway.logged({ msg: 'identity refused', reason: `password: nobody is named ${told}` })).toBeDefined()
  })

  test('finds an application credential by its name for its owner only, in the domain of that', async () => {
    const byName = (user: object | undefined) =>
      log({
        identity: {
          methods: ['application_credential'],
          application_credential: { name: 'robot', secret: 'secret of the robot', user },
        },
      })
    const domain = { id: 'default' }
    expect((await byName({ name: 'ada', domain })).status).toBe(201)
    expect((await byName({ id: 'u-ada' })).status).toBe(201)
    expect((await byName({ name: 'bob', domain })).status).toBe(401)
    expect((await byName({ name: 'ada', domain: { name: 'elsewhere' } })).status).toBe(401)
    for (const user of [undefined, {}, { name: 'ada' }]) expect((await byName(user)).status).toBe(400)
  })

  test('never takes the login of one for the name of another', async () => {
    // The login of root is "u-eve", which is the id of a user who has no password.
    const answer = await log({
      identity: { methods: ['password'], password: { user: { id: 'u-eve', password: 'password of root' } } },
    })
    expect(answer.status).toBe(401)
  })
})

describe('exchanging a token', () => {
  test('keeps its end and its methods, and names it as where it goes back to', async () => {
    const first = await log({ identity: withPassword('ada'), scope: 'unscoped' })
    const id = first.headers['x-subject-token'] as string
    const before = json<TokenAnswer>(first).token
    const second = await log({ identity: { methods: ['token'], token: { id } }, scope: inProject })
    const { token } = json<TokenAnswer>(second)
    expect(token.expires_at).toBe(before.expires_at)
    expect([...token.methods].sort()).toEqual(['password', 'token'])
    expect(token.audit_ids).toEqual([expect.not.stringMatching(before.audit_ids[0] as string), before.audit_ids[0]])
    expect(token.project?.id).toBe('p-demo')
  })

  test('for the system can become one without a scope, but none for a project', async () => {
    const token = { id: await tokenOf('root', { system: { all: true } }) }
    expect((await log({ identity: { methods: ['token'], token }, scope: 'unscoped' })).status).toBe(201)
    expect((await log({ identity: { methods: ['token'], token }, scope: inProject })).status).toBe(403)
  })

  test('of somebody else than the password says is refused', async () => {
    const id = await tokenOf('ada')
    const identity = { methods: ['token', 'password'], token: { id }, password: passwordOf('bob') }
    expect((await log({ identity })).status).toBe(401)
  })

  test('that nobody knows is 404', async () => {
    const answer = await log({ identity: { methods: ['token'], token: { id: 'gAAAA' } } })
    expect(answer.status).toBe(404)
    expect(json(answer)).toMatchObject({ error: { code: 404, title: 'Not Found' } })
  })
})

describe('GET, HEAD and DELETE /v3/auth/tokens', () => {
  const ask = (method: string, own: string, subject: string, query = '') =>
    gateway.get(`/v3/auth/tokens${query}`, { method, headers: { 'x-auth-token': own, 'x-subject-token': subject } })

  test('show a token to whoever has it', async () => {
    const token = await tokenOf('ada')
    const answer = await ask('GET', token, token)
    expect(answer).toMatchObject({ status: 200, headers: { 'x-subject-token': token } })
    expect(json<TokenAnswer>(answer).token).toMatchObject({ user: { name: 'ada' }, project: { name: 'demo' } })
    expect(json<TokenAnswer>(await ask('GET', token, token, '?nocatalog')).token).not.toHaveProperty('catalog')
    const head = await ask('HEAD', token, token)
    expect(head).toMatchObject({ status: 200, text: '', headers: { 'x-subject-token': token } })
  })

  test('show it to services and admins, and to nobody else', async () => {
    const token = await tokenOf('ada')
    expect((await ask('GET', await tokenOf('nova'), token)).status).toBe(200)
    expect((await ask('GET', await tokenOf('root', { domain: { id: 'default' } }), token)).status).toBe(200)
    const other = await ask('GET', await tokenOf('bob'), token)
    expect(other.status).toBe(403)
    expect(json(other)).toMatchObject({ error: { code: 403, title: 'Forbidden' } })
    expect((await ask('DELETE', await tokenOf('nova'), token)).status).toBe(403)
    expect((await ask('GET', token, token)).status).toBe(200)
  })

  test('answer 401 without a token of the own, and 404 for one that nobody knows', async () => {
    const token = await tokenOf('ada')
    expect((await ask('GET', '', token)).status).toBe(401)
    expect((await ask('GET', 'nonsense', token)).status).toBe(401)
    expect((await ask('GET', token, '')).status).toBe(403)
    expect((await ask('GET', await tokenOf('nova'), '')).status).toBe(404)
    expect((await ask('GET', token, 'nonsense')).status).toBe(404)
    expect((await ask('DELETE', token, 'nonsense')).status).toBe(404)
  })

  test('revoke a token, which is of no use from then on', async () => {
    const token = await tokenOf('ada')
    const own = await tokenOf('ada')
    expect(await ask('DELETE', own, token)).toMatchObject({ status: 204, text: '' })
    expect((await ask('GET', own, token)).status).toBe(404)
    expect((await ask('GET', own, token, '?allow_expired=1')).status).toBe(404)
    expect((await ask('GET', token, own)).status).toBe(401)
    expect((await log({ identity: { methods: ['token'], token: { id: token } } })).status).toBe(404)
    expect((await ask('GET', own, own)).status).toBe(200)
  })
})

describe('a token that was issued to a certificate', () => {
  test('works only with it', async () => {
    const { ada, clients } = scene
    const token = await tokenOf('ada', inProject, { as: ada })
    const ask = (options: Ask) =>
      gateway.get('/v3/auth/projects', { ...options, headers: { 'x-auth-token': token } }).then(({ status }) => status)
    expect(await ask({ as: ada })).toBe(200)
    expect(await ask({})).toBe(401)
    expect(await ask({ as: clients.client('ada') })).toBe(401)
    const exchange = await log({ identity: { methods: ['token'], token: { id: token } } })
    expect(exchange.status).toBe(404)
  })
})

describe('the other paths', () => {
  test('tell the version, where clients look for it', async () => {
    const root = await gateway.get('/')
    expect(root).toMatchObject({ status: 300, headers: { location: 'https://localhost/v3/' } })
    const version = {
      id: 'v3.14',
      status: 'stable',
      updated: '2020-04-07T00:00:00Z',
      links: [{ rel: 'self', href: 'https://localhost/v3/' }],
      'media-types': [{ base: 'application/json', type: 'application/vnd.openstack.identity-v3+json' }],
    }
    expect(json(root)).toEqual({ versions: { values: [version] } })
    for (const path of ['/v3', '/v3/']) expect(json(await gateway.get(path))).toEqual({ version })
  })

  test('list the projects, domains and catalog of whoever asks', async () => {
    const headers = { 'x-auth-token': await tokenOf('root', { project: { id: 'p-demo' } }) }
    const get = async (path: string) => json(await gateway.get(path, { headers }))
    expect(await get('/v3/auth/projects')).toMatchObject({
      projects: [{ id: 'p-demo', name: 'demo', domain_id: 'default', enabled: true }],
      links: { next: null, self: 'https://localhost/v3/auth/projects', previous: null },
    })
    expect(await get('/v3/auth/domains')).toMatchObject({ domains: [{ id: 'default', name: 'Default' }] })
    expect(await get('/v3/auth/system')).toMatchObject({ system: [{ all: true }] })
    expect(await get('/v3/auth/catalog')).toMatchObject({ catalog: [{ type: 'identity' }, { type: 'compute' }] })
    const unscoped = { 'x-auth-token': await tokenOf('root', 'unscoped') }
    expect((await gateway.get('/v3/auth/catalog', { headers: unscoped })).status).toBe(403)
  })

  test('show users to themselves, and to admins', async () => {
    const user = async (as: string, id: string) => gateway.get(`/v3/users/${id}`, { headers: { 'x-auth-token': as } })
    const ada = await tokenOf('ada')
    expect(json(await user(ada, 'u-ada'))).toMatchObject({ user: { id: 'u-ada', name: 'ada', domain_id: 'default' } })
    expect((await user(ada, 'u-bob')).status).toBe(403)
    const root = await tokenOf('root', { system: { all: true } })
    expect((await user(root, 'u-ada')).status).toBe(200)
    expect((await user(root, 'u-zoe')).status).toBe(404)
  })

  test('show a user whose id is an e-mail address where their own link leads', async () => {
    const own = { 'x-auth-token': await tokenOf('olga', 'unscoped') }
    const { user } = json<{ user: { id: string; links: { self: string } } }>(
      await gateway.get('/v3/users/olga@example.com', { headers: own }),
    )
    expect(user.links.self).toContain('/v3/users/olga%40example.com')
    const again = await gateway.get(new URL(user.links.self).pathname, { headers: own })
    expect(json(again)).toMatchObject({ user: { id: 'olga@example.com' } })
    expect((await gateway.get('/v3/users/olga%FF', { headers: own })).status).toBe(404)
  })

  test('list the projects of a user to that user and to admins', async () => {
    const ask = async (as: string, path: string) => gateway.get(path, { headers: { 'x-auth-token': as } })
    const ada = await tokenOf('ada')
    const mine = json<{ projects: object[]; links: object }>(await ask(ada, '/v3/users/u-ada/projects'))
    expect(mine.projects).toMatchObject([{ id: 'p-demo' }])
    expect(mine.links).toMatchObject({ self: expect.stringMatching(/\/v3\/users\/u-ada\/projects$/) })
    expect((await ask(await tokenOf('root'), '/v3/users/u-ada/projects')).status).toBe(200)
    expect((await ask(ada, '/v3/users/u-bob/projects')).status).toBe(403)
    expect((await ask(ada, '/v3/projects')).status).toBe(403)
    expect((await ask('nonsense', '/v3/projects')).status).toBe(401)
  })

  test('publish the keys that verify tokens, and nothing private', async () => {
    const { keys } = json<{ keys: Record<string, string>[] }>(await gateway.get('/.well-known/jwks.json'))
    expect(keys.length).toBeGreaterThan(1)
    for (const key of keys) expect(Object.keys(key).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'])
  })

  test('are 404 where there is nothing, and 405 for a method that has no meaning', async () => {
    expect((await gateway.get('/v3/nothing')).status).toBe(404)
    const put = await gateway.get('/v3/auth/tokens', { method: 'PUT' })
    expect(put).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD, POST, DELETE' } })
  })
})

describe('a request that cannot be read', () => {
  const post = (body: string | Buffer, type = 'application/json') =>
    gateway.get('/v3/auth/tokens', { method: 'POST', body, headers: type ? { 'content-type': type } : {} })

  test.each([
    ['no JSON', '{'],
    ['no object', '[]'],
    ['no body', ''],
    ['null for auth', '{"auth":null}'],
    ['no identity', '{"auth":{}}'],
    ['no methods', '{"auth":{"identity":{}}}'],
    ['methods that are no list', '{"auth":{"identity":{"methods":"password"}}}'],
    ['a method that is no text', '{"auth":{"identity":{"methods":[{}]}}}'],
    ['a method without payload', '{"auth":{"identity":{"methods":["password"]}}}'],
    ['a system scope that is no boolean', '{"auth":{"identity":{"methods":[]},"scope":{"system":{"all":1}}}}'],
    ['a method of __proto__', '{"auth":{"identity":{"methods":["__proto__"]}}}'],
    [
      'a password that is no text',
      '{"auth":{"identity":{"methods":["password"],"password":{"user":{"id":"a","password":1}}}}}',
    ],
  ])('%s: 400', async (_name, body) => {
    const answer = await post(body)
    expect(answer.status).toBe(400)
    expect(json(answer)).toMatchObject({ error: { code: 400, title: 'Bad Request' } })
  })

  test('is 400 where it nests deeper than a plugin could be told, not 500', async () => {
    const password = (user: string) => `{"auth":{"identity":{"methods":["password"],"password":{"user":${user}}}}}`
    const answer = await post(password(`${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`))
    expect(json<{ error: { message: string } }>(answer).error.message).toContain('valid JSON')
    expect((await post(password(`{"id":"${'['.repeat(300)}\\"[","password":"x"}`))).status).toBe(401)
  })

  test('is 400 where what nests hides behind a text of brackets that close', async () => {
    const deep = `${'['.repeat(5000)}${']'.repeat(5000)}`
    for (const text of [']'.repeat(6000), `\\"${']'.repeat(6000)}`, `${']'.repeat(6000)}\\\\`]) {
      const password = `{"user":{"id":"x","password":"x"},"text":"${text}","deep":${deep}}`
      const answer = await post(`{"auth":{"identity":{"methods":["password"],"password":${password}}}}`)
      expect(json<{ error: { message: string } }>(answer).error.message).toContain('valid JSON')
    }
  })

  test('is 400 for another content type, and takes none for JSON', async () => {
    const body = JSON.stringify({ auth: { identity: withPassword('ada') } })
    expect((await post(body, 'text/plain')).status).toBe(400)
    expect((await post(body, '')).status).toBe(201)
  })

  test('may begin with a byte order mark, and is 400 where it is no UTF-8', async () => {
    const body = JSON.stringify({ auth: { identity: withPassword('ada') } })
    expect((await post(`\ufeff${body}`)).status).toBe(201)
    expect((await post(Buffer.from(body.replace('password of ada', 'pässword'), 'latin1'))).status).toBe(400)
  })

  test('has a refusal of another part of the gateway in the words that clients of Keystone show', async () => {
    const answer = await post('x'.repeat(70_000))
    expect(json(answer)).toEqual({
      error: {
        ...{ code: 413, title: 'Request Entity Too Large' },
        message: 'Send a smaller body, or ask the operator to raise client_max_body_size. (GW_BODY_TOO_LARGE)',
      },
    })
    expect(answer.headers['x-openstack-request-id']).toBe(`req-${answer.headers['x-request-id']}`)
  })

  test('is 413 where it is too large, with a length and without', async () => {
    const large = 'x'.repeat(70_000)
    expect((await post(large)).status).toBe(413)
    const headers = { 'transfer-encoding': 'chunked' }
    expect((await gateway.get('/v3/auth/tokens', { method: 'POST', body: large, headers })).status).toBe(413)
  })

  test('is 400 for more methods than anybody has', async () => {
    const methods = Array.from({ length: 17 }, (_, i) => `m${i}`)
    const answer = await log({ identity: { methods, ...Object.fromEntries(methods.map((name) => [name, {}])) } })
    expect([answer.status, answer.text]).toEqual([400, expect.stringContaining('identity/methods')])
  })

  test('asks for a payload before it says that a method is not supported', async () => {
    expect((await log({ identity: { methods: ['nonsense'] } })).status).toBe(400)
    const answer = await log({ identity: { methods: ['nonsense'], nonsense: {} } })
    expect(answer.status).toBe(401)
    expect(json(answer)).toEqual({
      error: {
        ...{ code: 401, title: 'Unauthorized', message: 'Attempted to authenticate with an unsupported method.' },
        identity: { methods: expect.arrayContaining(['password', 'token', 'totp']) },
      },
    })
  })
})
