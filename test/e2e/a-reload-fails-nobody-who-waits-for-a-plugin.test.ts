import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import { temporaryFolder } from '../support/folder.ts'
import type { Gateway } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

let scene: Scene
let gateway: Gateway
let program: Server
/** What the program is asked and has not answered. */
const held: (() => void)[] = []
const module = join(temporaryFolder(), 'plugin.mjs')
const moduleSays = (user: string) =>
  writeFileSync(module, `export const authenticate = (_c, _p, found) => { found.user_id = '${user}' }`)

beforeAll(async () => {
  scene = await makeScene()
  moduleSays('ada')
  program = createServer((_request, response) => {
    held.push(() => response.end('{"status":true,"response_data":{"user_id":"ada"}}'))
  })
  await new Promise<void>((resolve) => program.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(program.address() as AddressInfo).port}/`
  gateway = await scene.start({
    reload: { watch: false },
    method_plugins: [
      { name: 'program', url, timeout: '20s' },
      { name: 'module', module, timeout: '600ms' },
    ],
    consumers: [{ username: 'ada' }, { username: 'bob' }],
    services: [
      {
        ...{ name: 'api', url: scene.backend.url },
        routes: [
          { name: 'one', paths: ['/one'], rules: [['program']] },
          { name: 'both', paths: ['/both'], rules: [['program', 'module']] },
        ],
      },
    ],
  })
})
afterEach(() => moduleSays('ada'))
afterAll(() => {
  program.closeAllConnections()
  program.close()
})

/** Resolves once the program is asked. */
async function begin(path: string): Promise<{ status(): Promise<number> }> {
  const answer = gateway.get(path)
  await waitFor('the question', () => held.length === 1)
  return { status: async () => (await answer).status }
}
const release = () => held.pop()?.()
const reload = async () => expect((await gateway.reload()).msg).toBe('reloaded')

/** The kernel keeps the first 15 letters of a thread's name. */
function pluginThreads(): number {
  const folder = `/proc/${gateway.child.pid}/task`
  return readdirSync(folder).filter((task) => nameOf(join(folder, task)).startsWith('method plugin')).length
}
function nameOf(task: string): string {
  try {
    return readFileSync(join(task, 'comm'), 'utf8')
  } catch {
    return 'ended in between'
  }
}

test('a program answers what it was asked before', async () => {
  const request = await begin('/one')
  await reload()
  release()
  expect(await request.status()).toBe(200)
})

test('a module that is the next to be asked answers as it was before', async () => {
  const request = await begin('/both')
  moduleSays('bob')
  await reload()
  release()
  expect(await request.status()).toBe(200)
  await waitFor('the end of the old thread', () => pluginThreads() === 1)
})

test('also when its turn comes long after, and no thread stays', async () => {
  const request = await begin('/both')
  await reload()
  await reload()
  await waitFor('the end of the old threads', () => pluginThreads() === 1)
  release()
  expect(await request.status()).toBe(200)
  await waitFor('the end of the thread that was started for it', () => pluginThreads() === 1)
})
