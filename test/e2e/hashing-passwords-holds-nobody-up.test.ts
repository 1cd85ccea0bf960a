import { execFileSync } from 'node:child_process'
import { expect, test } from '@jest/globals'
import { json } from '../support/client.ts'
import { makeScene } from '../support/scene.ts'

test('while passwords are hashed others are served, and more than may wait are told so', async () => {
  const scene = await makeScene()
  const hash = execFileSync('htpasswd', ['-nbBC', '12', 'x', 'right'], { encoding: 'utf8' }).trim().slice(2)
  const gateway = await scene.start({
    auth: { password: { queue: 2 } },
    consumers: [{ username: 'ada', basicauth_credentials: [{ username: 'ada', password: hash }] }],
    services: [
      {
        name: 'api',
        url: scene.backend.url,
        routes: [
          { name: 'open', paths: ['/open'] },
          { name: 'closed', paths: ['/closed'], rules: [['password']] },
        ],
      },
    ],
  })
  const finished: string[] = []
  const guess = async (name: string) => {
    const authorization = `Basic ${Buffer.from(`${name}:wrong`).toString('base64')}`
    const answer = await gateway.get('/closed', { headers: { authorization } })
    finished.push(`${answer.status}`)
    return answer
  }
  const guesses = Array.from({ length: 8 }, (_, i) => guess(`stranger ${i}`))
  const refused = await Promise.any(
    guesses.map(async (each) => ((await each).status === 503 ? each : Promise.reject())),
  )
  expect(json(await refused).code).toBe('GW_OVERLOADED')
  // One is being hashed and two wait, for seconds; this answer overtakes them.
  expect((await gateway.get('/open')).status).toBe(200)
  finished.push('open')
  await Promise.all(guesses)
  expect(finished.indexOf('open')).toBeLessThan(finished.lastIndexOf('401'))
  expect(finished.filter((status) => status === '401').length).toBeGreaterThanOrEqual(3)
})
