import { beforeAll, describe, expect, test } from '@jest/globals'
import { type Answer, type Ask, json } from '../support/client.ts'
import { temporaryFolder } from '../support/folder.ts'
import type { Gateway } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'

const AUTH = '/auth/realms/acme/protocol/docker-v2/auth?service=registry.test'
const UPGRADE = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' }

let scene: Scene
let gateway: Gateway

/** One registry for each demand that refuses before its gate is asked, and a token server with demands. */
beforeAll(async () => {
  scene = await makeScene()
  const signer = scene.inside.client('signer')
  const registry = (name: string, demands: object) => ({
    name,
    url: scene.backend.url,
    registry: { realm: 'acme', service: 'registry.test' },
    routes: [{ name, hosts: [`${name}.test`], paths: ['/'], ...demands }],
  })
  gateway = await scene.start({
    certificates: [{ name: 'tokens', cert: signer.chain, key: signer.key }],
    consumers: [{ username: 'bob', basicauth_credentials: [{ username: 'bob', password: 'clear: a password' }] }],
    method_plugins: [{ name: 'away', url: `unix:${temporaryFolder()}/nobody.sock`, payload: { answer: 'X-Answer' } }],
    registry_realms: [
      {
        name: 'acme',
        services: ['registry.test'],
        certificate: 'tokens',
        rules: [{ name: 'everybody', anonymous: true, repositories: ['**'], actions: ['push'] }],
      },
    ],
    services: [
      registry('rules', { rules: [['password'], ['certificate']] }),
      registry('demanding', { ssl_verify_client: 'on' }),
      registry('particular', { ssl_verify_client: 'on', ssl_verify_allow: [{ subject: { CN: 'somebody else' } }] }),
      registry('denying', { deny: [{ addresses: ['127.0.0.1'] }] }),
      registry('undecided', { rules: [['away']] }),
      {
        ...registry('tokens', { rules: [['password']] }),
        url: undefined,
        registry: undefined,
        builtin: 'registry-tokens',
      },
      { name: 'api', url: scene.backend.url, routes: [{ name: 'api', hosts: ['api.test'], rules: [['password']] }] },
    ],
  })
})

const ask = (name: string, path: string, { headers, ...options }: Ask = {}) =>
  gateway.get(path, { servername: 'localhost', headers: { host: `${name}.test`, ...headers }, ...options })

/** What a client of a registry goes by. */
const words = ({ status, headers, text }: Answer) => ({
  status,
  challenge: headers['www-authenticate'],
  version: headers['docker-distribution-api-version'],
  code: (JSON.parse(text) as { errors?: { code: string }[] }).errors?.[0]?.code,
})

describe.each([
  ['rules', 401, 'UNAUTHORIZED', 'GW_UNAUTHENTICATED', {}],
  ['demanding', 400, 'UNKNOWN', 'GW_CLIENT_CERTIFICATE_REQUIRED', {}],
  ['particular', 403, 'DENIED', 'GW_FORBIDDEN', { certificate: true }],
  ['denying', 403, 'DENIED', 'GW_FORBIDDEN', {}],
  ['undecided', 503, 'UNAVAILABLE', 'GW_UNDECIDED', { headers: { 'x-answer': '1' } }],
] as const)('%s', (name, status, code, logged, { certificate, ...options }: Ask & { certificate?: boolean }) => {
  const asking = (): Ask => ({ ...options, ...(certificate && { as: scene.ada }) })

  test('/v2/ and the rest are refused alike, in the words of registries', async () => {
    const base = await ask(name, '/v2/', asking())
    const told = words(base)
    expect(told).toMatchObject({ status, code, version: 'registry/2.0' })
    expect(await gateway.line(base)).toMatchObject({ code: logged, route: name })
    for (const path of ['/v2/team/app/tags/list', '/v2/_catalog', '/v2/team/app/manifests/1', '/elsewhere']) {
      expect([path, words(await ask(name, path, asking()))]).toEqual([path, told])
    }
    const push = await ask(name, '/v2/team/app/blobs/uploads/', { ...asking(), method: 'POST' })
    expect(words(push)).toEqual(told)
  })

  test('an upgrade too', async () => {
    const { headers, ...rest } = asking()
    expect(words(await ask(name, '/v2/', { ...rest, headers: { ...UPGRADE, ...headers } }))).toMatchObject({
      status,
      code,
      version: 'registry/2.0',
    })
  })
})

test('the challenge of rules arrives', async () => {
  expect((await ask('rules', '/v2/')).headers['www-authenticate']).toMatch(/^Basic realm=/)
})

test('the token server: as the registry', async () => {
  const headers = { authorization: `Basic ${Buffer.from('bob:wrong').toString('base64')}` }
  const answer = await ask('tokens', AUTH, { headers })
  expect(words(answer)).toMatchObject({ status: 401, code: 'UNAUTHORIZED', version: 'registry/2.0' })
  expect(words(answer).challenge).toMatch(/^Basic /)
})

test('no other service has these words, nor has a request that found no route', async () => {
  for (const [name, code] of [
    ['api', 'GW_UNAUTHENTICATED'],
    ['unknown', 'GW_ROUTE_NOT_FOUND'],
  ] as const) {
    const answer = await ask(name, '/v2/')
    expect(json(answer)).toMatchObject({ code })
    expect(answer.headers['docker-distribution-api-version']).toBeUndefined()
  }
})
