import { createHash } from 'node:crypto'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { curl } from '../support/curl.ts'
import type { Gateway } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

let scene: Scene
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  const digest = createHash('sha256').update('digested-key').digest('hex')
  gateway = await scene.start({
    identity_headers: { 'X-User': 'user' },
    auth: { 'api-key': { key_names: ['apikey', 'X-API-Key', 'up'] } },
    consumers: [
      { username: 'ada', keyauth_credentials: [{ key: 'plain-key' }] },
      { username: 'bob', keyauth_credentials: [{ key: `sha256:${digest}` }] },
    ],
    services: [
      {
        name: 'api',
        url: scene.backend.url,
        rules: [['api-key']],
        routes: [
          { name: 'everything', paths: ['/'] },
          { name: 'forwarding', paths: ['/forwarding'], hide_credentials: false, strip_path: false },
        ],
      },
    ],
  })
})

const get = (path: string, ...args: string[]) =>
  curl(['--insecure', '--include', ...args, `https://localhost:${gateway.port}${path}`])

test.each([
  ['a header', '/x?a=1', ['--header', 'apikey: plain-key'], 'ada', '/x?a=1'],
  ['a header in any letter case', '/x', ['--header', 'x-api-KEY: digested-key'], 'bob', '/x'],
  ['the query', '/x?a=1&apikey=plain-key&b=%20', [], 'ada', '/x?a=1&b=%20'],
  ['the query alone', '/x?apikey=digested-key', [], 'bob', '/x'],
  ['the query in another spelling', '/x?%61pikey=plain-ke%79', [], 'ada', '/x'],
])('in %s: the backend learns the user, not the key', async (_, path, args, user, target) => {
  const { stdout } = await get(path, ...args)
  expect(stdout).toMatch(/^HTTP\/1.1 200/)
  const { last } = scene.backend
  expect([last.target, last.header('x-user')]).toEqual([target, [user]])
  expect(JSON.stringify([last.rawHeaders, last.target])).not.toMatch(/plain-key|digested-key/)
})

test('it goes on to the backend only where that is configured', async () => {
  await get('/forwarding?apikey=plain-key')
  expect(scene.backend.last.target).toBe('/forwarding?apikey=plain-key')
})

test.each(['apikey=plain-key', 'u%70=plain-key', '%61pikey=plain-key', 'token=plain-key&apikey=plain-key'])(
  'it does not stand in the log: %s',
  async (query) => {
    const before = gateway.log.length
    await get(`/?${query}`)
    await waitFor('the line of the request', () => gateway.log.slice(before).some(({ msg }) => msg === 'request'))
    expect(JSON.stringify(gateway.log)).not.toContain('plain-key')
  },
)

describe('401, and nothing for the backend', () => {
  test.each([
    ['without a key', '/x', []],
    ['with a wrong one', '/x', ['--header', 'apikey: plain-keY']],
    ['with an empty one', '/x', ['--header', 'apikey;']],
    [
      'with the digest of one',
      '/x',
      ['--header', `apikey: ${createHash('sha256').update('digested-key').digest('hex')}`],
    ],
    [
      'with the configuration’s text',
      '/x',
      ['--header', `apikey: sha256:${createHash('sha256').update('digested-key').digest('hex')}`],
    ],
    ['with the right one twice', '/x', ['--header', 'apikey: plain-key', '--header', 'apikey: plain-key']],
    ['with two under two names', '/x', ['--header', 'apikey: plain-key', '--header', 'X-API-Key: digested-key']],
    ['with one in a header and one in the query', '/x?apikey=plain-key', ['--header', 'apikey: plain-key']],
    ['with two in the query', '/x?apikey=plain-key&apikey=digested-key', []],
  ])('%s', async (_, path, args) => {
    const before = scene.backend.seen.length
    const { stdout } = await get(path, ...args)
    expect(stdout).toMatch(/^HTTP\/1.1 401/)
    expect(stdout).toMatch(/^WWW-Authenticate: Key realm="sallyport"\r$/m)
    expect(scene.backend.seen).toHaveLength(before)
  })
})
