import { beforeAll, describe, expect, test } from '@jest/globals'
import { decodeJwt } from 'jose'
import { type Answer, type Ask, json } from '../support/client.ts'
import type { Gateway } from '../support/gateway.ts'
import type { Issued } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`
const AUTH = '/auth/realms/acme/protocol/docker-v2/auth'
const basic = (credentials: string) => `Basic ${Buffer.from(credentials).toString('base64')}`

let scene: Scene
let gateway: Gateway
let open: Gateway
let builder: Issued

function parts(token: boolean) {
  const signer = scene.inside.client('signer')
  return {
    certificates: [{ name: 'tokens', cert: signer.chain, key: signer.key }],
    registry_realms: [
      {
        name: 'acme',
        services: ['registry.test'],
        certificate: 'tokens',
        rules: [
          { name: 'builders', certificate: { cn: ['builder'] }, repositories: ['team/**'], actions: ['push'] },
          { name: 'robots', users: ['robot$ci'], repositories: ['team/**'], actions: ['pull'] },
          { name: 'everybody', anonymous: true, repositories: ['public/**'] },
        ],
        robots: [{ name: 'robot$ci', secret: 'made at random' }],
      },
    ],
    services: [
      { name: 'tokens', builtin: 'registry-tokens', routes: [{ name: 'tokens', paths: ['/auth'] }] },
      {
        name: 'registry',
        url: scene.backend.url,
        registry: { realm: 'acme', service: 'registry.test', token },
        routes: [{ name: 'registry', paths: ['/'], strip_path: false }],
      },
    ],
  }
}

beforeAll(async () => {
  scene = await makeScene()
  builder = scene.clients.client('builder')
  gateway = await scene.start(parts(true))
  open = await scene.start(parts(false))
})

/** Every Authorization that the registry saw with the request of this answer. */
function authorizationsUpstream({ status, text }: Answer): string[] {
  expect([status, text]).toEqual([200, expect.any(String)])
  return scene.backend.last.header('authorization')
}

function upstreamToken(answer: Answer) {
  const [authorization = '', ...more] = authorizationsUpstream(answer)
  expect(more).toEqual([])
  return decodeJwt(authorization.replace('Bearer ', ''))
}

const bearer = async (scope: string, authorization?: string) => {
  const path = `${AUTH}?service=registry.test&scope=${scope}`
  const answer = await gateway.get(path, { headers: authorization === undefined ? {} : { authorization } })
  return `Bearer ${json<{ token: string }>(answer).token}`
}

describe('with a certificate', () => {
  test('/v2/ lets in, and the registry gets a token of the gate', async () => {
    const token = upstreamToken(await gateway.get('/v2/', { as: builder }))
    expect(token).toMatchObject({ iss: 'acme', aud: 'registry.test', access: [] })
  })

  test('each request carries what it needs and no more', async () => {
    const answer = await gateway.get('/v2/team/app/manifests/latest', { as: builder })
    expect(upstreamToken(answer).access).toEqual([{ type: 'repository', name: 'team/app', actions: ['pull'] }])
    expect(scene.backend.last.target).toBe('/v2/team/app/manifests/latest')
  })

  test('the token is used again', async () => {
    const ask = async () => authorizationsUpstream(await gateway.get('/v2/team/again/tags/list', { as: builder }))
    const first = await ask()
    expect(first).toEqual([expect.stringMatching(/^Bearer /)])
    expect(await ask()).toEqual(first)
  })

  test('an open registry gets none, and never what the client sent', async () => {
    const headers = { authorization: basic('x:y') }
    expect(authorizationsUpstream(await open.get('/v2/team/app/tags/list', { as: builder, headers }))).toEqual([])
  })

  test.each([
    ['/v2/other/app/tags/list', {}],
    ['/v2/_catalog', {}],
    [`/v2/team/app/manifests/${DIGEST}`, { method: 'DELETE' }],
    [`/v2/other/app/blobs/uploads/?mount=${DIGEST}&from=team/app`, { method: 'POST' }],
  ] satisfies [string, Ask][])('%s is denied in the words of registries', async (path, ask) => {
    for (const each of [gateway, open]) {
      const answer = await each.get(path, { as: builder, ...ask })
      expect([answer.status, json(answer)]).toEqual([403, { errors: [expect.objectContaining({ code: 'DENIED' })] }])
      expect(answer.headers['docker-distribution-api-version']).toBe('registry/2.0')
      expect(await each.line(answer)).toMatchObject({ code: 'GW_FORBIDDEN' })
    }
  })

  test('a mount from a repository that may be pulled is let through', async () => {
    const path = `/v2/team/app/blobs/uploads/?mount=${DIGEST}&from=team/other`
    const answer = await gateway.get(path, { as: builder, method: 'POST' })
    expect(upstreamToken(answer).access).toEqual([
      { type: 'repository', name: 'team/app', actions: ['pull', 'push'] },
      { type: 'repository', name: 'team/other', actions: ['pull'] },
    ])
  })

  test.each([`mount=${DIGEST}&from=secret/app`, `mount=${DIGEST}`])(
    'the upload begins, with nothing mounted, where the layer may not be pulled: %s',
    async (query) => {
      for (const each of [gateway, open]) {
        const answer = await each.get(`/v2/team/app/blobs/uploads/?${query}`, { as: builder, method: 'POST' })
        expect([answer.status, scene.backend.last.target]).toEqual([200, '/v2/team/app/blobs/uploads/'])
      }
      const answer = await gateway.get(`/v2/team/app/blobs/uploads/?${query}`, { as: builder, method: 'POST' })
      const own = { type: 'repository', name: 'team/app', actions: ['pull', 'push'] }
      expect(upstreamToken(answer).access).toEqual([own])
    },
  )

  test.each([
    ['/debug/vars', {}],
    ['/v2/team/app/other/thing', {}],
    ['/v2/team/app/tags/list', { method: 'POST' }],
    [
      '/v2/team/app/blobs/uploads/',
      {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: `mount=${DIGEST}&from=secret/app`,
      },
    ],
    [
      '/v2/team/app/blobs/uploads/',
      { method: 'POST', headers: { 'content-type': 'multipart/form-data; boundary=x' }, body: '--x--' },
    ],
  ] satisfies [string, Ask][])('%s never reaches the registry', async (path, ask) => {
    for (const each of [gateway, open]) {
      const answer = await each.get(path, { as: builder, ...ask })
      expect([answer.status, json(answer)]).toEqual([
        404,
        { errors: [expect.objectContaining({ code: 'UNSUPPORTED' })] },
      ])
    }
  })
})

describe('without a certificate', () => {
  test('/v2/ and the rest send for a token on the same host and port', async () => {
    const realm = `Bearer realm="https://registry.test:5443${AUTH}",service="registry.test"`
    const ask = (path: string, headers = {}) =>
      gateway.get(path, { headers: { host: 'registry.test:5443', ...headers }, servername: 'localhost' })
    for (const headers of [{}, { authorization: 'Basic Og==' }]) {
      const base = await ask('/v2/', headers)
      expect([base.status, base.headers['www-authenticate']]).toEqual([401, realm])
      expect(json(base)).toMatchObject({ errors: [{ code: 'UNAUTHORIZED' }] })
      expect(base.headers['docker-distribution-api-version']).toBe('registry/2.0')
      const tags = await ask('/v2/team/app/tags/list', headers)
      expect([tags.status, tags.headers['www-authenticate']]).toEqual([
        401,
        `${realm},scope="repository:team/app:pull"`,
      ])
    }
  })

  test('so does a certificate without any rights of its own, unless a rule speaks of certificates', async () => {
    // This realm has such a rule: whoever shows a certificate is known, and is denied rather than sent for a token.
    expect((await gateway.get('/v2/team/app/tags/list', { as: scene.ada })).status).toBe(403)
  })

  test('a token opens what it says, and the registry gets one of the gate in its place', async () => {
    const authorization = await bearer('repository:team/app:pull', basic('robot$ci:made at random'))
    const answer = await gateway.get('/v2/team/app/tags/list', { headers: { authorization } })
    expect(upstreamToken(answer)).toMatchObject({ sub: 'robot$ci', access: [{ name: 'team/app', actions: ['pull'] }] })
    expect(await gateway.line(answer)).toMatchObject({ user: 'robot$ci' })
    const more = await gateway.get('/v2/team/other/tags/list', { headers: { authorization } })
    expect([more.status, more.headers['www-authenticate']]).toEqual([
      401,
      expect.stringMatching(/scope="repository:team\/other:pull",error="insufficient_scope"$/),
    ])
    const open_ = await open.get('/v2/team/app/tags/list', { headers: { authorization } })
    expect([open_.status, open_.headers['www-authenticate']]).toEqual([
      401,
      expect.stringContaining('error="invalid_token"'),
    ])
  })

  test("nobody's token opens what is for everybody", async () => {
    const authorization = await bearer('repository:public/app:pull,push')
    expect((await gateway.get('/v2/public/app/tags/list', { headers: { authorization } })).status).toBe(200)
    const put = await gateway.get('/v2/public/app/manifests/1', { method: 'PUT', headers: { authorization } })
    expect(put.status).toBe(401)
  })

  test('what is no token of ours is sent for another', async () => {
    for (const authorization of ['Bearer x', 'Bearer a.b.c', `Bearer ${'x'.repeat(5000)}`]) {
      const answer = await gateway.get('/v2/team/app/tags/list', { headers: { authorization } })
      expect([answer.status, answer.headers['www-authenticate']]).toEqual([
        401,
        expect.stringContaining('error="invalid_token"'),
      ])
    }
  })
})

test('a token opens nothing beside a certificate whose user has lost the right since', async () => {
  const withRight = (repositories: string) => {
    const common = parts(true)
    const realm = {
      ...common.registry_realms[0],
      rules: [{ name: 'ada', users: ['ada'], repositories: [repositories] }],
    }
    return {
      ...common,
      registry_realms: [realm],
      consumers: [{ username: 'ada', mtls_auth_credentials: [{ subject_name: 'ada' }] }],
      services: common.services.map((each) => ({ ...each, rules: [['certificate']], anonymous: true })),
    }
  }
  const before = withRight('team/**')
  const own = await scene.start(before)
  const issued = await own.get(`${AUTH}?service=registry.test&scope=repository:team/app:pull`, { as: scene.ada })
  const headers = { authorization: `Bearer ${json<{ token: string }>(issued).token}` }
  const path = '/v2/team/app/tags/list'
  expect((await own.get(path, { as: scene.ada, headers })).status).toBe(200)
  const after = { ...withRight('other/**'), certificates: before.certificates }
  expect((await own.reload(scene.config(after))).msg).toBe('reloaded')
  expect((await own.get(path, { as: scene.ada, headers })).status).toBe(403)
  // Alone it is good until it ends: the registry itself would believe it, too.
  expect((await own.get(path, { headers })).status).toBe(200)
})

test('the name of a robot in a certificate opens nothing, unless its secret is there too', async () => {
  const common = parts(true)
  const own = await scene.start({
    ...common,
    ...listenerOf(scene.server({ authorization: { users: [{ user: { from: 'subject.cn' } }] } })),
    services: common.services.map((each) => ({ ...each, rules: [['certificate']] })),
  })
  const path = '/v2/team/app/tags/list'
  const ask = (cn: string, target: string, authorization?: string) =>
    own.get(target, { as: scene.clients.client(cn), ...(authorization && { headers: { authorization } }) })
  const tokens = `${AUTH}?service=registry.test&scope=repository:team/app:pull`
  expect((await ask('builder', path)).status).toBe(200)
  expect((await ask('robot$ci', path)).status).toBe(401)
  expect((await ask('robot$ci', tokens)).status).toBe(401)
  const { token } = json<{ token: string }>(await ask('robot$ci', tokens, basic('robot$ci:made at random')))
  expect((await ask('robot$ci', path, `Bearer ${token}`)).status).toBe(200)
})

test('a registry that is away is told in the words of registries', async () => {
  const away = await scene.start({
    ...parts(true),
    services: parts(true).services.map((each) =>
      each.name === 'registry' ? { ...each, url: 'https://localhost:1' } : each,
    ),
  })
  const answer = await away.get('/v2/', { as: builder })
  expect([answer.status, json(answer)]).toEqual([502, { errors: [expect.objectContaining({ code: 'UNAVAILABLE' })] }])
  expect(await away.line(answer)).toMatchObject({ code: 'GW_UPSTREAM_CONNECT' })
})

test('a registry that refuses what the gate sends is told of in the log, once until it takes it again', async () => {
  const told = (gateway: Gateway) => gateway.log.filter(({ msg }) => /^the registry (refuses|asks)/.test(msg ?? ''))
  for (const [each, message] of [
    [gateway, /refuses the token of the gateway.*registry-config/],
    [open, /asks for a token.*token: off/],
  ] as const) {
    for (let times = 1; times <= 2; times++) {
      scene.backend.respond = (_request, response) => response.writeHead(401).end()
      for (let i = 0; i < 3; i++) expect((await each.get('/v2/', { as: builder })).status).toBe(401)
      scene.backend.reset()
      await each.line(await each.get('/v2/', { as: builder }))
      expect(told(each).map(({ msg }) => msg)).toEqual(Array(times).fill(expect.stringMatching(message)))
    }
  }
})
