import { beforeAll, expect, test } from '@jest/globals'
import { json } from '../support/client.ts'
import type { Gateway } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  const route = (name: string, fields: object) => ({
    name,
    url: `${scene.backend.url}/${name}`,
    routes: [{ name, strip_path: false, ...fields }],
  })
  gateway = await scene.start({
    _format_version: '3.0',
    services: [
      route('anything', { paths: ['/'] }),
      route('prefix', { paths: ['/api'] }),
      route('longer-prefix', { paths: ['/api/users'] }),
      route('regex', { paths: ['~/api/(?<id>[0-9]+)$'] }),
      route('method', { paths: ['/api'], methods: ['DELETE'] }),
      route('host', { hosts: ['www.test'], paths: ['/'] }),
      route('wildcard-host', { hosts: ['*.wild.test'], paths: ['/'] }),
      route('plain-host', { hosts: ['plain.wild.test'], paths: ['/'] }),
      route('header', { paths: ['/api'], headers: { 'X-Version': ['2'] } }),
    ],
  })
})

test.each<[request: string, expected: string, options?: object]>([
  ['/x', 'anything'],
  ['/api', 'prefix'],
  ['/apix', 'prefix'],
  ['/api/users', 'longer-prefix'],
  ['/api/users/1', 'longer-prefix'],
  ['/api/42', 'regex'],
  ['/api/42/x', 'prefix'],
  ['/api', 'method', { method: 'DELETE' }],
  ['/x', 'host', { host: 'www.test' }],
  ['/x', 'host', { host: 'WWW.test:8443' }],
  ['/x', 'wildcard-host', { host: 'a.wild.test' }],
  ['/x', 'plain-host', { host: 'plain.wild.test' }],
  ['/x', 'anything', { host: 'wild.test' }],
  ['/api', 'header', { headers: { 'x-version': '2' } }],
  ['/api', 'prefix', { headers: { 'x-version': '3' } }],
])('%s goes to %s %j', async (path, expected, options = {}) => {
  const answer = await gateway.get(path, { servername: 'localhost', ...options })
  expect(answer.status).toBe(200)
  expect(json(answer).target).toBe(`/${expected}${path}`)
})
