import { beforeAll, describe, expect, test } from '@jest/globals'
import { decodeJwt } from 'jose'
import { type Answer, json } from '../support/client.ts'
import type { Gateway, LogLine } from '../support/gateway.ts'
import type { Issued } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

const basic = (credentials: string) => ({ authorization: `Basic ${Buffer.from(credentials).toString('base64')}` })
const SCOPE = 'repository:team/app:pull,push'

let scene: Scene
let strict: Gateway
let lenient: Gateway
let stranger: Issued

function config(replaces: boolean) {
  const signer = scene.inside.client('signer')
  const authorization = { users: [{ user: 'ada', certificate: ['cn:ada'], groups: ['dev'] }] }
  return {
    ...listenerOf(scene.server({ verify_and_map: true, authorization })),
    consumers: ['ada', 'bob'].map((name) => {
      return { username: name, basicauth_credentials: [{ username: name, password: `${name}'s password` }] }
    }),
    certificates: [{ name: 'tokens', cert: signer.chain, key: signer.key }],
    registry_realms: [
      {
        name: 'acme',
        services: ['registry.test'],
        certificate: 'tokens',
        certificate_replaces_password: replaces,
        rules: [
          { groups: ['dev'], repositories: ['team/**'], actions: ['push'] },
          { users: ['bob'], repositories: ['team/**'] },
        ],
      },
    ],
    services: [
      {
        ...{ name: 'tokens', builtin: 'registry-tokens', rules: [['certificate']], anonymous: true },
        routes: [{ name: 'tokens', paths: ['/auth'] }],
      },
      {
        ...{ name: 'registry', url: scene.backend.url, registry: { realm: 'acme', service: 'registry.test' } },
        ...{ rules: [['certificate']], anonymous: true },
        routes: [{ name: 'registry', paths: ['/v2'], strip_path: false }],
      },
    ],
  }
}

beforeAll(async () => {
  scene = await makeScene()
  stranger = scene.clients.client('stranger')
  strict = await scene.start(config(false))
  lenient = await scene.start(config(true))
})

const login = (gateway: Gateway, as: Issued | undefined, headers = {}, more = '') =>
  gateway.get(`/auth/token?service=registry.test&scope=${SCOPE}${more}`, { headers, ...(as && { as }) })
const claims = (answer: Answer) => {
  expect([answer.status, answer.text]).toEqual([200, expect.any(String)])
  return decodeJwt(json<{ token: string }>(answer).token)
}

describe('a token', () => {
  test('for the user of the certificate, with the rights of its groups', async () => {
    expect(claims(await login(strict, scene.ada))).toMatchObject({
      sub: 'ada',
      access: [{ actions: ['pull', 'push'] }],
    })
    expect(await strict.logged({ msg: 'registry token issued', user: 'ada' })).toMatchObject({
      methods: ['certificate'],
    })
  })

  test('for the user of a password', async () => {
    expect(claims(await login(strict, undefined, basic("bob:bob's password")))).toMatchObject({
      sub: 'bob',
      access: [{ actions: ['pull'] }],
    })
  })

  test('for both together, if they are of one user', async () => {
    expect(claims(await login(strict, scene.ada, basic("ada:ada's password")))).toMatchObject({ sub: 'ada' })
    const both = ({ msg, methods }: LogLine) =>
      msg === 'registry token issued' && String(methods) === 'certificate,password'
    await waitFor('its line', () => strict.log.some(both))
  })

  test('for nobody where they are of two, although both are right', async () => {
    const answer = await login(strict, scene.ada, basic("bob:bob's password"))
    expect([answer.status, answer.text]).toEqual([401, expect.stringContaining('Invalid username or password.')])
    expect(await strict.logged({ msg: 'registry token refused', claimed: 'bob' })).toMatchObject({
      reason: 'certificate found ada, but password bob',
    })
  })

  test('not for a wrong password, unless the certificate replaces it', async () => {
    expect((await login(strict, scene.ada, basic('ada:anything'))).status).toBe(401)
    expect(claims(await login(lenient, scene.ada, basic('ada:anything')))).toMatchObject({ sub: 'ada' })
  })

  test('a certificate replaces the password of its own user, and of nobody else', async () => {
    expect((await login(lenient, scene.ada, basic('bob:anything'))).status).toBe(401)
    expect((await login(lenient, undefined, basic('ada:anything'))).status).toBe(401)
    expect((await login(lenient, stranger, basic('ada:anything'))).status).toBe(401)
  })
})

describe('a refresh token that a certificate gave', () => {
  test('works only beside a certificate of the same user', async () => {
    const { refresh_token } = json<{ refresh_token: string }>(await login(strict, scene.ada, {}, '&offline_token=true'))
    const form = { grant_type: 'refresh_token', service: 'registry.test', scope: SCOPE, refresh_token }
    const use = (as?: Issued) =>
      strict.get('/auth/token', {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams(form).toString(),
        ...(as && { as }),
      })
    expect(claims(await use(scene.ada))).toMatchObject({ sub: 'ada' })
    expect((await use(scene.clients.client('ada'))).status).toBe(200)
    expect((await use()).status).toBe(401)
    expect((await use(stranger)).status).toBe(401)
  })
})

describe('the gate', () => {
  const tags = (as: Issued | undefined, headers = {}) =>
    strict.get('/v2/team/app/tags/list', { headers, ...(as && { as }) })

  test('lets the user of a certificate in, and sends a certificate without user for a token', async () => {
    expect((await tags(scene.ada)).status).toBe(200)
    expect((await tags(stranger)).status).toBe(401)
    expect((await strict.get('/v2/', { as: stranger })).status).toBe(401)
  })

  test('does not take the token of another user beside a certificate', async () => {
    const { token } = json<{ token: string }>(await login(strict, undefined, basic("bob:bob's password")))
    const headers = { authorization: `Bearer ${token}` }
    expect((await tags(undefined, headers)).status).toBe(200)
    expect((await tags(scene.ada, headers)).status).toBe(401)
  })
})
