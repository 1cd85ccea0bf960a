import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { run } from '../support/children.ts'
import { temporaryFile, temporaryFolder } from '../support/folder.ts'
import { type Gateway, PROJECT } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway
const socket = join(temporaryFolder(), 'admin.sock')

beforeAll(async () => {
  scene = await makeScene()
  gateway = await scene.start({ admin: { listen: `unix:${socket}` } })
})
afterAll(() => gateway.stop())

const check = (pid: number, env: Record<string, string> = {}) =>
  run(process.execPath, [join(PROJECT, 'bin/healthcheck.js'), String(pid)], { env })

test('of the file that the gateway was started with', async () => {
  const pid = gateway.child.pid
  expect(await check(pid)).toMatchObject({ status: 0, stderr: '' })
  // A variable goes before the file, as it does at the start.
  expect((await check(pid, { SALLYPORT_ADMIN_LISTEN: `unix:${socket}.other` })).status).toBe(1)
})

describe('of SALLYPORT_CONFIG', () => {
  test.each([
    ['a block', `services: []\nadmin: # here\n  # and there\n\n  listen: 'unix:${socket}'\nlog:\n  level: info\n`],
    ['Windows line ends', `admin:\r\n  listen: unix:${socket}\r\nlog:\r\n  level: info\r\n`],
    ['flow style', `{ log: { level: info }, admin: { listen: "unix:${socket}" } }`],
    ['one line', `admin: { listen: "unix:${socket}" }`],
    ['an alias', `_comment: &where unix:${socket}\nadmin:\n  listen: *where\n`],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is what users write in a configuration.
    ['a variable', 'admin:\n  listen: ${WHERE}\n'],
  ])('%s', async (_what, text) => {
    const env = { SALLYPORT_CONFIG: temporaryFile('sallyport.yaml', text), WHERE: `unix:${socket}` }
    expect(await check(process.pid, env)).toMatchObject({ status: 0, stderr: '' })
    const elsewhere = { ...env, SALLYPORT_CONFIG: temporaryFile('other.yaml', text.replace(socket, `${socket}.x`)) }
    expect((await check(process.pid, { ...elsewhere, WHERE: `unix:${socket}.x` })).status).toBe(1)
  })

  test.each([
    ['off', 'admin:\n  listen: off\n', ''],
    ['a file that is broken while the gateway goes on', 'admin: [', 'nothing was asked: BAD_INDENT\n'],
  ])('nothing is asked with %s', async (_what, text, words) => {
    const { status, stderr } = await check(process.pid, { SALLYPORT_CONFIG: temporaryFile('sallyport.yaml', text) })
    expect([status, stderr]).toEqual([0, expect.stringContaining(words)])
  })
})
