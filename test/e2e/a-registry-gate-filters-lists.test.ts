import { beforeAll, expect, test } from '@jest/globals'
import { json } from '../support/client.ts'
import type { Gateway } from '../support/gateway.ts'
import type { Issued } from '../support/pki.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

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
})

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

test('a list holds nothing but what the protocol knows: anything else could name what is held back', async () => {
  body = JSON.stringify({ repositories: ['team/c'], name: 'other/a', next: 'other/a' })
  headers = {}
  expect((await list('/v2/_catalog')).list).toEqual({ repositories: ['team/c'] })
  body = JSON.stringify({ name: 'team/c', tags: ['v1'], held: ['secret-1'] })
  expect((await list('/v2/team/c/tags/list')).list).toEqual({ name: 'team/c', tags: ['v1'] })
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

test('no page tells a name that its list does not hold: not in its Link, nor by what follows a name that the client makes up', async () => {
  const names = ['other/a', 'other/b', 'public/b', 'secret/z', 'team/c']
  scene.backend.respond = ({ url = '' }, response) => {
    const asked = new URL(url, 'http://registry.test').searchParams
    const after = names.filter((name) => name > (asked.get('last') ?? ''))
    const [name] = after
    const more = after.length > 1 && { link: `</v2/_catalog?last=${encodeURIComponent(name ?? '')}&n=1>; rel="next"` }
    response.writeHead(200, more || {}).end(JSON.stringify({ repositories: after.slice(0, 1) }))
  }
  const seen: unknown[] = []
  const links: string[] = []
  let next: string | undefined = '/v2/_catalog?n=1'
  while (next !== undefined && seen.length < 10) {
    const { answer, list: found } = await list(next)
    seen.push((found as { repositories: unknown }).repositories)
    next = /^<(.*)>; rel="next"$/.exec(String(answer.headers.link))?.[1]
    if (next !== undefined) links.push(next)
  }
  expect(seen).toEqual([[], [], ['public/b'], [], ['team/c']])
  expect(links.join()).not.toMatch(/other|secret/)
  expect(links[2]).toBe('/v2/_catalog?last=public%2Fb&n=1')

  const statusOf = async (path: string) => (await list(path)).answer.status
  const sealed = links[0] as string
  const asked = scene.backend.seen.length
  const damaged = sealed.replace(/(?<=~.{30})./, (letter) => (letter === 'A' ? 'B' : 'A'))
  for (const path of [
    '/v2/_catalog?last=other/a',
    '/v2/_catalog?last=o',
    '/v2/_catalog?l%61st=secret',
    damaged,
    '/v2/_catalog?last=~',
  ])
    expect([path, await statusOf(path)]).toEqual([path, 404])
  expect(await statusOf(sealed.replace('_catalog', 'team/c/tags/list'))).toBe(404)
  expect(scene.backend.seen).toHaveLength(asked)
  expect(await statusOf('/v2/_catalog?last=team/a;last=other/a')).toBe(200)
  expect(scene.backend.last.target).toBe('/v2/_catalog?last=team%2Fa%3Blast%3Dother%2Fa')
  expect(await statusOf('/v2/_catalog?n=1&search=secret&last=team/a')).toBe(200)
  expect(scene.backend.last.target).toBe('/v2/_catalog?n=1&last=team%2Fa')
})

test('a Link that cannot be read is not passed on, and one of another kind is sealed', async () => {
  scene.backend.respond = (_request, response) => response.writeHead(200, { ...headers }).end(body)
  body = JSON.stringify({ repositories: [] })
  headers = { link: 'other/a' }
  expect((await list('/v2/_catalog')).answer.headers).not.toHaveProperty('link')
  headers = { link: '</v2/_catalog?page=other%2Fa>; rel=next' }
  const { link } = (await list('/v2/_catalog')).answer.headers
  expect(link).toMatch(/^<\/v2\/_catalog\?last=~[\w-]+>; rel="next"$/)
  await list(String(link).slice(1, -'>; rel="next"'.length))
  expect(scene.backend.last.target).toBe('/v2/_catalog?page=other%2Fa')
  headers = {}
})

test('what cannot be filtered is not shown', async () => {
  for (const each of [
    'no JSON',
    'null',
    '[]',
    '"x"',
    '{"repositories":"other/a"}',
    '{"other":["other/a"],"tags":[]}',
  ]) {
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

test('no part of a list is asked for, nor a compressed one, and whatever status it comes with, it is filtered', async () => {
  const previous = scene.backend.respond
  body = JSON.stringify({ repositories: ['other/a', 'team/c'] })
  scene.backend.respond = (request, response) =>
    response.writeHead(request.headers.range === undefined ? Number(request.headers['x-status']) : 206).end(body)
  const asked = { range: 'bytes=0-', 'if-range': '"a"', 'accept-encoding': 'gzip' }
  for (const status of [200, 203, 206, 300]) {
    const { answer } = await list('/v2/_catalog', { as: builder, headers: { ...asked, 'x-status': status } })
    expect([answer.status, json(answer)]).toEqual([status, { repositories: ['team/c'] }])
    expect(Object.keys(scene.backend.last.headers)).not.toEqual(
      expect.arrayContaining([expect.stringMatching(/range|encoding/)]),
    )
  }
  scene.backend.respond = previous
})

test('nor its length, by HEAD', async () => {
  expect((await gateway.get('/v2/_catalog', { as: builder, method: 'HEAD' })).status).toBe(404)
})

test('what is no name is left out', async () => {
  body = JSON.stringify({ repositories: [7, null, ['team/c'], { name: 'team/c' }, 'team/c'] })
  expect((await list('/v2/_catalog')).list).toEqual({ repositories: ['team/c'] })
})

test('a length and a Link are known however they are written', async () => {
  body = JSON.stringify({ repositories: ['other/a'] })
  headers = { 'Content-LENGTH': String(body.length), LINK: '</v2/_catalog?last=other%2Fa&n=1>; rel="next"' }
  const { answer, list: found } = await list('/v2/_catalog?n=1')
  expect(found).toEqual({ repositories: [] })
  expect(answer.headers['content-length']).toBe(String(answer.text.length))
  expect(answer.headers.link).toMatch(/^<\/v2\/_catalog\?last=~/)
  headers = {}
})

test('an error of the registry is passed on as it is', async () => {
  const error = JSON.stringify({ errors: [{ code: 'NAME_UNKNOWN', message: 'repository name not known to registry' }] })
  const previous = scene.backend.respond
  scene.backend.respond = (_request, response) => response.writeHead(404).end(error)
  const { answer } = await list('/v2/team/none/tags/list')
  expect([answer.status, answer.text]).toEqual([404, error])
  scene.backend.respond = previous
})

test('a list that is too long to be held is not shown', async () => {
  body = JSON.stringify({ repositories: ['team/c', 'x'.repeat(8 * 1024 * 1024)] })
  const { answer } = await list('/v2/_catalog')
  expect(answer.status).toBe(502)
  expect((await gateway.line(answer)).detail).toContain('a list of more than 8388608 bytes')
})

test('a client that leaves ends the question to the registry too', async () => {
  scene.backend.reset()
  scene.backend.respond = () => {}
  const client = await gateway.open({ as: builder })
  client.write('GET /v2/_catalog HTTP/1.1\r\nHost: localhost\r\n\r\n')
  const asked = await waitFor('the question', () => scene.backend.seen[0])
  client.destroy()
  await waitFor('its end', () => asked.aborted)
})
