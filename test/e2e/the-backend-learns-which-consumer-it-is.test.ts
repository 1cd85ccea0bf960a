import { beforeAll, describe, expect, test } from '@jest/globals'
import type { Ask } from '../support/client.ts'
import type { Gateway } from '../support/gateway.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

const HEADERS = {
  'X-Consumer-Username': 'user',
  'X-Consumer-ID': 'user_id',
  'X-Consumer-Custom-ID': 'custom_id',
  'X-Consumer-Groups': 'groups',
  'X-Credential-Identifier': 'credential',
  'X-Anonymous-Consumer': 'anonymous',
  'Remote-User': 'user',
}
/** What a client makes up: none of it may come through, whatever the route finds. */
const FORGED = {
  ...Object.fromEntries(Object.keys(HEADERS).map((name) => [name, 'forged'])),
  x_consumer_username: 'forged',
  'X-CONSUMER_groups': 'forged',
  remote_user: 'forged',
}
const KIM = {
  'x-consumer-username': 'kim',
  'x-consumer-id': 'id-of-kim',
  'x-consumer-custom-id': '42',
  'x-consumer-groups': 'staff,writers',
  'remote-user': 'kim',
}
const GUEST = { 'x-consumer-username': 'guest', 'x-consumer-id': 'guest', 'remote-user': 'guest' }
const NOBODY = { 'x-anonymous-consumer': 'true' }

/** `HH:00-HH:00` in UTC, so many hours from now. */
function hours(from: number, to: number): string {
  const at = (hour: number) => `${String((new Date().getUTCHours() + hour + 48) % 24).padStart(2, '0')}:00`
  return `${at(from)}-${at(to)}`
}

let scene: Scene
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  const route = (name: string, more: object) => ({ name, paths: [`/${name}`], ...more })
  gateway = await scene.start({
    ...listenerOf(scene.server()),
    identity_headers: HEADERS,
    consumers: [
      {
        ...{ id: 'id-of-kim', username: 'kim', custom_id: '42', groups: ['staff'], acls: [{ group: 'writers' }] },
        keyauth_credentials: [{ id: 'key-1', key: 'the key of kim' }],
        mtls_auth_credentials: [{ id: 'cert-1', subject_name: 'kim' }],
      },
      { username: 'guest' },
    ],
    services: [
      {
        name: 'api',
        url: scene.backend.url,
        routes: [
          route('certificate', { rules: [['certificate']] }),
          route('either', { rules: [['api-key'], ['certificate']] }),
          route('guests', { default_consumer: 'guest' }),
          route('open', { rules: [['api-key'], ['certificate']], anonymous: true }),
          route('open-guests', { rules: [['certificate']], anonymous: true, default_consumer: 'guest' }),
          route('now', { rules: [['certificate']], allow: [{ users: ['kim'], times: [hours(-1, 2)] }] }),
          route('later', { rules: [['certificate']], allow: [{ users: ['kim'], times: [hours(3, 5)] }] }),
          route('not-now', {
            rules: [['certificate']],
            allow: [{ users: ['kim'] }],
            deny: [{ times: [hours(-1, 2)] }],
          }),
          route('not-later', {
            rules: [['certificate']],
            allow: [{ users: ['kim'] }],
            deny: [{ times: [hours(3, 5)] }],
          }),
        ],
      },
    ],
  })
})

/** The headers of the backend that say who is calling, or the status of a refusal. */
async function seen(path: string, options: Ask = {}): Promise<unknown> {
  const { headers = {}, ...rest } = options
  const answer = await gateway.get(path, { ...rest, headers: { ...FORGED, ...headers } })
  if (answer.status !== 200) return answer.status
  const told = scene.backend.last.headers.filter(([name]) => /consumer|credential|remote.user/i.test(name))
  return Object.fromEntries(told.map(([name, value]) => [name.toLowerCase(), value]))
}

const client = (name: string): Ask => ({ as: scene.clients.client(name) })
const KEY: Ask = { headers: { apikey: 'the key of kim' } }

describe('whom a route finds', () => {
  test.each<[string, string, () => Ask, unknown]>([
    [
      'by a certificate, with its credential',
      '/certificate',
      () => client('kim'),
      { ...KIM, 'x-credential-identifier': 'cert-1' },
    ],
    ['by a key, with its credential', '/either', () => KEY, { ...KIM, 'x-credential-identifier': 'key-1' }],
    ['nobody: refused', '/either', () => ({}), 401],
    ['a certificate of nobody: refused', '/certificate', () => client('stranger'), 401],
    ['a certificate of nobody where default_consumer stands for it', '/guests', () => client('stranger'), GUEST],
    [
      'a certificate of somebody there',
      '/guests',
      () => client('kim'),
      { ...KIM, 'x-credential-identifier': 'cert-1' },
    ],
    ['no certificate there: refused', '/guests', () => ({}), 401],
    ['nobody where anonymous lets pass', '/open', () => ({}), NOBODY],
    ['somebody there', '/open', () => KEY, { ...KIM, 'x-credential-identifier': 'key-1' }],
    ['a wrong key there: refused', '/open', () => ({ headers: { apikey: 'wrong' } }), 401],
    ['nobody where both are', '/open-guests', () => ({}), NOBODY],
    ['a certificate of nobody there', '/open-guests', () => client('stranger'), GUEST],
    [
      'a certificate of somebody there',
      '/open-guests',
      () => client('kim'),
      { ...KIM, 'x-credential-identifier': 'cert-1' },
    ],
  ])('%s (%s)', async (_, path, options, expected) => {
    expect(await seen(path, options())).toEqual(expected)
  })
})

test('a time of day lets pass and refuses', async () => {
  const status = async (path: string) => (await gateway.get(path, client('kim'))).status
  expect([await status('/now'), await status('/later')]).toEqual([200, 403])
  expect([await status('/not-now'), await status('/not-later')]).toEqual([403, 200])
})
