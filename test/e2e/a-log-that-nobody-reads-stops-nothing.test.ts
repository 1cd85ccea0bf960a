import { beforeAll, expect, test } from '@jest/globals'
import { temporaryFile } from '../support/folder.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor, within } from '../support/wait.ts'

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

test.each([1, 2])('%i processes serve on where nobody reads their standard error', async (workers) => {
  const warning = `const { isWorker } = require('node:cluster')
    if (isWorker || ${workers} === 1) setInterval(() => {
      process.emitWarning('of Node, which it writes to standard error')
      process.stdout.write('{"msg":"warned"}\\n')
    }, 50)`
  const env = { NODE_OPTIONS: `--require=${temporaryFile('warning.cjs', warning)}` }
  const gateway = await scene.start({ workers }, { env })
  const warned = () => gateway.log.filter(({ msg }) => msg === 'warned').length
  await waitFor('a warning', () => gateway.child.stderr.includes('standard error'))
  gateway.child.process.stderr.destroy()
  const before = warned()
  await waitFor('more warnings', () => warned() > before + 10)
  expect((await gateway.get('/')).status).toBe(200)
  expect(gateway.log.filter(({ level }) => level === 'fatal')).toEqual([])
})
