import { beforeAll, expect, test } from '@jest/globals'
import { makeScene, type Scene } from '../support/scene.ts'
import { within } from '../support/wait.ts'

/** Together more than any pipe holds. */
const REQUESTS = 40
const headers = { 'User-Agent': 'x'.repeat(15_000) }

let scene: Scene

beforeAll(async () => {
  scene = await makeScene()
})

test.each([1, 2])('%i processes serve on, and stop when they are told to', async (workers) => {
  const gateway = await scene.start({ workers, shutdown: { keepalive_timeout: '10ms' } })
  gateway.child.process.stdout.pause()
  const statuses = await Promise.all(
    Array.from({ length: REQUESTS }, async () => (await gateway.get('/', { headers })).status),
  )
  expect(statuses).toEqual(statuses.map(() => 200))
  const { pid } = gateway.child
  process.kill(pid, 'SIGTERM')
  const ended = new Promise((resolve) => gateway.child.process.once('exit', (status) => resolve(status)))
  expect(await within(10, 'the end', ended)).toBe(0)
})
