import { beforeAll, describe, expect, test } from '@jest/globals'
import type { Ask } from '../support/client.ts'
import type { Gateway } from '../support/gateway.ts'
import type { Issued } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway
let ada: Issued
let paula: Issued
let stranger: Issued

const login = (username: string) => ({
  username,
  basicauth_credentials: [{ username, password: `password of ${username}` }],
})
const certificateOf = (username: string) => ({ mtls_auth_credentials: [{ subject_name: username }] })

beforeAll(async () => {
  scene = await makeScene()
  ada = scene.clients.client('ada')
  paula = scene.clients.client('paula')
  stranger = scene.clients.client('stranger')
  gateway = await scene.start({
    ...listenerOf(
      scene.server({
        verify_and_map: true,
        authorization: { users: [{ user: 'paula', certificate: ['cn:paula'], password: 'both are needed' }] },
      }),
    ),
    identity_headers: { 'X-User': 'user' },
    consumers: [
      { ...login('ada'), ...certificateOf('ada') },
      { ...login('bob'), ...certificateOf('bob') },
      { username: 'certonly', ...certificateOf('certonly') },
    ],
    services: [
      {
        name: 'api',
        url: scene.backend.url,
        routes: [
          { name: 'both', paths: ['/both'], rules: [['certificate', 'password']] },
          { name: 'certificate', paths: ['/certificate'], rules: [['certificate']] },
          { name: 'mapped', paths: ['/mapped'] },
          { name: 'either', paths: ['/either'], rules: [['certificate'], ['password']] },
        ],
      },
    ],
  })
})

async function ask(path: string, as: Issued | undefined, user?: string, password = `password of ${user}`) {
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
  const options: Ask = { ...(as && { as }), headers: user === undefined ? {} : { authorization } }
  const answer = await gateway.get(path, options)
  return answer.status === 200 ? scene.backend.last.header('x-user')[0] : answer.status
}

describe('a rule of both', () => {
  test('lets in whose certificate and password are the same user’s', async () => {
    expect(await ask('/both', ada, 'ada')).toBe('ada')
  })

  test('refuses the certificate of one with the password of another; the log says who found whom', async () => {
    expect(await ask('/both', ada, 'bob')).toBe(401)
    await gateway.logged({ status: 401, detail: 'password found bob, but certificate found ada' })
  })

  test('refuses either alone', async () => {
    expect([await ask('/both', ada), await ask('/both', undefined, 'ada')]).toEqual([401, 401])
  })
})

describe('a rule of either: certificate or log-in on one address', () => {
  test('lets in by the one or by the other', async () => {
    expect([await ask('/either', ada), await ask('/either', undefined, 'bob')]).toEqual(['ada', 'bob'])
  })

  test('the first rule that is satisfied says who it is', async () => {
    expect(await ask('/either', ada, 'bob')).toBe('ada')
  })

  test('a certificate of nobody leaves the password', async () => {
    expect([await ask('/either', stranger), await ask('/either', stranger, 'bob')]).toEqual([401, 'bob'])
  })

  test('a user without a password cannot log in by name, not even with an empty one', async () => {
    for (const password of ['', 'password of certonly'])
      expect(await ask('/either', undefined, 'certonly', password)).toBe(401)
  })
})

describe('a password that a mapped user must give besides, as in NATS', () => {
  test('is asked for with the certificate, under whatever name', async () => {
    expect(await ask('/either', paula)).toBe(401)
    expect(await ask('/either', paula, 'paula', 'both are needed')).toBe('paula')
    expect(await ask('/either', paula, 'anybody', 'both are needed')).toBe('paula')
    expect(await ask('/either', paula, 'paula', 'wrong')).toBe(401)
  })

  test.each([
    ['the rule names the certificate alone', '/certificate'],
    ['the route leaves it to the server who is asked', '/mapped'],
  ])('does not reach the backend, even where %s', async (_, path) => {
    expect(await ask(path, paula)).toBe(401)
    expect(await ask(path, paula, 'paula', 'both are needed')).toBe('paula')
    expect(scene.backend.last.header('authorization')).toEqual([])
  })

  test('opens nothing without the certificate, nor with that of somebody else', async () => {
    expect(await ask('/either', undefined, 'paula', 'both are needed')).toBe(401)
    expect(await ask('/both', ada, 'paula', 'both are needed')).toBe(401)
  })
})
