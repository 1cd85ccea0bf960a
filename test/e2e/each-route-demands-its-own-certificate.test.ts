import { beforeAll, describe, expect, test } from '@jest/globals'
import { type Answer, json } from '../support/client.ts'
import { temporaryFile } from '../support/folder.ts'
import { type Gateway, sallyport } from '../support/gateway.ts'
import { authority, type Issued } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway
let old: Issued
const stranger = authority('strangers').client('mallory')

const ROUTES = [
  { name: 'everything', paths: ['/'] },
  { name: 'public', paths: ['/public'], ssl_verify_client: 'off' },
  { name: 'secret', paths: ['/secret'], ssl_verify_client: 'on' },
  { name: 'backend', paths: ['/backend'], ssl_verify_client: 'optional_no_ca' },
  {
    name: 'ada',
    paths: ['/ada'],
    ssl_verify_client: 'on',
    ssl_verify_allow: [{ subject: { CN: 'ada' } }, { subject: { CN: 'root' }, issuer: { CN: 'nobody' } }],
  },
]

function services(routes: readonly object[] = ROUTES): { services: readonly object[] } {
  const inherited = [
    { name: 'as the service says', paths: ['/inherited'] },
    { name: 'not as the service says', paths: ['/inherited/open'], ssl_verify_client: 'optional' },
  ]
  return {
    services: [
      { name: 'api', url: scene.backend.url, routes },
      { name: 'demanding', url: scene.backend.url, ssl_verify_client: 'on', routes: inherited },
    ],
  }
}

beforeAll(async () => {
  scene = await makeScene()
  old = scene.clients.client('old', { validFrom: -9, validUntil: -1 })
  gateway = await scene.start({
    ...listenerOf(
      scene.server(),
      scene.server({ server_names: ['strict.test'], ssl_verify_client: 'on' }),
      scene.server({ server_names: ['plain.test'], ssl_verify_client: 'off' }),
    ),
    ...services(),
  })
})

function get(path: string, as?: Issued, host = 'localhost'): Promise<Answer> {
  return gateway.get(path, { host, ...(as && { as }) })
}

/** VERIFIED and DN as the backend saw them, or the code of the refusal. */
async function outcome(path: string, as?: Issued, host?: string): Promise<string> {
  const answer = await get(path, as, host)
  if (answer.status !== 200) return `${answer.status} ${json(answer).code}`
  const { last } = scene.backend
  return [...last.header('VERIFIED'), ...last.header('DN')].join(' ')
}

const REQUIRED = '400 GW_CLIENT_CERTIFICATE_REQUIRED'
const INVALID = '400 GW_CLIENT_CERTIFICATE_INVALID'
const UNKNOWN = 'FAILED:unable to verify the first certificate CN=mallory'

describe('on a server that asks everybody', () => {
  test.each<[path: string, none: string, ada: string, stranger: string, old: string]>([
    ['/', 'NONE', 'SUCCESS CN=ada', INVALID, INVALID],
    ['/public', 'NONE', 'NONE', 'NONE', 'NONE'],
    ['/secret', REQUIRED, 'SUCCESS CN=ada', INVALID, INVALID],
    ['/backend', 'NONE', 'SUCCESS CN=ada', UNKNOWN, INVALID],
    ['/ada', REQUIRED, 'SUCCESS CN=ada', INVALID, INVALID],
    ['/inherited', REQUIRED, 'SUCCESS CN=ada', INVALID, INVALID],
    ['/inherited/open', 'NONE', 'SUCCESS CN=ada', INVALID, INVALID],
  ])('%s: no certificate %s, a good one %s, of an unknown authority %s, expired %s', async (path, ...expected) => {
    const clients = [undefined, scene.ada, stranger, old]
    for (const [i, client] of clients.entries()) expect(await outcome(path, client)).toBe(expected[i])
  })
})

test('a certificate that is not called as the route wants is forbidden, and the log says why', async () => {
  const answer = await get('/ada', scene.clients.client('bob'))
  expect(answer.status).toBe(403)
  expect(answer.text).not.toContain('ssl_verify_allow')
  expect(JSON.stringify(await gateway.line(answer))).toContain('no rule of ssl_verify_allow fits')
  const root = scene.clients.client('root')
  expect((await get('/ada', root)).status).toBe(403)
})

test('a server that demands a certificate of everybody does so on every route, before there is any', async () => {
  for (const path of ['/', '/public', '/backend', '/inherited/open']) {
    expect(await outcome(path, undefined, 'strict.test')).toBe(REQUIRED)
    expect(await outcome(path, stranger, 'strict.test')).toBe(INVALID)
  }
  expect(await outcome('/secret', scene.ada, 'strict.test')).toBe('SUCCESS CN=ada')
})

test('on a server that asks for no certificate, a route that demands one lets nobody in', async () => {
  expect(await outcome('/secret', scene.ada, 'plain.test')).toBe(REQUIRED)
  expect(await outcome('/ada', scene.ada, 'plain.test')).toBe(REQUIRED)
  expect(await outcome('/', scene.ada, 'plain.test')).toBe('NONE')
})

test('what has no route is refused for a bad certificate before it is not found', async () => {
  expect((await gateway.reload({ ...scene.config(), ...services(ROUTES.slice(1)) })).msg).toBe('reloaded')
  expect(await outcome('/nowhere', stranger)).toBe(INVALID)
  expect(await outcome('/nowhere')).toMatch(/^404 /)
})

test('an upgrade meets the same demands', async () => {
  const upgrade =
    'GET /secret HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n'
  const [answer] = await gateway.talk(upgrade)
  expect(answer?.status).toBe(400)
})

test.each<[string, object, object, string]>([
  [
    'a demand that no server can meet',
    { ssl_verify_client: 'off', ssl_client_certificate: undefined },
    { ssl_verify_client: 'on' },
    'no server asks for certificates',
  ],
  [
    'an exception that no server allows',
    { ssl_verify_client: 'on' },
    { ssl_verify_client: 'off' },
    'every server demands',
  ],
  [
    'names without a demand',
    {},
    { ssl_verify_allow: [{ subject: { CN: 'a' } }] },
    'stands without ssl_verify_client: on',
  ],
  [
    'an attribute that nobody knows',
    {},
    { ssl_verify_client: 'on', ssl_verify_allow: [{ subject: { Nope: 'a' } }] },
    'is no attribute',
  ],
])('a configuration with %s is refused', async (_what, server, route, message) => {
  const routes = [{ name: 'r', paths: ['/'], ...route }]
  const config = {
    ...scene.config(listenerOf(scene.server(server))),
    services: [{ name: 'api', url: scene.backend.url, routes }],
  }
  const { status, stdout, stderr } = await sallyport(['check', '-c', temporaryFile('a.yaml', JSON.stringify(config))])
  expect(status).not.toBe(0)
  expect(stdout + stderr).toContain(message)
})

test('a server that rejects every handshake neither forbids names without a demand nor allows an exception', async () => {
  const servers = [{ default_server: 'on', ssl_reject_handshake: 'on' }, scene.server({ ssl_verify_client: 'on' })]
  const check = (route: object) => {
    const services = [{ name: 'api', url: scene.backend.url, routes: [{ name: 'r', paths: ['/'], ...route }] }]
    const config = scene.config({ ...listenerOf(...servers), services })
    return sallyport(['check', '-c', temporaryFile('a.yaml', JSON.stringify(config))])
  }
  const named = await check({ ssl_verify_allow: [{ subject: { CN: 'a' } }] })
  expect([named.status, named.stderr]).toEqual([0, ''])
  const exempt = await check({ ssl_verify_client: 'off' })
  expect(exempt.stderr).toContain('every server demands')
})
