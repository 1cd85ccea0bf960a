// Behind a load balancer of ours (`trusted_ips`) a right that goes by the address must not be everybody's who comes through it.
import { beforeAll, expect, test } from '@jest/globals'
import { temporaryFile } from '../support/folder.ts'
import type { Gateway } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'

/** Everybody who asks is called as the plugin is told that his address is. */
const TELLS = `export const authenticate = ({ remote_address }) => ({ status: true, response_data: { user_id: remote_address } })`

let gateway: Gateway
let scene: Scene

beforeAll(async () => {
  scene = await makeScene()
  const signer = scene.inside.client('signer')
  const inside = { anonymous: true, addresses: ['127.0.0.0/8', '10.0.0.0/8'], repositories: ['**'] }
  gateway = await scene.start({
    trusted_ips: ['127.0.0.1'],
    identity_headers: { 'X-User': 'user' },
    certificates: [{ name: 'tokens', cert: signer.chain, key: signer.key }],
    registry_realms: [{ name: 'acme', services: ['registry.test'], certificate: 'tokens', rules: [inside] }],
    method_plugins: [
      { name: 'where', module: temporaryFile('where.mjs', TELLS), payload: { said: 'x-said' }, ephemeral_users: true },
    ],
    services: [
      { name: 'tokens', builtin: 'registry-tokens', routes: [{ name: 'tokens', paths: ['/'] }] },
      { name: 'api', url: scene.backend.url, rules: [['where']], routes: [{ name: 'api', paths: ['/api'] }] },
    ],
  })
})
test.each([
  ['the load balancer itself', undefined, '127.0.0.1', true],
  ['a client from inside', '10.1.2.3', '10.1.2.3', true],
  ['a client from inside, in the spelling of IPv6', '::ffff:10.1.2.3', '10.1.2.3', true],
  ['a client from elsewhere', '203.0.113.9', '203.0.113.9', false],
  ['a client from elsewhere that says it is another', '10.1.2.3, 203.0.113.9', '203.0.113.9', false],
  ['a client from elsewhere that says it is our load balancer', '127.0.0.1, 203.0.113.9', '203.0.113.9', false],
])('%s', async (_who, forwarded, address, isInside) => {
  const headers = { 'x-said': 'hello', ...(forwarded !== undefined && { 'x-forwarded-for': forwarded }) }
  const query = 'service=registry.test&scope=repository:team/app:pull'
  const answer = await gateway.get(`/auth/realms/acme/protocol/docker-v2/auth?${query}`, { headers })
  expect(answer.status).toBe(isInside ? 200 : 401)
  expect((await gateway.get('/api', { headers })).status).toBe(200)
  expect(scene.backend.last.header('x-user')).toEqual([address])
})
