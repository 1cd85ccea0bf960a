import { expect, test } from '@jest/globals'
import { makeScene } from '../support/scene.ts'

test('an application credential is its owner, until it ends', async () => {
  const scene = await makeScene()
  const gateway = await scene.start({
    identity_headers: { 'X-User': 'user', 'X-Credential-Identifier': 'credential' },
    consumers: [
      {
        username: 'ada',
        basicauth_credentials: [{ username: 'ada', password: 'password of ada' }],
        application_credentials: [
          { id: 'app-1', name: 'ci', secret: 'secret of ci' },
          { id: 'app-2', secret: 'secret of the past', expires_at: '2020-01-01T00:00:00Z' },
          { id: 'app-3', secret: 'secret of the future', expires_at: '2220-01-01T00:00:00Z' },
        ],
      },
      { username: 'app-1' },
    ],
    services: [
      {
        name: 'api',
        url: scene.backend.url,
        routes: [
          { name: 'programs', paths: ['/programs'], rules: [['application_credential']] },
          { name: 'people', paths: ['/people'], rules: [['password']] },
          { name: 'both', paths: ['/both'], rules: [['password'], ['application_credential']] },
        ],
      },
    ],
  })
  const log = async (path: string, name: string, secret: string) => {
    const authorization = `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`
    return (await gateway.get(path, { headers: { authorization } })).status
  }

  expect(await log('/programs', 'app-1', 'secret of ci')).toBe(200)
  const { last } = scene.backend
  expect([last.header('x-user'), last.header('x-credential-identifier')]).toEqual([['ada'], ['app-1']])
  expect(last.header('authorization')).toEqual([])
  expect(await log('/programs', 'app-3', 'secret of the future')).toBe(200)
  expect(await log('/both', 'app-1', 'secret of ci')).toBe(200)
  expect(await log('/both', 'ada', 'password of ada')).toBe(200)

  expect(await log('/programs', 'app-2', 'secret of the past')).toBe(401)
  expect(await log('/programs', 'app-1', 'secret of the future')).toBe(401)
  expect(await log('/programs', 'ada', 'password of ada')).toBe(401)
  expect(await log('/people', 'app-1', 'secret of ci')).toBe(401)
  expect(scene.backend.seen).toHaveLength(4)
})
