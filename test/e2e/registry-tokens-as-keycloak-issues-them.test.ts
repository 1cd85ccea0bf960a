import { execFileSync } from 'node:child_process'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { type Answer, json } from '../support/client.ts'
import type { Gateway } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'

const AUTH = '/auth/realms/acme/protocol/docker-v2/auth'
const SCOPE = 'repository:team/app:pull,push'
const basic = (credentials: string) => ({ authorization: `Basic ${Buffer.from(credentials).toString('base64')}` })
const robot = basic('robot$ci:made at random')

let scene: Scene
let gateway: Gateway

function realms(signer: { chain: string; key: string }) {
  return {
    certificates: [{ name: 'tokens', cert: signer.chain, key: signer.key }],
    registry_realms: [
      {
        name: 'acme',
        services: ['registry.test'],
        certificate: 'tokens',
        rules: [
          { users: ['robot$ci'], repositories: ['team/**'], actions: ['push'] },
          { anonymous: true, repositories: ['public/**'] },
        ],
        robots: [
          { name: 'robot$ci', secret: 'made at random' },
          { name: 'robot$old', secret: 'made at random', expires: '2020-01-01' },
        ],
      },
      { name: 'other', services: ['other.test'], certificate: 'tokens' },
    ],
    services: [{ name: 'tokens', builtin: 'registry-tokens', routes: [{ name: 'tokens', paths: ['/'] }] }],
  }
}

beforeAll(async () => {
  scene = await makeScene()
  gateway = await scene.start(realms(scene.inside.client('signer')))
})

const get = (query: string, headers: Record<string, string> = {}, path = AUTH) =>
  gateway.get(query === '' ? path : `${path}?${query}`, { headers })
const post = (form: Record<string, string>, headers: Record<string, string> = {}, path = AUTH) =>
  gateway.get(path, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8', ...headers },
    body: new URLSearchParams(form).toString(),
  })

interface TokenAnswer {
  readonly token: string
  readonly access_token: string
  readonly expires_in: number
  readonly issued_at: string
  readonly refresh_token?: string
  readonly scope?: string
}

function tokenOf(answer: Answer): TokenAnswer {
  expect([answer.status, answer.text]).toEqual([200, expect.any(String)])
  return json<TokenAnswer>(answer)
}

describe('a token by GET', () => {
  test.each([AUTH, AUTH.replace('/auth', ''), '/auth/token', '/token'])('at %s', async (path) => {
    const answer = await get(`service=registry.test&scope=${SCOPE}&account=ada&client_id=docker`, robot, path)
    const { token, access_token, expires_in, issued_at, refresh_token } = tokenOf(answer)
    expect(access_token).toBe(token)
    expect(expires_in).toBe(300)
    expect(issued_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    expect(Math.abs(Date.parse(issued_at) - Date.now())).toBeLessThan(60_000)
    expect(refresh_token).toBeUndefined()
    expect(decodeJwt(token)).toMatchObject({
      iss: 'acme',
      sub: 'robot$ci',
      aud: 'registry.test',
      access: [{ type: 'repository', name: 'team/app', actions: ['pull', 'push'] }],
    })
    expect(decodeProtectedHeader(token).x5c).toHaveLength(1)
    expect(answer.headers['docker-distribution-api-version']).toBe('registry/2.0')
    expect(answer.headers['cache-control']).toBe('no-store')
  })

  test('repeated and spaced scopes come together; what is not granted is left out, and that is no error', async () => {
    const query =
      'service=registry.test&scope=repository:team/a:pull+repository:secret/b:pull&scope=repository(plugin):team/a:push,delete'
    const { token } = tokenOf(await get(query, robot))
    expect(decodeJwt(token).access).toEqual([{ type: 'repository', name: 'team/a', actions: ['pull', 'push'] }])
  })

  test('a log-in asks for no scope and gets a token without rights', async () => {
    const { token, refresh_token } = tokenOf(await get('service=registry.test&offline_token=true', robot))
    expect(decodeJwt(token).access).toEqual([])
    expect(refresh_token).toMatch(/^[\w-]{43}$/)
  })

  test('nobody gets what is for everybody, also as "Basic Og=="', async () => {
    for (const headers of [{}, { authorization: 'Basic Og==' }]) {
      const query = 'service=registry.test&scope=repository:public/a:pull,push'
      const claims = decodeJwt(tokenOf(await get(query, headers)).token)
      expect(claims).toMatchObject({ sub: '', access: [{ type: 'repository', name: 'public/a', actions: ['pull'] }] })
    }
  })
})

describe('what is refused', () => {
  test("without service, with Keycloak's words", async () => {
    const answer = await get('', robot)
    expect([answer.status, json(answer)]).toEqual([
      400,
      { error: 'invalid_request', error_description: 'service parameter must be provided' },
    ])
  })

  test("a service that is unknown, or another realm's, with Keycloak's words", async () => {
    for (const service of ['nothing', 'other.test']) {
      const answer = await get(`service=${service}`, robot)
      expect([answer.status, json(answer)]).toEqual([
        400,
        { error: 'invalid_client', error_description: "Client specified by 'service' parameter does not exist" },
      ])
    }
  })

  test("bad credentials, with Keycloak's words", async () => {
    const wrong = ['robot$ci:wrong', 'nobody:x', 'robot$old:made at random', 'robot$ci:', ':x']
    for (const headers of [...wrong.map(basic), { authorization: 'Bearer x' }, { authorization: 'Basic %' }]) {
      const answer = await get(`service=registry.test&scope=${SCOPE}`, headers)
      expect([headers, answer.status, json(answer)]).toEqual([
        headers,
        401,
        {
          errors: [
            {
              code: 'UNAUTHORIZED',
              message: 'Invalid username or password.',
              detail: [{ type: 'repository', name: 'team/app', actions: ['pull', 'push'] }],
            },
          ],
        },
      ])
      expect(answer.headers['www-authenticate']).toBeUndefined()
    }
  })

  test('nobody where nothing is for nobody, or where it is a log-in, is asked for a password', async () => {
    for (const scope of [`&scope=${SCOPE}`, '']) {
      const answer = await get(`service=registry.test${scope}`)
      expect(answer.status).toBe(401)
      expect(answer.headers['www-authenticate']).toBe('Basic realm="acme"')
    }
  })

  test('an unknown realm, address and method', async () => {
    expect((await get('service=x', {}, AUTH.replace('acme', 'nobody'))).status).toBe(404)
    expect((await get('', {}, '/auth/realms/acme/protocol/docker-v2/other')).status).toBe(404)
    expect((await gateway.get(AUTH, { method: 'PUT' })).status).toBe(405)
  })

  test('more scopes than a token may hold', async () => {
    const scopes = Array.from({ length: 51 }, (_, i) => `&scope=repository:team/a${i}:pull`).join('')
    expect((await get(`service=registry.test${scopes}`, robot)).status).toBe(400)
  })
})

describe('OAuth 2', () => {
  const password = {
    grant_type: 'password',
    service: 'registry.test',
    username: 'robot$ci',
    password: 'made at random',
  }

  test('a password gives a token, and a refresh token where it is asked for', async () => {
    const answer = tokenOf(await post({ ...password, scope: SCOPE, access_type: 'offline', client_id: 'docker' }))
    expect(answer.scope).toBe('repository:team/app:pull,push')
    expect(decodeJwt(answer.access_token)).toMatchObject({ sub: 'robot$ci' })
    const again = { grant_type: 'refresh_token', service: 'registry.test', refresh_token: answer.refresh_token ?? '' }
    expect(decodeJwt(tokenOf(await post({ ...again, scope: SCOPE })).token)).toMatchObject({
      sub: 'robot$ci',
      access: [{ name: 'team/app' }],
    })
    expect(tokenOf(await post(password)).refresh_token).toBeUndefined()
  })

  test('a refresh token works until it is revoked, and for its service only', async () => {
    const { refresh_token = '' } = tokenOf(await get('service=registry.test&offline_token=true', robot))
    const use = (service = 'registry.test') =>
      post({ grant_type: 'refresh_token', service, refresh_token }, {}, '/token')
    expect((await use()).status).toBe(200)
    expect((await use('other.test')).status).toBe(401)
    const revoked = await post({ token: refresh_token }, {}, AUTH.replace(/auth$/, 'revoke'))
    expect(revoked.status).toBe(200)
    expect(await use()).toMatchObject({ status: 401, text: expect.stringContaining('invalid_grant') })
  })

  test('a refresh token is exchanged for no other, which would outlive its end and its revocation', async () => {
    const { refresh_token = '' } = tokenOf(await get('service=registry.test&offline_token=true', robot))
    const exchange = { grant_type: 'refresh_token', service: 'registry.test', refresh_token, access_type: 'offline' }
    const answer = tokenOf(await post(exchange, {}, '/token'))
    expect([typeof answer.access_token, answer.refresh_token]).toEqual(['string', undefined])
  })

  test('a wrong password, an unknown refresh token and another grant are refused, each in its words', async () => {
    const refused = (message: string) => ({
      status: 401,
      text: expect.stringMatching(
        new RegExp(`"invalid_grant","error_description":"${message}".*"message":"${message}"`),
      ),
    })
    expect(await post({ ...password, password: 'wrong' })).toMatchObject(refused('Invalid username or password.'))
    const unknown = { grant_type: 'refresh_token', service: 'registry.test', refresh_token: 'x' }
    expect(await post(unknown)).toMatchObject(refused('Invalid refresh token; log in again.'))
    expect(await post({ ...password, grant_type: 'client_credentials' })).toMatchObject({
      status: 400,
      text: expect.stringContaining('unsupported_grant_type'),
    })
  })

  test('a form that is too large is refused', async () => {
    expect((await post({ ...password, scope: 'x'.repeat(70_000) })).status).toBe(413)
  })
})

test('the keys are published', async () => {
  const { token } = tokenOf(await get('service=registry.test', robot))
  for (const path of ['/auth/jwks.json', AUTH.replace(/auth$/, 'certs')]) {
    const { keys } = json<{ keys: { kid: string }[] }>(await gateway.get(path))
    expect(keys.map(({ kid }) => kid)).toContain(decodeProtectedHeader(token).kid)
    expect(JSON.stringify(keys)).not.toContain('"d"')
  }
})

test('a log line says who got what, and why somebody did not', async () => {
  await get('service=registry.test&scope=repository:team/logged:pull,delete&client_id=logger', robot)
  await get('service=registry.test', basic('robot$old:made at random'))
  expect(await gateway.logged({ msg: 'registry token issued', client_id: 'logger' })).toMatchObject({
    realm: 'acme',
    service: 'registry.test',
    user: 'robot$ci',
    methods: ['robot'],
    asked: ['repository:team/logged:pull,delete'],
    granted: ['repository:team/logged:pull'],
  })
  expect(await gateway.logged({ msg: 'registry token refused', claimed: 'robot$old' })).toMatchObject({
    reason: 'the robot robot$old has expired',
  })
  expect(gateway.child.stdout).not.toContain('made at random')
})

test('a refresh token ends with the password or the secret that it was got with', async () => {
  const hashOf = (text: string) => execFileSync('openssl', ['passwd', '-6', text], { encoding: 'utf8' }).trim()
  const parts = realms(scene.inside.client('signer'))
  const configWith = (password: string, secret: string) => ({
    ...parts,
    reload: { watch: 'off' },
    consumers: [{ username: 'ada', basicauth_credentials: [{ username: 'ada', password }] }],
    registry_realms: [{ ...parts.registry_realms[0], robots: [{ name: 'robot$ci', secret }] }],
  })
  const password = hashOf('password of ada')
  const own = await scene.start(configWith(password, 'made at random'))
  const tokens: string[] = []
  for (const who of ['ada:password of ada', 'robot$ci:made at random']) {
    const answer = await own.get('/auth/token?service=registry.test&offline_token=true', { headers: basic(who) })
    tokens.push(tokenOf(answer).refresh_token ?? '')
  }
  const statuses = async () => {
    const form = (refresh_token: string) => ({ grant_type: 'refresh_token', service: 'registry.test', refresh_token })
    const ask = (token: string) =>
      own.get('/auth/token', { method: 'POST', body: new URLSearchParams(form(token)).toString() })
    return (await Promise.all(tokens.map(ask))).map(({ status }) => status)
  }
  await own.reload(scene.config(configWith(password, 'made at random')))
  expect(await statuses()).toEqual([200, 200])
  await own.reload(scene.config(configWith(hashOf('password of ada'), 'made at random')))
  expect(await statuses()).toEqual([401, 200])
  await own.reload(scene.config(configWith(password, 'made anew')))
  expect(await statuses()).toEqual([200, 401])
})
