import { readFileSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import { makeScene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

/** Longer than the supervisor waits for a worker's answer. */
const PATIENCE = 30

test('a worker that hangs is told of, and the others have the new configuration', async () => {
  const scene = await makeScene()
  const gateway = await scene.start({ workers: 2 })
  const { pid } = gateway.child
  const [hanging = 0] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number)
  process.kill(hanging, 'SIGSTOP')
  try {
    const services = [{ name: 'api', url: scene.backend.url, routes: [{ name: 'new', paths: ['/new'] }] }]
    await gateway.reload({ ...scene.config({ services }), workers: 2 })
    await gateway.logged({ msg: 'a worker does not say whether it has reloaded', worker: 1 }, PATIENCE)
    await waitFor(
      'the other one',
      () => gateway.log.some(({ msg, worker }) => msg === 'reloaded' && worker === 2),
      PATIENCE,
    )
  } finally {
    process.kill(hanging, 'SIGCONT')
  }
  await waitFor(
    'the one that hung',
    () => gateway.log.some(({ msg, worker }) => msg === 'reloaded' && worker === 1),
    PATIENCE,
  )
  expect((await gateway.get('/old', { as: scene.ada })).status).toBe(404)
})
