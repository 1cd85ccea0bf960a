import { expect, test } from '@jest/globals'
import { temporaryFile } from '../support/folder.ts'
import { makeScene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

/** Tells the shape that node's ticks have, with full collections in between. V8 prints it to standard output, at the latest when the process ends. */
const probe = `
import { executionAsyncResource } from 'node:async_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
setFlagsFromString('--expose-gc')
setFlagsFromString('--allow-natives-syntax')
const collect = runInNewContext('gc')
const show = new Function('tick', '%DebugPrint(tick)')
process.on('SIGPWR', async () => {
  for (let i = 0; i < 8; i++) {
    await new Promise((done) => process.nextTick(() => done(show(executionAsyncResource()))))
    for (let j = 0; j < 4; j++) {
      await sleep(1)
      collect()
    }
  }
  process.stderr.write('all shapes are told')
})`

test('V8 forgets the shape of ticks in no collection of a running gateway', async () => {
  const scene = await makeScene()
  const env = { NODE_OPTIONS: `--import=${temporaryFile('probe.mjs', probe)}` }
  const { child } = await scene.start({}, { env })
  child.process.kill('SIGPWR')
  await waitFor('the shapes', () => child.stderr.includes('all shapes are told'))
  child.process.kill('SIGTERM')
  const { stdout } = await child.exited
  const shapes = Array.from(stdout.matchAll(/\[JS_OBJECT_TYPE\]\n - map: (\w+)/g), ([, address]) => address)
  expect([shapes.length, new Set(shapes).size]).toEqual([8, 1])
})
