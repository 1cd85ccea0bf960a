import { expect, test } from '@jest/globals'
import { temporaryFile } from '../support/folder.ts'
import { makeScene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

/** Tells what V8 is told. */
const probe = `
import { writeSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import v8 from 'node:v8'
const { setFlagsFromString } = v8
v8.setFlagsFromString = (flag) => {
  writeSync(2, flag + '\\n')
  setFlagsFromString(flag)
}
syncBuiltinESMExports()`
/** V8 begins to collect with the next allocation. */
const AT_ONCE = '--incremental-marking-soft-trigger=1\n'

test.each([
  ['that was taken', undefined],
  ['that was refused', 'listeners: [{ lisstenn: 1 }]'],
])('after a reload %s V8 is told to collect at once, and only then', async (_what, broken) => {
  const scene = await makeScene()
  const env = { NODE_OPTIONS: `--import=${temporaryFile('probe.mjs', probe)}` }
  const gateway = await scene.start({}, { env })
  const told = () => gateway.child.stderr.split(AT_ONCE).length - 1
  expect((await gateway.get('/', { as: scene.ada })).status).toBe(200)
  expect(gateway.child.stderr).toContain('--incremental-marking-soft-trigger=80\n')
  expect(told()).toBe(0)
  await gateway.reload(broken)
  await waitFor('a collection', () => told() > 0)
})
