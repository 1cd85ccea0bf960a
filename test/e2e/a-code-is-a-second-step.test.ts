import { beforeAll, beforeEach, expect, test } from '@jest/globals'
import { curl } from '../support/curl.ts'
import type { Gateway } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { totpCode } from '../support/totp.ts'
import { waitFor } from '../support/wait.ts'

const SECRET = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'
let scene: Scene
let gateway: Gateway
let user = 0

beforeAll(async () => {
  scene = await makeScene()
  const people = Array.from({ length: 12 }, (_, i) => ({
    username: `user${i}`,
    basicauth_credentials: [{ username: `user${i}`, password: `password ${i}` }],
    totp_credentials: [{ secret: SECRET }],
  }))
  gateway = await scene.start({
    identity_headers: { 'X-User': 'user' },
    consumers: [...people, { username: 'codeless', basicauth_credentials: [{ username: 'codeless', password: 'x' }] }],
    services: [
      {
        name: 'api',
        url: scene.backend.url,
        routes: [
          { name: 'two', paths: ['/two'], rules: [['password', 'totp']] },
          { name: 'one', paths: ['/one'], rules: [['password']] },
        ],
      },
    ],
  })
})

// Each test has a user of its own, since a code counts once, and begins well within a time step, so that its codes stay what they are.
beforeEach(async () => {
  user += 1
  await waitFor('the next code', () => Date.now() % 30_000 < 24_000, 10)
})

const me = () => `user${user}:password ${user}`
const get = (path: string, ...args: string[]) =>
  curl(['--insecure', '--include', ...args, `https://localhost:${gateway.port}${path}`])
const withCode = (code: string) => ['--header', `X-OTP: ${code}`]
const receiptOf = (stdout: string) => /^Openstack-Auth-Receipt: (\S+)\r$/m.exec(stdout)?.[1] ?? ''

test('password and code together', async () => {
  const { stdout } = await get('/two', '--user', me(), ...withCode(totpCode(SECRET)))
  expect(stdout).toMatch(/^HTTP\/1.1 200/)
  expect(scene.backend.last.header('x-user')).toEqual([`user${user}`])
  expect(scene.backend.last.header('x-otp')).toEqual([])
})

test('the password first: 401 names what is missing, and its receipt with the code is enough', async () => {
  const first = await get('/two', '--user', me())
  expect(first.stdout).toMatch(/^HTTP\/1.1 401/)
  expect(first.stdout).toMatch(/^WWW-Authenticate: TOTP realm="sallyport", header="X-OTP"\r$/m)
  expect(first.stdout).not.toMatch(/^WWW-Authenticate: Basic/m)
  const body = JSON.parse(first.stdout.slice(first.stdout.indexOf('\r\n\r\n')))
  expect(body).toMatchObject({
    code: 'GW_UNAUTHENTICATED',
    receipt: {
      methods: ['password'],
      user: { id: `user${user}`, name: `user${user}`, domain: { id: 'default', name: 'Default' } },
    },
    required_auth_methods: [['password', 'totp']],
  })
  expect(body.receipt.expires_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)

  const receipt = ['--header', `Openstack-Auth-Receipt: ${receiptOf(first.stdout)}`]
  expect((await get('/two', ...receipt)).stdout).toMatch(/^HTTP\/1.1 401/)
  const second = await get('/two', ...receipt, ...withCode(totpCode(SECRET)))
  expect(second.stdout).toMatch(/^HTTP\/1.1 200/)
  expect(scene.backend.last.header('openstack-auth-receipt')).toEqual([])
})

test('a receipt lets nobody in alone, not even where the password is all that is asked', async () => {
  const receipt = receiptOf((await get('/two', '--user', me())).stdout)
  expect(receipt).not.toBe('')
  expect((await get('/one', '--header', `Openstack-Auth-Receipt: ${receipt}`)).stdout).toMatch(/^HTTP\/1.1 401/)
})

test('a receipt belongs to the certificate that was shown with the password', async () => {
  const credentials = Buffer.from(me()).toString('base64')
  const first = await gateway.get('/two', { as: scene.ada, headers: { authorization: `Basic ${credentials}` } })
  const headers = {
    'openstack-auth-receipt': String(first.headers['openstack-auth-receipt']),
    'x-otp': totpCode(SECRET),
  }
  const asks = [{}, { as: scene.clients.client('ada') }, { as: scene.ada }]
  const statuses: number[] = []
  for (const ask of asks) statuses.push((await gateway.get('/two', { ...ask, headers })).status)
  expect(statuses).toEqual([401, 401, 200])
})

test('no code counts twice', async () => {
  const code = totpCode(SECRET)
  const answers = await Promise.all([1, 2, 3].map(() => get('/two', '--user', me(), ...withCode(code))))
  expect(answers.map(({ stdout }) => stdout.slice(9, 12)).sort()).toEqual(['200', '401', '401'])
  await waitFor('the reason in the log', () =>
    gateway.log.find(({ detail }) => detail === `totp: the code of user${user} was used already`),
  )
})

test('the code before the present one counts, an older or a coming one does not', async () => {
  const at = async (steps: number) => {
    const { stdout } = await get('/two', '--user', me(), ...withCode(totpCode(SECRET, steps)))
    user += 1
    return stdout.slice(9, 12)
  }
  expect([await at(-3), await at(3), await at(-1)]).toEqual(['401', '401', '200'])
})

test.each(['000000', '12345', '1234567', 'abcdef', '１２３４５６', ''])('the code "%s" is wrong', async (code) => {
  expect((await get('/two', '--user', 'user11:password 11', ...withCode(code))).stdout).toMatch(/^HTTP\/1.1 401/)
})

test('a wrong password with the right code, or a user without a generator: 401', async () => {
  const { stdout } = await get('/two', '--user', `user${user}:wrong`, ...withCode(totpCode(SECRET)))
  expect(stdout).toMatch(/^HTTP\/1.1 401/)
  expect(stdout).not.toMatch(/Openstack-Auth-Receipt/)
  const codeless = await get('/two', '--user', 'codeless:x', ...withCode(totpCode(SECRET)))
  expect(codeless.stdout).toMatch(/^HTTP\/1.1 401/)
})
