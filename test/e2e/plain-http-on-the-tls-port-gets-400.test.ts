import { beforeAll, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
beforeAll(async () => {
  scene = await makeScene()
})

// With one trust policy sockets go straight to TLS, with several their first bytes are read before.
const LAYOUTS: readonly [string, (scene: Scene) => object][] = [
  ['one trust policy', (s) => s.config()],
  [
    'several trust policies',
    (s) => s.config(listenerOf(s.server(), s.server({ server_names: ['off.test'], ssl_verify_client: 'off' }))),
  ],
]

test.each(LAYOUTS)('in plain HTTP, in words that a person understands: %s', async (_name, config) => {
  const gateway: Gateway = await scene.start(config(scene) as Parameters<Scene['start']>[0])
  const answers = await gateway.talk('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', { plain: true })
  expect(answers.map(({ status }) => status)).toEqual([400])
  expect(answers[0]?.body).toContain('The plain HTTP request was sent to HTTPS port')
  expect(answers[0]?.body).toContain('GW_PLAIN_HTTP')
  expect(await gateway.logged({ code: 'GW_PLAIN_HTTP' })).toMatchObject({ status: 400 })
  const accept = 'Accept: text/html,application/xhtml+xml,*/*;q=0.8'
  const [page] = await gateway.talk(`GET / HTTP/1.1\r\nHost: localhost\r\n${accept}\r\n\r\n`, { plain: true })
  expect(page?.body).toContain('<title>400 The plain HTTP request was sent to HTTPS port</title>')
  expect(scene.backend.seen).toEqual([])
})

test.each(LAYOUTS)('and other garbage is cut off without harm: %s', async (_name, config) => {
  const gateway = await scene.start(config(scene) as Parameters<Scene['start']>[0])
  for (const garbage of [
    '\x00\x01\x02\x03',
    '\x16\x03\x01\xff\xff',
    '\x16\x03\x01\x00\x05hello',
    'SSH-2.0-OpenSSH_9\r\n',
  ]) {
    const connection = await gateway.open({ plain: true })
    connection.write(garbage)
    connection.socket.end()
    await connection.untilClosed()
  }
  expect((await gateway.get('/')).status).toBe(200)
})
