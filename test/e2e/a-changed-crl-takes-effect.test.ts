import { existsSync, renameSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { Agent } from 'node:https'
import { join } from 'node:path'
import { beforeAll, beforeEach, expect, test } from '@jest/globals'
import { temporaryFile, temporaryFolder } from '../support/folder.ts'
import type { Gateway } from '../support/gateway.ts'
import type { Issued } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

let scene: Scene
let gateway: Gateway
let file: string
let ada: Issued

beforeAll(async () => {
  scene = await makeScene()
})

beforeEach(async () => {
  scene.backend.reset()
  ada = scene.clients.client('ada')
  file = temporaryFile('crl.pem', scene.clients.crl())
  gateway = await scene.start(listenerOf(scene.server({ ssl_crl: file })))
})

/** As careful programs replace a file: written beside it, then renamed. */
function replace(content: string): void {
  writeFileSync(`${file}.new`, content)
  renameSync(`${file}.new`, file)
}

const status = async (as: Issued) => (await gateway.get('/', { as })).status

test('when the file is replaced, without any signal', async () => {
  expect(await status(ada)).toBe(200)
  replace(scene.clients.crl([ada]))
  await waitFor('the refusal of ada', async () => (await status(ada)) === 400)
  expect(await status(scene.clients.client('bob'))).toBe(200)
})

test('a list that is older than the one in use is taken, with a warning: whoever was revoked in between is let in again', async () => {
  const older = scene.clients.crl([], { thisUpdate: -3 })
  const newer = scene.clients.crl([ada], { thisUpdate: -2 })
  const warnings = () => gateway.log.filter(({ msg }) => /older than the one in use/.test(String(msg)))
  const reload = async (content: string) => {
    writeFileSync(file, content)
    expect((await gateway.reload()).msg).toBe('reloaded')
  }
  // An older one beside a newer one does not count.
  await reload(older + newer)
  expect(await status(ada)).toBe(400)
  const before = warnings().length
  await reload(newer + older)
  expect(warnings().length).toBe(before)
  await reload(older)
  expect(await status(ada)).toBe(200)
  expect(warnings().slice(before)).toEqual([
    expect.objectContaining({ level: 'warn', setting: 'listeners[0].servers[0].ssl_crl' }),
  ])
  expect(warnings().at(-1)?.msg).toContain('every client that was revoked in between is trusted again')
})

test('on SIGHUP', async () => {
  expect(await status(ada)).toBe(200)
  writeFileSync(file, scene.clients.crl([ada]))
  await gateway.reload()
  expect(await status(ada)).toBe(400)
})

test('on connections that are open already', async () => {
  let answer: ServerResponse | undefined
  scene.backend.respond = ({ url }, response) => {
    if (url === '/first') answer = response
    else response.end()
  }
  // One that serves a request: an idle one is closed, and may be when its next request is on its way.
  const client = await gateway.open({ as: ada })
  client.write('GET /first HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await scene.backend.request('the first request', ({ target }) => target === '/first')
  replace(scene.clients.crl([ada]))
  await waitFor('the refusal of ada', async () => (await status(ada)) === 400)
  client.write('GET /second HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await new Promise((resolve) => answer?.end(resolve))
  expect((await client.answers(2)).map(({ status }) => status)).toEqual([200, 400])
  const line = await waitFor('its line', () => gateway.log.find(({ path }) => path === '/second'))
  expect(line).toMatchObject({ verify_reason: 'certificate revoked' })
  client.destroy()
})

test('on sessions that were made before', async () => {
  for (const tls of ['TLSv1.2', 'TLSv1.3'] as const) {
    replace(scene.clients.crl())
    await gateway.reload()
    const agent = new Agent({ keepAlive: false, maxCachedSessions: 10 })
    const get = () => gateway.get('/', { as: ada, agent, tls })
    expect((await get()).status).toBe(200)
    replace(scene.clients.crl([ada]))
    await gateway.reload()
    expect((await get()).status).toBe(400)
    agent.destroy()
  }
})

test('a broken file keeps the old list in use, and the log says so', async () => {
  replace(scene.clients.crl([ada]))
  await gateway.reload()
  expect(await status(ada)).toBe(400)
  replace('this is no CRL')
  const line = await gateway.reload()
  expect(line).toMatchObject({ level: 'error' })
  expect(JSON.stringify(line)).toContain(file)
  expect(await status(ada)).toBe(400)
  expect(await status(scene.clients.client('bob'))).toBe(200)
})

test('an empty file does not switch revocation off', async () => {
  replace(scene.clients.crl([ada]))
  await gateway.reload()
  replace('')
  expect(await gateway.reload()).toMatchObject({ level: 'error' })
  expect(await status(ada)).toBe(400)
})

test.each([1, 2])(
  'one that a reload of %i processes has found, and that changes before the reload is over',
  async (workers) => {
    const folder = temporaryFolder()
    const [list, begun, gate] = ['list.pem', 'begun', 'gate'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ]
    writeFileSync(list, scene.clients.crl())
    // The reload waits for it.
    const slow = `import { existsSync, writeFileSync } from 'node:fs'
    writeFileSync(${JSON.stringify(begun)}, '')
    while (!existsSync(${JSON.stringify(gate)})) await new Promise((resolve) => setTimeout(resolve, 20))
    export function authenticate() {}`
    const gateway = await scene.start({ workers })
    const server = scene.server({ ssl_crl: list, ssl_verify_client: 'on' })
    const config = scene.config({
      ...listenerOf(server),
      workers,
      method_plugins: [{ name: 'slow', module: temporaryFile('slow.mjs', slow) }],
    })
    // No signal: one reload would be made because of it, and another one because the file has changed.
    writeFileSync(gateway.configFile as string, JSON.stringify(config))
    await waitFor('the reload', () => existsSync(begun))
    writeFileSync(list, scene.clients.crl([scene.ada]))
    writeFileSync(gate, '')
    const verdicts = () => Promise.all([1, 2].map(async () => (await gateway.get('/', { as: scene.ada })).status))
    await waitFor('the refusals', async () => (await verdicts()).every((status) => status === 400))
  },
)
