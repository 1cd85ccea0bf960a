import { execFileSync } from 'node:child_process'
import { expect, test } from '@jest/globals'
import { makeScene } from '../support/scene.ts'

test('after five wrong passwords the right one must wait too, and others need not', async () => {
  const scene = await makeScene()
  const hash = execFileSync('openssl', ['passwd', '-6', 'right'], { encoding: 'utf8' }).trim()
  const login = (username: string) => ({ username, basicauth_credentials: [{ username, password: hash }] })
  const gateway = await scene.start({
    auth: { lockout: { backoff: '60s' } },
    consumers: [login('ada'), login('bob')],
    services: [
      { name: 'api', url: scene.backend.url, rules: [['password']], routes: [{ name: 'everything', paths: ['/'] }] },
    ],
  })
  const log = (name: string, password: string) =>
    gateway.get('/', { headers: { authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}` } })

  const guesses = await Promise.all(Array.from({ length: 12 }, (_, i) => log('ada', `guess ${i}`)))
  expect(guesses.map(({ status }) => status)).toEqual(Array(12).fill(401))
  expect(guesses.filter(({ headers }) => headers['retry-after'] !== undefined)).toHaveLength(7)

  const locked = await log('ada', 'right')
  expect([locked.status, Number(locked.headers['retry-after']) > 30]).toEqual([401, true])
  expect((await gateway.line(locked)).detail).toBe('password: too many attempts for "ada"')
  expect((await log('bob', 'right')).status).toBe(200)
  expect(scene.backend.seen).toHaveLength(1)
})
