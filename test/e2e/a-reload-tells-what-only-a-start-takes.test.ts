import { beforeAll, expect, test } from '@jest/globals'
import { freePort } from '../support/free-port.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

let scene: Scene
beforeAll(async () => {
  scene = await makeScene()
})

test.each([1, 2])('with %d workers, a reload warns of a changed admin.listen and workers', async (workers) => {
  const gateway = await scene.start({ workers })
  const warnings = () => gateway.log.filter(({ level }) => level === 'warn').map(({ setting, msg }) => [setting, msg])
  const untold = warnings().length
  await gateway.reload({ ...scene.config({ admin: { listen: `127.0.0.1:${await freePort()}` } }), workers: 3 })
  const later = 'a change takes effect at the next start; until then it is'
  await waitFor('both warnings', () => warnings().length >= untold + 2)
  expect(warnings().slice(untold)).toEqual([
    ['workers', expect.stringContaining(`workers: ${later} ${workers}`)],
    ['admin.listen', expect.stringContaining(`admin.listen: ${later} 127.0.0.1:0`)],
  ])
  expect((await gateway.getAdmin('/readyz')).status).toBe(200)
  // What is as at the start needs none, and is told of no more.
  await gateway.reload(scene.config({ workers }))
  await gateway.reload(scene.config({ workers }))
  expect(warnings()).toHaveLength(untold + 2)
})

test.each([1, 2])('with %d workers, a reload takes another log.level', async (workers) => {
  const mapping = { verify_and_map: true, authorization: { users: [{ user: { from: 'subject.cn' } }] } }
  const parts = { workers, ...listenerOf(scene.server(mapping)) }
  const gateway = await scene.start(parts)
  const debugged = () => gateway.log.filter(({ level }) => level === 'debug').length
  await gateway.get('/', { as: scene.ada })
  await gateway.reload(scene.config({ ...parts, log: { level: 'debug' } }))
  await waitFor('all to have it', () => gateway.log.filter(({ msg }) => msg === 'reloaded').length >= workers)
  for (let i = 0; i < workers; i++) await gateway.get('/', { as: scene.clients.client('bob') })
  await waitFor('a line for each', () => debugged() >= workers)
})
