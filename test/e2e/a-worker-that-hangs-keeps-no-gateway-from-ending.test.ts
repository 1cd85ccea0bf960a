import { readFileSync } from 'node:fs'
import { afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

const KILLED = { msg: 'a worker does not stop: it was killed', worker: 1 }

let scene: Scene
let gateway: Gateway
let hanging: number
beforeAll(async () => {
  scene = await makeScene()
})

beforeEach(async () => {
  gateway = await scene.start({ workers: 2, shutdown: { timeout: '1s' } })
  hanging = workersOf(gateway)[0] as number
  process.kill(hanging, 'SIGSTOP')
})

afterEach(() => {
  if (lives(hanging)) process.kill(hanging, 'SIGKILL')
})

function workersOf({ child: { pid } }: Gateway): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number)
}

/** One that has ended may still be there for a parent that does not ask how. */
function lives(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

test('SIGTERM ends it, with status 1, some seconds after all others have drained', async () => {
  expect(await gateway.stop()).toMatchObject({ status: 1 })
  await gateway.logged(KILLED)
  expect(lives(hanging)).toBe(false)
})

test('a second SIGTERM ends it at once, and leaves no worker behind', async () => {
  gateway.child.process.kill('SIGTERM')
  await gateway.logged({ msg: 'stopped', worker: 2 })
  expect(await gateway.stop()).toMatchObject({ status: 1 })
  await waitFor('its end', () => !lives(hanging))
  expect(gateway.log).not.toContainEqual(expect.objectContaining(KILLED))
})

test('SIGUSR2 puts another one in its place, and leaves no worker behind', async () => {
  gateway.child.process.kill('SIGUSR2')
  await gateway.logged(KILLED)
  await waitFor('two of them', () => workersOf(gateway).length === 2)
  expect(workersOf(gateway)).not.toContain(hanging)
  expect((await gateway.get('/', { as: scene.ada })).status).toBe(200)
})
