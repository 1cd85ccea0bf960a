import { beforeAll, expect, test } from '@jest/globals'
import { run } from '../support/children.ts'
import type { Gateway } from '../support/gateway.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  gateway = await scene.start(
    listenerOf({ default_server: 'on', ssl_reject_handshake: 'on' }, scene.server(), {
      server_names: ['closed.localhost'],
      ssl_reject_handshake: 'on',
    }),
  )
})

async function alertFor(name: readonly string[], tls: string): Promise<string | undefined> {
  const args = ['s_client', '-connect', `127.0.0.1:${gateway.port}`, `-${tls}`, ...name]
  const { stderr } = await run('openssl', args, { input: '' })
  return /SSL alert number \d+/.exec(stderr)?.[0]
}

test.each(['tls1_2', 'tls1_3'])(
  'unrecognized_name is the alert for unknown names and for none, over %s',
  async (tls) => {
    expect(await alertFor(['-servername', 'other.test'], tls)).toBe('SSL alert number 112')
    expect(await alertFor(['-noservername'], tls)).toBe('SSL alert number 112')
    expect(await alertFor(['-servername', 'closed.localhost'], tls)).toBe('SSL alert number 112')
    expect(await alertFor(['-servername', 'localhost'], tls)).toBeUndefined()
  },
)

test('the log tells of it', async () => {
  await alertFor(['-servername', 'other.test'], 'tls1_3')
  const { reason } = await gateway.logged({ msg: 'handshake failed', server_name: 'other.test' })
  expect(reason).toContain('ssl_reject_handshake')
})

test('nobody comes by such a name through the connection of another', async () => {
  expect((await gateway.get('/')).status).toBe(200)
  for (const host of ['other.test', 'closed.localhost']) {
    expect((await gateway.get('/', { host, servername: 'localhost' })).status).toBe(421)
  }
})
