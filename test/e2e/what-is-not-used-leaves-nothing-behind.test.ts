import { readdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { beforeAll, expect, test } from '@jest/globals'
import { whenFileEnds } from '../support/cleanup.ts'
import { temporaryFile } from '../support/folder.ts'
import { freePort } from '../support/free-port.ts'
import { refusedStart, sallyport } from '../support/gateway.ts'
import { type GatewayConfig, makeScene, type Scene } from '../support/scene.ts'

/** A method plugin has a thread of its own, which would keep a process from ending. */
let scene: Scene
let threaded: GatewayConfig
let taken: number
beforeAll(async () => {
  scene = await makeScene()
  const module = temporaryFile('plugin.mjs', "export const authenticate = (_c, _p, found) => { found.user_id = 'ada' }")
  threaded = { method_plugins: [{ name: 'always', module }] }
  taken = await freePort()
  const holder = createServer().listen(taken, '127.0.0.1')
  whenFileEnds(() => holder.close())
})

/** One more listener, at a port that somebody has. */
const onTakenPort = (): GatewayConfig => {
  const listeners = ['127.0.0.1:0', `127.0.0.1:${taken}`].map((listen) => ({ listen, servers: [scene.server()] }))
  return scene.config({ ...threaded, listeners })
}

test('a check ends', async () => {
  const file = temporaryFile('gateway.yaml', JSON.stringify(scene.config(threaded)))
  expect(await sallyport(['check', '-c', file])).toMatchObject({ status: 0 })
})

test.each<[string, () => GatewayConfig]>([
  ['a listener', onTakenPort],
  ['the admin', () => scene.config({ ...threaded, admin: { listen: `127.0.0.1:${taken}` } })],
])('a start ends where the address of %s is taken', async (_whose, config) => {
  expect(await refusedStart({ config: config() })).toMatchObject({
    status: 1,
    stderr: expect.stringContaining(`127.0.0.1:${taken}`),
  })
})

test('a reload that is refused leaves no thread', async () => {
  const gateway = await scene.start(threaded)
  const threads = () => readdirSync(`/proc/${gateway.child.pid}/task`).length
  const refuse = async () => expect(await gateway.reload(onTakenPort())).toMatchObject({ level: 'error' })
  // The first reload starts what later ones use again.
  await refuse()
  const before = threads()
  for (let i = 0; i < 4; i++) await refuse()
  expect(threads()).toBeLessThanOrEqual(before + 1)
})
