import { beforeAll, beforeEach, expect, test } from '@jest/globals'
import { json } from '../support/client.ts'
import type { Gateway } from '../support/gateway.ts'
import { CLOUD, identityService, TOTP_SECRET } from '../support/identity.ts'
import { startPlugin } from '../support/plugin.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

let scene: Scene
beforeAll(async () => {
  scene = await makeScene()
})
beforeEach(() => scene.backend.reset())

const ZED = { user: 'zed', certificate: ['cn:ada'], groups: ['admins'] }
const SOMEBODY_ELSE = { user: 'other', certificate: ['cn:other'] }

const mapping = (users: readonly object[], consumers: readonly object[] = [], server: object = {}, rest: object = {}) =>
  scene.config({
    ...rest,
    ...listenerOf(scene.server({ verify_and_map: false, authorization: { users }, ...server })),
    ...CLOUD,
    consumers: [...CLOUD.consumers, ...consumers],
    services: [
      identityService(['/identity']),
      { name: 'api', url: scene.backend.url, rules: [['token']], routes: [{ name: 'api', paths: ['/api'] }] },
      {
        ...{ name: 'steps', url: scene.backend.url, rules: [['certificate', 'totp']] },
        routes: [{ name: 'steps', paths: ['/steps'] }],
      },
    ],
    identity_headers: { 'X-User': 'user', 'X-Groups': 'groups' },
  })

async function tokenOf(gateway: Gateway): Promise<string> {
  const answer = await gateway.get('/identity/v3/auth/tokens', {
    ...{ as: scene.ada, method: 'POST', headers: { 'content-type': 'application/json' } },
    body: JSON.stringify({ auth: { identity: { methods: ['certificate'], certificate: {} } } }),
  })
  expect(answer.status).toBe(201)
  return answer.headers['x-subject-token'] as string
}

const use = (gateway: Gateway, token: string) =>
  gateway.get('/api', { as: scene.ada, headers: { 'x-auth-token': token } })

const lookAt = (gateway: Gateway, token: string) =>
  gateway.get('/identity/v3/auth/tokens', {
    as: scene.ada,
    headers: { 'x-auth-token': token, 'x-subject-token': token },
  })

const groupsSeen = () => scene.backend.seen.flatMap((request) => request.header('X-Groups'))

test('a token is of no use once its certificate belongs to nobody, or to somebody else', async () => {
  const gateway = await scene.start(mapping([ZED, SOMEBODY_ELSE]))
  const token = await tokenOf(gateway)
  expect(await use(gateway, token)).toMatchObject({ status: 200 })
  expect(await lookAt(gateway, token)).toMatchObject({ status: 200 })
  for (const users of [[SOMEBODY_ELSE], [{ user: 'other', certificate: ['cn:ada'] }]]) {
    await gateway.reload(mapping(users))
    expect(await use(gateway, token)).toMatchObject({ status: 401 })
    expect(await lookAt(gateway, token)).toMatchObject({ status: 401 })
  }
})

test('a token has the groups that the mapping gives now', async () => {
  const gateway = await scene.start(mapping([ZED]))
  const token = await tokenOf(gateway)
  expect(await use(gateway, token)).toMatchObject({ status: 200 })
  await gateway.reload(mapping([{ ...ZED, groups: ['readers'] }]))
  expect(await use(gateway, token)).toMatchObject({ status: 200 })
  expect(groupsSeen()).toEqual(['admins', 'readers'])
})

test('a token ends with the consumer whom the certificate stood for, also where a rule still maps to that name', async () => {
  const gateway = await scene.start(mapping([ZED], [{ id: 'zed', username: 'zed' }]))
  const token = await tokenOf(gateway)
  expect(await use(gateway, token)).toMatchObject({ status: 200 })
  await gateway.reload(mapping([ZED]))
  expect(await use(gateway, token)).toMatchObject({ status: 401 })
})

test('a receipt ends with the mapping too', async () => {
  const person = { id: 'zed', username: 'zed', totp_credentials: [{ secret: TOTP_SECRET }] }
  const gateway = await scene.start(mapping([ZED, SOMEBODY_ELSE], [person]))
  const first = await gateway.get('/steps', { as: scene.ada })
  const receipt = first.headers['openstack-auth-receipt'] as string
  expect(json<{ receipt: object }>(first).receipt).toMatchObject({ user: { id: 'zed' } })
  const goOn = () => gateway.get('/steps', { as: scene.ada, headers: { 'Openstack-Auth-Receipt': receipt } })
  expect((await goOn()).headers).toHaveProperty('openstack-auth-receipt')
  await gateway.reload(mapping([SOMEBODY_ELSE], [person]))
  const after = await goOn()
  expect(after.status).toBe(401)
  await waitFor('the reason in the log', () =>
    JSON.stringify(gateway.log).includes('to whom the certificate does not belong any more'),
  )
})

test('while the plugin that maps certificates cannot tell, a token is neither good nor bad: 503', async () => {
  const METHOD = 'ClientCertificateMapper.MapClientCertificateToUser'
  const plugin = await startPlugin('people', {
    'Plugin.Activate': { Implements: ['ClientCertificateMapper'] },
    [METHOD]: { AuthedUser: { Name: 'zed', Groups: ['admins'] } },
  })
  const docker_plugins = { socket_directories: [plugin.folder], spec_directories: [], timeout: '2s', rest: '50ms' }
  const gateway = await scene.start(mapping([], [], { certmap: ['people'] }, { docker_plugins }))
  const token = await tokenOf(gateway)
  expect(await use(gateway, token)).toMatchObject({ status: 200 })
  await plugin.stop()
  await gateway.reload()
  expect(await use(gateway, token)).toMatchObject({ status: 503 })
})
