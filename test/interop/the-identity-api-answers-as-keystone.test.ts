import { beforeAll, expect, jest, test } from '@jest/globals'
import type { Answer } from '../support/client.ts'
import { identityService } from '../support/identity.ts'
import { KEYSTONE_PEERS, startKeystone } from '../support/keystone.ts'
import { describeWith } from '../support/peers.ts'
import { makeScene } from '../support/scene.ts'
import {
  APPLICATION_SECRET,
  type Cloud,
  code,
  METHODS,
  ourCloud,
  ours,
  passwordFor,
  shapeOf,
  theirs,
} from '../support/two-clouds.ts'

/** Loading Keystone takes long, and much longer on a busy machine. */
jest.setTimeout(300_000)

type Headers = Readonly<Record<string, string>>

/** One request, or a few that lead to it, told in terms that mean the same to both clouds. */
class Client {
  readonly cloud: Cloud

  constructor(cloud: Cloud) {
    this.cloud = cloud
  }

  send(method: string, path: string, headers: Headers, body?: string): Promise<Answer> {
    return this.cloud.ask(path, { method, headers, ...(body !== undefined && { body }) })
  }

  raw(body: string, headers: Headers = JSON_TYPE): Promise<Answer> {
    return this.send('POST', '/v3/auth/tokens', headers, body)
  }

  log(identity: unknown, scope?: unknown, headers: Headers = {}): Promise<Answer> {
    return this.raw(JSON.stringify({ auth: { identity, scope } }), { ...JSON_TYPE, ...headers })
  }

  async token(name: string, scope: unknown = this.demo): Promise<string> {
    const answer = await this.log(withPassword(name), scope)
    return (answer.headers['x-subject-token'] as string | undefined) ?? `none: ${answer.text}`
  }

  tokens(method: string, own: string, subject: string): Promise<Answer> {
    return this.send(method, '/v3/auth/tokens', {
      ...(own && { 'x-auth-token': own }),
      ...(subject && { 'x-subject-token': subject }),
    })
  }

  user(name: string): string {
    return this.cloud.users.get(name) ?? ''
  }

  get demo(): object {
    return { project: { id: this.cloud.projects.get('demo') } }
  }

  /** The same credential, by its name. */
  named(user: object | undefined): object {
    const application_credential = { name: 'robot', secret: APPLICATION_SECRET, user }
    return { methods: ['application_credential'], application_credential }
  }

  get robot(): object {
    const application_credential = { id: this.cloud.applicationCredential, secret: APPLICATION_SECRET }
    return { methods: ['application_credential'], application_credential }
  }
}

const JSON_TYPE = { 'content-type': 'application/json' }
const DEFAULT = { id: 'default' }
const named = (name: string, password = passwordFor(name)) => ({ user: { name, domain: DEFAULT, password } })
const withPassword = (name: string, password?: string) => ({ methods: ['password'], password: named(name, password) })
const passcode = (name: string, value = code()) => ({ user: { name, domain: DEFAULT, passcode: value } })
const withToken = (id: string) => ({ methods: ['token'], token: { id } })

const CASES: Readonly<Record<string, (client: Client) => Promise<Answer>>> = {
  'password, project by id': (c) => c.log(withPassword('ada'), c.demo),
  'password, project by name': (c) => c.log(withPassword('ada'), { project: { name: 'demo', domain: DEFAULT } }),
  'password, user by id': (c) =>
    c.log({ methods: ['password'], password: { user: { id: c.user('ada'), password: passwordFor('ada') } } }),
  'password, domain by name': (c) =>
    c.log({
      methods: ['password'],
      password: { user: { name: 'ada', domain: { name: 'Default' }, password: passwordFor('ada') } },
    }),
  'password, no scope, no default project': (c) => c.log(withPassword('ada')),
  'password, no scope, default project': (c) => c.log(withPassword('bob')),
  'password, no scope, disabled default project': (c) => c.log(withPassword('dora')),
  'password, "unscoped"': (c) => c.log(withPassword('bob'), 'unscoped'),
  'password, {unscoped: {}}': (c) => c.log(withPassword('bob'), { unscoped: {} }),
  'wrong password': (c) => c.log(withPassword('ada', 'wrong')),
  'unknown user by name': (c) => c.log(withPassword('zoe')),
  'unknown user by id': (c) => c.log({ methods: ['password'], password: { user: { id: 'zoe', password: 'x' } } }),
  'unknown domain of the user': (c) =>
    c.log({ methods: ['password'], password: { user: { name: 'ada', domain: { id: 'zoe' }, password: 'x' } } }),
  'user by name without domain': (c) =>
    c.log({ methods: ['password'], password: { user: { name: 'ada', password: 'x' } } }),
  'user without id and name': (c) => c.log({ methods: ['password'], password: { user: { password: 'x' } } }),
  'no user': (c) => c.log({ methods: ['password'], password: {} }),
  'no payload': (c) => c.log({ methods: ['password'] }),
  'no payload for an unsupported method': (c) => c.log({ methods: ['abc'] }),
  'unsupported method': (c) => c.log({ methods: ['abc'], abc: {} }),
  'no method': (c) => c.log({ methods: [] }),
  'the same method twice': (c) => c.log({ ...withPassword('ada'), methods: ['password', 'password'] }),
  'methods that are no list': (c) => c.log({ methods: 'password', password: named('ada') }),
  'no methods': (c) => c.log({ password: named('ada') }),
  'no identity': (c) => c.raw('{"auth":{}}'),
  'no auth': (c) => c.raw('{}'),
  'auth that is no object': (c) => c.raw('{"auth":"x"}'),
  'no JSON': (c) => c.raw('{'),
  'a list': (c) => c.raw('[]'),
  'a byte order mark': (c) => c.raw(`\ufeff${JSON.stringify({ auth: { identity: withPassword('ada') } })}`),
  'another content type': (c) => c.raw('{"auth":{}}', { 'content-type': 'text/plain' }),
  'a password that is a number': (c) =>
    c.log({ methods: ['password'], password: { user: { name: 'ada', domain: DEFAULT, password: 1 } } }),
  'unknown project': (c) => c.log(withPassword('ada'), { project: { id: 'zoe' } }),
  'project without a role': (c) => c.log(withPassword('nina'), c.demo),
  'disabled project': (c) => c.log(withPassword('ada'), { project: { name: 'closed', domain: DEFAULT } }),
  'project by name without domain': (c) => c.log(withPassword('ada'), { project: { name: 'demo' } }),
  'project without id and name': (c) => c.log(withPassword('ada'), { project: {} }),
  'project and domain': (c) => c.log(withPassword('ada'), { ...c.demo, domain: DEFAULT }),
  'no kind of scope': (c) => c.log(withPassword('ada'), {}),
  'a scope that is a number': (c) => c.log(withPassword('ada'), 3),
  'scope before password: unknown project, wrong password': (c) =>
    c.log(withPassword('ada', 'wrong'), { project: { name: 'demo' } }),
  domain: (c) => c.log(withPassword('root'), { domain: DEFAULT }),
  'domain without a role': (c) => c.log(withPassword('ada'), { domain: DEFAULT }),
  'unknown domain': (c) => c.log(withPassword('ada'), { domain: { id: 'zoe' } }),
  system: (c) => c.log(withPassword('root'), { system: { all: true } }),
  'system without a role': (c) => c.log(withPassword('ada'), { system: { all: true } }),
  'a system that is text': (c) => c.log(withPassword('root'), { system: { all: 'x' } }),
  'a trust that nobody knows': (c) => c.log(withPassword('ada'), { 'OS-TRUST:trust': { id: 'zoe' } }),
  nocatalog: (c) =>
    c.send(
      'POST',
      '/v3/auth/tokens?nocatalog',
      JSON_TYPE,
      JSON.stringify({ auth: { identity: withPassword('ada'), scope: c.demo } }),
    ),
  'token for another scope': async (c) => c.log(withToken(await c.token('ada', 'unscoped')), c.demo),
  'token that nobody knows': (c) => c.log(withToken('gAAAAABnX')),
  'token without id': (c) => c.log({ methods: ['token'], token: {} }),
  'token and password of the same user': async (c) => {
    const token = { id: await c.token('ada') }
    return c.log({ methods: ['token', 'password'], token, password: named('ada') })
  },
  'token and password of two users': async (c) => {
    const token = { id: await c.token('ada') }
    return c.log({ methods: ['token', 'password'], token, password: named('bob') })
  },
  'token for the system, exchanged for a project': async (c) =>
    c.log(withToken(await c.token('root', { system: { all: true } })), c.demo),
  'token for the system, exchanged for none': async (c) =>
    c.log(withToken(await c.token('root', { system: { all: true } })), 'unscoped'),
  'code of an authenticator app': (c) => c.log({ methods: ['totp'], totp: passcode('totp1') }, c.demo),
  'wrong code': (c) => c.log({ methods: ['totp'], totp: passcode('totp2', '000000') }, c.demo),
  'one of two factors': (c) => c.log(withPassword('multi1'), c.demo),
  'both factors': (c) =>
    c.log({ methods: ['password', 'totp'], password: named('multi2'), totp: passcode('multi2') }, c.demo),
  'the second factor, with the receipt of the first': async (c) => {
    const first = await c.log(withPassword('multi3'), c.demo)
    const receipt = first.headers['openstack-auth-receipt'] as string
    return c.log({ methods: ['totp'], totp: passcode('multi3') }, c.demo, { 'openstack-auth-receipt': receipt })
  },
  'a receipt that nobody knows': (c) => c.log(withPassword('multi1'), c.demo, { 'openstack-auth-receipt': 'nonsense' }),
  'a receipt of somebody else': async (c) => {
    const first = await c.log(withPassword('multi1'), c.demo)
    const receipt = first.headers['openstack-auth-receipt'] as string
    return c.log(withPassword('ada'), c.demo, { 'openstack-auth-receipt': receipt })
  },
  'application credential': (c) => c.log(c.robot),
  'application credential with a scope': (c) => c.log(c.robot, c.demo),
  'application credential, wrong secret': (c) =>
    c.log({
      methods: ['application_credential'],
      application_credential: { id: c.cloud.applicationCredential, secret: 'wrong' },
    }),
  'application credential that nobody knows': (c) =>
    c.log({ methods: ['application_credential'], application_credential: { id: 'zoe', secret: 'x' } }),
  'token of an application credential, exchanged': async (c) => {
    const first = await c.log(c.robot)
    return c.log(withToken(first.headers['x-subject-token'] as string), 'unscoped')
  },
  'application credential by its name': (c) => c.log(c.named({ id: c.user('ada') })),
  'application credential by its name, user by name': (c) => c.log(c.named({ name: 'ada', domain: DEFAULT })),
  'application credential by its name, of somebody else': (c) => c.log(c.named({ id: c.user('nina') })),
  'application credential by its name, without a user': (c) => c.log(c.named(undefined)),
  'application credential by its name, user without domain': (c) => c.log(c.named({ name: 'ada' })),
  'GET of the own token': async (c) => {
    const token = await c.token('ada')
    return c.tokens('GET', token, token)
  },
  'HEAD of the own token': async (c) => {
    const token = await c.token('ada')
    return c.tokens('HEAD', token, token)
  },
  'GET without X-Auth-Token': async (c) => c.tokens('GET', '', await c.token('ada')),
  'GET with an X-Auth-Token that nobody knows': async (c) => c.tokens('GET', 'nonsense', await c.token('ada')),
  'GET without X-Subject-Token': async (c) => c.tokens('GET', await c.token('ada'), ''),
  'GET of a token that nobody knows': async (c) => c.tokens('GET', await c.token('ada'), 'nonsense'),
  'GET of the token of somebody else': async (c) => c.tokens('GET', await c.token('ada'), await c.token('bob')),
  'GET of the token of somebody else, as admin': async (c) =>
    c.tokens('GET', await c.token('root'), await c.token('bob')),
  'DELETE of the own token': async (c) => {
    const token = await c.token('bob')
    return c.tokens('DELETE', token, token)
  },
  'DELETE of the token of somebody else': async (c) => c.tokens('DELETE', await c.token('ada'), await c.token('bob')),
  'DELETE of a token that nobody knows': async (c) => c.tokens('DELETE', await c.token('ada'), 'nonsense'),
  'GET of a revoked token': async (c) => {
    const token = await c.token('bob', 'unscoped')
    await c.tokens('DELETE', token, token)
    return c.tokens('GET', await c.token('root'), token)
  },
  'a revoked token as X-Auth-Token': async (c) => {
    const token = await c.token('bob', 'unscoped')
    await c.tokens('DELETE', token, token)
    return c.tokens('GET', token, await c.token('bob'))
  },
  'a revoked token, exchanged': async (c) => {
    const token = await c.token('bob', 'unscoped')
    await c.tokens('DELETE', token, token)
    return c.log(withToken(token))
  },
  'projects of the user': async (c) => c.send('GET', '/v3/auth/projects', { 'x-auth-token': await c.token('ada') }),
  'projects of the user, by id': async (c) =>
    c.send('GET', `/v3/users/${c.user('ada')}/projects`, { 'x-auth-token': await c.token('ada') }),
  'projects of another user': async (c) =>
    c.send('GET', `/v3/users/${c.user('bob')}/projects`, { 'x-auth-token': await c.token('ada') }),
  'all projects': async (c) => c.send('GET', '/v3/projects', { 'x-auth-token': await c.token('ada') }),
  'domains of the user': async (c) => c.send('GET', '/v3/auth/domains', { 'x-auth-token': await c.token('root') }),
  'system of the user': async (c) => c.send('GET', '/v3/auth/system', { 'x-auth-token': await c.token('root') }),
  'catalog of the project': async (c) => c.send('GET', '/v3/auth/catalog', { 'x-auth-token': await c.token('ada') }),
  'catalog without a project': async (c) =>
    c.send('GET', '/v3/auth/catalog', { 'x-auth-token': await c.token('ada', 'unscoped') }),
  'the user himself': async (c) =>
    c.send('GET', `/v3/users/${c.user('ada')}`, { 'x-auth-token': await c.token('ada') }),
  'another user': async (c) => c.send('GET', `/v3/users/${c.user('bob')}`, { 'x-auth-token': await c.token('ada') }),
  'versions, at the root': (c) => c.send('GET', '/', {}),
  version: (c) => c.send('GET', '/v3', {}),
}

/** Where we differ on purpose; docs/identity-api.md says why. */
const DIFFERENT: ReadonlySet<string> = new Set(['application credential that nobody knows'])

describeWith(KEYSTONE_PEERS, "Debian's Keystone and ours", () => {
  let theirClient: Client
  let ourClient: Client
  beforeAll(async () => {
    const scene = await makeScene()
    const gateway = await scene.start({ ...ourCloud(), services: [identityService(['/'])] })
    ourClient = new Client(ours((path, options) => gateway.get(path, options)))
    theirClient = new Client(await theirs(await startKeystone(METHODS)))
  })

  test.each(Object.keys(CASES).filter((name) => !DIFFERENT.has(name)))('%s', async (name) => {
    const run = CASES[name] as (client: Client) => Promise<Answer>
    const [expected, found] = [summary(await run(theirClient)), summary(await run(ourClient))]
    expect(found).toEqual(expected)
  })

  test('a credential that nobody knows is 404 for Keystone, and for us as 401 as a wrong secret', async () => {
    const run = CASES['application credential that nobody knows'] as (client: Client) => Promise<Answer>
    expect((await run(theirClient)).status).toBe(404)
    expect((await run(ourClient)).status).toBe(401)
  })
})

/** What must be the same: status, class of the error, methods, the headers that clients read, and the shape of the body. */
function summary({ status, headers, text }: Answer) {
  const body: unknown = text === '' ? undefined : JSON.parse(text)
  const { token, receipt, error } = (body ?? {}) as Record<
    string,
    { methods?: string[]; title?: string; identity?: unknown }
  >
  return {
    ...{ status, title: error?.title, identity: error?.identity },
    methods: [...(token?.methods ?? receipt?.methods ?? [])].sort(),
    challenge: headers['www-authenticate']?.split(' ')[0],
    present: ['x-subject-token', 'openstack-auth-receipt', 'location'].filter((name) => headers[name] !== undefined),
    vary: headers.vary,
    shape: shapeOf(body),
  }
}
