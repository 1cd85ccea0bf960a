import { execFileSync } from 'node:child_process'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { curl } from '../support/curl.ts'
import type { Gateway } from '../support/gateway.ts'
import { sallyport } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway

const run = (command: string, ...args: string[]) => execFileSync(command, args, { encoding: 'utf8' }).trim()

beforeAll(async () => {
  scene = await makeScene()
  const { stdout } = await sallyport(['hash'], { input: 'argon-password\n' })
  gateway = await scene.start({
    identity_headers: { 'X-User': 'user', 'X-User-ID': 'user_id', 'X-Credential-Identifier': 'credential' },
    consumers: [
      {
        id: 'u-1',
        username: 'ada',
        basicauth_credentials: [
          { id: 'c-argon', username: 'ada', password: stdout.trim() },
          {
            id: 'c-bcrypt',
            username: 'ada-htpasswd',
            password: run('htpasswd', '-nbB', 'x', 'bcrypt-password').slice(2),
          },
        ],
      },
      {
        username: 'bob',
        basicauth_credentials: [
          { username: 'bob', password: run('openssl', 'passwd', '-6', 'sha-password') },
          { username: 'bob-clear', password: 'clear: password' },
        ],
      },
    ],
    services: [
      {
        name: 'api',
        url: scene.backend.url,
        rules: [['password']],
        routes: [
          { name: 'closed', paths: ['/closed'] },
          { name: 'forwarding', paths: ['/forwarding'], hide_credentials: false },
          { name: 'anonymous', paths: ['/anonymous'], anonymous: true },
          { name: 'both', paths: ['/both'], rules: [['certificate', 'password']], anonymous: true },
        ],
      },
    ],
  })
})

const get = (path: string, ...args: string[]) =>
  curl(['--insecure', '--include', ...args, `https://localhost:${gateway.port}${path}`])

test.each([
  ['ada:argon-password', 'ada', 'u-1', 'c-argon'],
  ['ada-htpasswd:bcrypt-password', 'ada', 'u-1', 'c-bcrypt'],
  ['bob:sha-password', 'bob', 'bob', undefined],
  ['bob-clear:clear: password', 'bob', 'bob', undefined],
])('curl --user %s is %s for the backend', async (credentials, name, id, credential) => {
  const { stdout } = await get('/closed', '--user', credentials)
  expect(stdout).toMatch(/^HTTP\/1.1 200/)
  const { last } = scene.backend
  expect([last.header('x-user'), last.header('x-user-id')]).toEqual([[name], [id]])
  expect(last.header('x-credential-identifier')).toEqual(credential ? [credential] : [])
})

test('the password itself does not reach the backend, unless that is configured', async () => {
  await get('/closed', '--user', 'bob:sha-password')
  expect(scene.backend.last.header('authorization')).toEqual([])
  await get('/forwarding', '--user', 'bob:sha-password')
  expect(scene.backend.last.header('authorization')).toEqual([expect.stringMatching(/^Basic /)])
  await get('/closed', '--user', 'bob:sha-password', '--header', 'X-Other: kept')
  expect(scene.backend.last.header('x-other')).toEqual(['kept'])
})

test('nobody without a password: 401, which says how', async () => {
  const { stdout } = await get('/closed')
  expect(stdout).toMatch(/^HTTP\/1.1 401/)
  expect(stdout).toMatch(/^WWW-Authenticate: Basic realm="sallyport", charset="UTF-8"\r$/m)
  expect(stdout).toContain('"code":"GW_UNAUTHENTICATED"')
})

test('a wrong password and an unknown name get the same answer; the log tells them apart', async () => {
  const answers = await Promise.all(
    ['bob:wrong', 'nobody:wrong'].map((credentials) => get('/closed', '--user', credentials)),
  )
  const [wrong, unknown] = answers.map(({ stdout }) =>
    stdout.replace(/^Date:.*$/m, '').replaceAll(/[0-9a-f-]{16,}/g, 'ID'),
  )
  expect(unknown).toBe(wrong)
  expect(await gateway.logged({ detail: 'password: wrong password for "bob"' })).toMatchObject({ status: 401 })
  await gateway.logged({ detail: 'password: nobody is named "nobody"' })
  expect(JSON.stringify(gateway.log)).not.toMatch(/:wrong|Ym9iOndyb25n/)
})

test('a route with anonymous lets pass who says nothing, and nobody who says something wrong', async () => {
  expect((await get('/anonymous')).stdout).toMatch(/^HTTP\/1.1 200/)
  expect(scene.backend.last.header('x-user')).toEqual([])
  expect((await get('/anonymous', '--user', 'bob:wrong')).stdout).toMatch(/^HTTP\/1.1 401/)
})

test('nor where the rule asks for a certificate first, which is not there', async () => {
  expect((await get('/both')).stdout).toMatch(/^HTTP\/1.1 200/)
  expect((await get('/both', '--user', 'bob:wrong')).stdout).toMatch(/^HTTP\/1.1 401/)
})

describe('hostile credentials are refused, and never reach the backend', () => {
  const b64 = (text: string | Buffer) => Buffer.from(text).toString('base64')
  test.each([
    ['no base64', ['Authorization: Basic %%%%']],
    ['base64 with something after it', [`Authorization: Basic ${b64('bob:sha-password')}!`]],
    ['base64 of the web', [`Authorization: Basic ${Buffer.from('bob:sha-password??>').toString('base64url')}`]],
    ['nothing', ['Authorization: Basic']],
    ['no colon', [`Authorization: Basic ${b64('bob')}`]],
    ['no name', [`Authorization: Basic ${b64(':sha-password')}`]],
    ['a NUL', [`Authorization: Basic ${b64('bob:sha-password\0')}`]],
    ['no UTF-8', [`Authorization: Basic ${b64(Buffer.from([0x62, 0x3a, 0xff]))}`]],
    ['much', [`Authorization: Basic ${b64(`bob:${'x'.repeat(8000)}`)}`]],
    [
      'two of them',
      [`Authorization: Basic ${b64('bob:sha-password')}`, `Authorization: Basic ${b64('bob:sha-password')}`],
    ],
    ['another scheme before it', ['Authorization: Bearer x', `Authorization: Basic ${b64('bob:sha-password')}`]],
    ['another scheme', ['Authorization: Digest username="bob"']],
  ])('%s', async (_, headers) => {
    const before = scene.backend.seen.length
    const { stdout } = await get('/closed', ...headers.flatMap((header) => ['--header', header]))
    expect(stdout).toMatch(/^HTTP\/1.1 401/)
    expect(scene.backend.seen).toHaveLength(before)
  })
})
