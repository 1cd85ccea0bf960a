import { expect, test } from '@jest/globals'
import { CLOUD, identityService, issueToken } from '../support/identity.ts'
import { makeScene } from '../support/scene.ts'

/** Each request has a connection of its own, so that all workers are asked. */
const CONNECTIONS = 24

test('a token that one worker issued lets in at all of them, and at none once it is revoked', async () => {
  const scene = await makeScene()
  const gateway = await scene.start({
    ...CLOUD,
    workers: 2,
    services: [
      identityService(['/identity']),
      { name: 'api', url: scene.backend.url, rules: [['token']], routes: [{ name: 'api', paths: ['/api'] }] },
    ],
  })
  const token = await issueToken(gateway, 'ada')
  const headers = { 'x-auth-token': token }
  const statuses = async () => {
    const answers = await Promise.all(Array.from({ length: CONNECTIONS }, () => gateway.get('/api', { headers })))
    return [...new Set(answers.map(({ status }) => status))]
  }
  expect(await statuses()).toEqual([200])
  const subject = { ...headers, 'x-subject-token': token }
  expect(await gateway.get('/identity/v3/auth/tokens', { method: 'DELETE', headers: subject })).toMatchObject({
    status: 204,
  })
  expect(await statuses()).toEqual([401])
})
