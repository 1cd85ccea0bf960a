import { beforeAll, beforeEach, expect, test } from '@jest/globals'
import { type FakePlugin, type PluginAnswer, startPlugin } from '../support/plugin.ts'
import { talk } from '../support/raw.ts'
import { makeScene, type Scene } from '../support/scene.ts'

const METHOD = 'AuthZPlugin.AuthZReq'
const ACTIVATE = { 'Plugin.Activate': { Implements: ['authz'] } }

let scene: Scene
beforeAll(async () => {
  scene = await makeScene()
})
beforeEach(() => scene.backend.reset())

async function startWith(answer: PluginAnswer, route: object = {}) {
  const plugin = await startPlugin('opa', { ...ACTIVATE, [METHOD]: answer })
  const gateway = await startOf(plugin, route)
  return { plugin, gateway }
}

function startOf(plugin: FakePlugin, route: object, parts: object = {}) {
  const routes = [{ name: 'everything', paths: ['/'], ...route }]
  return scene.start({
    services: [{ name: 'api', url: scene.backend.url, authorization_plugins: ['opa'], routes }],
    docker_plugins: { socket_directories: [plugin.folder], spec_directories: [], timeout: '2s' },
    ...parts,
  })
}

test('it is told the request and the certificate, without credentials, and may let it pass', async () => {
  const { plugin, gateway } = await startWith({ Allow: true })
  const headers = { Authorization: 'Basic secret', Cookie: 'secret', 'X-Note': 'n' }
  expect((await gateway.get('/a?b=c', { as: scene.ada, headers })).status).toBe(200)
  const question = JSON.parse(plugin.calls[1]?.body ?? '')
  expect(question).toMatchObject({ RequestMethod: 'GET', RequestUri: '/a?b=c', RequestHeaders: { 'X-Note': 'n' } })
  expect(JSON.stringify(question)).not.toContain('secret')
  // Base64 of PEM text, as Docker sends it.
  expect(Buffer.from(question.RequestPeerCertificates[0], 'base64').toString()).toBe(scene.ada.certificate)
})

test('it is told the path that the backend gets, and each header under one name, however the client spells them', async () => {
  const { plugin, gateway } = await startWith({ Allow: true })
  const spelled = ['/admin/x?y=%41', '/%61dmin/x?y=%41', '//admin///x?y=%41', 'https://localhost/admin/x?y=%41']
  for (const target of spelled) {
    await talk(gateway.port, `GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
    expect(scene.backend.last.target).toBe('/admin/x?y=%41')
  }
  const headers = 'x-tIER: gold\r\nX-Tier: none\r\n__proto__: hidden\r\n'
  await talk(gateway.port, `GET / HTTP/1.1\r\nHost: localhost\r\n${headers}Connection: close\r\n\r\n`)
  const asked = plugin.calls.slice(1).map(({ body }) => JSON.parse(body))
  expect(asked.map(({ RequestUri }) => RequestUri)).toEqual([...Array(4).fill('/admin/x?y=%41'), '/'])
  expect(Object.entries(asked[4].RequestHeaders)).toEqual(
    expect.arrayContaining([
      ['X-Tier', 'gold, none'],
      ['__proto__', 'hidden'],
    ]),
  )
})

test('it is not told what a client says of itself and no backend would see', async () => {
  const plugin = await startPlugin('opa', { ...ACTIVATE, [METHOD]: { Allow: true } })
  const told = async (trusted_ips: readonly string[]) => {
    const gateway = await startOf(plugin, {}, { trusted_ips, identity_headers: { 'X-Caller': 'user' } })
    const lines = [
      'X-Caller: admin',
      'x_caller: admin',
      'X-Forwarded-User: admin',
      'X-Forwarded-For: 192.0.2.1',
      'X-Real-IP: 192.0.2.1',
      'X-Team: one',
      'X-Note: n',
      'Connection: close, x-team',
    ]
    await talk(gateway.port, `GET / HTTP/1.1\r\nHost: localhost\r\n${lines.join('\r\n')}\r\n\r\n`)
    return JSON.parse(plugin.calls.at(-1)?.body ?? '').RequestHeaders
  }
  const rest = { Host: 'localhost', Connection: 'close, x-team', 'X-Note': 'n' }
  expect(await told([])).toEqual(rest)
  // A proxy that is believed about its clients says where they come from, and not who they are.
  expect(await told(['127.0.0.1'])).toEqual({ ...rest, 'X-Forwarded-For': '192.0.2.1' })
})

test('where it denies, the answer is 403 and its words stand in the log', async () => {
  const { gateway } = await startWith({ Allow: false, Msg: 'not on Sundays' })
  const answer = await gateway.get('/', { as: scene.ada })
  expect(answer.status).toBe(403)
  expect(answer.text).not.toContain('Sundays')
  expect(await gateway.line(answer)).toMatchObject({
    code: 'GW_FORBIDDEN',
    detail: 'authorization denied by plugin opa: not on Sundays',
  })
  expect(scene.backend.seen).toEqual([])
})

test.each([
  ['fails', { Allow: true, Err: 'the policy is broken' }],
  ['hangs', () => {}],
])('where it %s, the answer is 503 and nothing passes', async (_how, answer) => {
  const { gateway } = await startWith(answer)
  const refused = await gateway.get('/', { as: scene.ada })
  expect(refused.status).toBe(503)
  expect(await gateway.line(refused)).toMatchObject({ code: 'GW_UNDECIDED' })
  expect(scene.backend.seen).toEqual([])
})

test.each([{}, { Allow: 'true' }, { Allow: 1 }])('%j does not let anything pass', async (answer) => {
  const { gateway } = await startWith(answer)
  expect((await gateway.get('/', { as: scene.ada })).status).toBe(403)
})

test('what deny refuses it is not asked about', async () => {
  const { plugin, gateway } = await startWith({ Allow: true }, { deny: [{ methods: ['GET'] }] })
  expect((await gateway.get('/', { as: scene.ada })).status).toBe(403)
  expect(plugin.calls).toEqual([])
})

test('one that implements something else decides nothing', async () => {
  const plugin = await startPlugin('opa', { 'Plugin.Activate': { Implements: ['VolumeDriver'] } })
  const gateway = await startOf(plugin, {})
  expect((await gateway.get('/', { as: scene.ada })).status).toBe(503)
})

test('no credential reaches it, wherever it stands, nor what a client made up about who it is', async () => {
  const plugin = await startPlugin('opa', { ...ACTIVATE, [METHOD]: { Allow: true } })
  const gateway = await scene.start({
    consumers: [{ username: 'kay', keyauth_credentials: [{ key: 'secret-key' }] }],
    services: [
      {
        name: 'api',
        url: scene.backend.url,
        rules: [['api-key']],
        authorization_plugins: ['opa'],
        routes: [{ name: 'everything', paths: ['/'] }],
      },
    ],
    docker_plugins: { socket_directories: [plugin.folder], spec_directories: [] },
  })
  const headers = { apikey: 'secret-key', 'X-OTP': 'secret', 'Openstack-Auth-Receipt': '', Remote_User: 'secret' }
  await gateway.get('/x', { headers })
  expect((await gateway.get('/x?a=1&apikey=secret-key&b=2')).status).toBe(200)
  const questions = plugin.calls.slice(1).map(({ body }) => body)
  expect(questions.length).toBeGreaterThan(0)
  for (const question of questions) expect(question).not.toContain('secret')
  expect(questions.at(-1)).toContain('"RequestUri":"/x?a=1&b=2"')
})
