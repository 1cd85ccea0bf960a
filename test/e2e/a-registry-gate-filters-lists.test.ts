import { beforeAll, expect, test } from '@jest/globals'
import { json } from '../support/client.ts'
import type { Gateway } from '../support/gateway.ts'
import type { Issued } from '../support/pki.ts'
import { makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway
let builder: Issued
/** What the registry answers. */
let body = ''
let headers: Record<string, string> = {}

beforeAll(async () => {
  scene = await makeScene()
  scene.backend.respond = (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', ...headers })
    response.end(body)
  }
  builder = scene.clients.client('builder')
  const signer = scene.inside.client('signer')
  gateway = await scene.start({
    certificates: [{ name: 'tokens', cert: signer.chain, key: signer.key }],
    registry_realms: [
      {
        ...{ name: 'acme', services: ['registry.test'], certificate: 'tokens' },
        rules: [
          { certificate: { cn: ['builder'] }, repositories: ['team/**'] },
          { effect: 'deny', certificate: { cn: ['builder'] }, repositories: ['team/**'], tags: ['secret-*'] },
          { anonymous: true, repositories: ['public/**'] },
        ],
      },
    ],
    services: [
      { name: 'tokens', builtin: 'registry-tokens', routes: [{ name: 'tokens', paths: ['/auth'] }] },
      {
        ...{ name: 'registry', url: scene.backend.url },
        registry: { realm: 'acme', service: 'registry.test', filter: true },
        routes: [{ name: 'registry', paths: ['/v2'], strip_path: false }],
      },
    ],
  })
}, 30_000)

const list = async (path: string, options: object = { as: builder }) => {
  const answer = await gateway.get(path, options)
  return { answer, list: answer.status === 200 ? json(answer) : undefined }
}

test('the catalog holds what the caller may pull, and its Link leads on', async () => {
  body = JSON.stringify({ repositories: ['other/a', 'public/b', 'team/c'] })
  headers = { link: '</v2/_catalog?last=team%2Fc&n=3>; rel="next"', 'docker-distribution-api-version': 'registry/2.0' }
  const { answer, list: found } = await list('/v2/_catalog?n=3')
  expect(found).toEqual({ repositories: ['public/b', 'team/c'] })
  expect(answer.headers).toMatchObject(headers)
  expect(scene.backend.last.target).toBe('/v2/_catalog?n=3')
})

test('for nobody too, with a token that says nothing', async () => {
  body = JSON.stringify({ repositories: ['other/a', 'public/b', 'team/c'] })
  const login = await gateway.get('/auth/token?service=registry.test&scope=repository:public/b:pull')
  const { token } = json<{ token: string }>(login)
  const { list: found } = await list('/v2/_catalog', { headers: { authorization: `Bearer ${token}` } })
  expect(found).toEqual({ repositories: ['public/b'] })
  expect((await list('/v2/_catalog', {})).answer.status).toBe(401)
})

test('tags that may not be pulled are not listed', async () => {
  body = JSON.stringify({ name: 'team/c', tags: ['latest', 'secret-1', 'v1'] })
  expect((await list('/v2/team/c/tags/list')).list).toEqual({ name: 'team/c', tags: ['latest', 'v1'] })
  body = JSON.stringify({ name: 'team/c', tags: null })
  expect((await list('/v2/team/c/tags/list')).list).toEqual({ name: 'team/c', tags: [] })
  expect((await list('/v2/other/a/tags/list')).answer.status).toBe(403)
})

test('what cannot be filtered is not shown', async () => {
  for (const each of ['no JSON', '[]', '"x"', '{"repositories":"other/a"}', '{"other":["other/a"],"tags":[]}']) {
    body = each
    const { answer } = await list('/v2/_catalog')
    expect([each, answer.status]).toEqual([each, 502])
    expect(answer.text).not.toContain('other/a')
  }
  headers = { 'content-encoding': 'gzip' }
  body = '\x1f\x8b'
  expect((await list('/v2/_catalog')).answer.status).toBe(502)
  headers = {}
})

test('nor its length, by HEAD', async () => {
  expect((await gateway.get('/v2/_catalog', { as: builder, method: 'HEAD' })).status).toBe(404)
})
