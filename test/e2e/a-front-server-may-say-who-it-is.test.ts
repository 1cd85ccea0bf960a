import { expect, test } from '@jest/globals'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'

const consumers = [{ username: 'ada' }, { username: 'ada@example.org' }]
const demands = { rules: [['external']] }

function configured(scene: Scene, trusted_ips: string[]): Promise<Gateway> {
  return startGateway({
    config: scene.config({
      identity_headers: { 'X-User': 'user' },
      auth: { external: { header: 'Remote-User', trusted_ips } },
      consumers,
      services: [{ name: 'api', url: scene.backend.url, ...demands, routes: [{ name: 'everything', paths: ['/'] }] }],
    }),
  })
}

test('the header of a trusted server names the user; that of anybody else means nothing', async () => {
  const scene = await makeScene()
  const [trusting, wary] = await Promise.all([configured(scene, ['127.0.0.0/8']), configured(scene, ['192.0.2.0/24'])])
  const asked = (gateway: Gateway, name: string | string[]) => gateway.get('/', { headers: { 'remote-user': name } })

  for (const name of ['ada', 'ada@example.org']) {
    expect((await asked(trusting, name)).status).toBe(200)
    expect(scene.backend.last.header('x-user')).toEqual([name])
    expect(scene.backend.last.header('remote-user')).toEqual([])
  }
  for (const name of ['nobody', 'ADA', '', ['ada', 'ada'], ['ada', 'nobody']]) {
    expect([name, (await asked(trusting, name)).status]).toEqual([name, 401])
  }
  expect((await trusting.get('/', { headers: { remote_user: 'ada' } })).status).toBe(401)
  expect((await asked(wary, 'ada')).status).toBe(401)
  expect(scene.backend.seen).toHaveLength(2)
})
