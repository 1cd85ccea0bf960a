import { execFileSync } from 'node:child_process'
import { existsSync, renameSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { temporaryFile, temporaryFolder } from '../support/folder.ts'
import { type Gateway, spawnGateway } from '../support/gateway.ts'
import { makeScene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

/** A gateway that is reading its configuration when the signal comes: its key comes from a pipe, so that it cannot go on before. */
async function signalled(signal: NodeJS.Signals): Promise<Gateway> {
  const scene = await makeScene()
  const path = join(temporaryFolder(), 'key')
  execFileSync('mkfifo', [path])
  const servers = [scene.server({ ssl_certificate_key: path })]
  const listeners = [{ listen: '127.0.0.1:0', servers }]
  const gateway = spawnGateway({ config: scene.config({ listeners, reload: { watch: 'off' } }) })
  const pipe = await open(path, 'w')
  // What is read after this is a plain file.
  renameSync(temporaryFile('key', scene.front.key), path)
  gateway.child.process.kill(signal)
  await pipe.writeFile(scene.front.key)
  await pipe.close()
  await gateway.untilReady()
  return gateway
}

test('SIGHUP that comes while the configuration is being read leads to a reload', async () => {
  const gateway = await signalled('SIGHUP')
  await gateway.logged({ msg: 'reloaded', reason: 'SIGHUP' })
  expect((await gateway.get('/')).status).toBe(200)
  expect(await gateway.stop()).toMatchObject({ status: 0 })
})

test('SIGUSR2 that comes then ends nothing', async () => {
  const gateway = await signalled('SIGUSR2')
  expect((await gateway.get('/')).status).toBe(200)
  expect(await gateway.stop()).toMatchObject({ status: 0 })
})

test.each([1, 2])('a file that changes while they start is read again (%i)', async (workers) => {
  const scene = await makeScene()
  const folder = temporaryFolder()
  const [begun, goes] = [join(folder, 'begun'), join(folder, 'goes')]
  // The gateway is not ready before its plugin is.
  const plugin = temporaryFile(
    'plugin.mjs',
    `import { appendFileSync, existsSync } from 'node:fs'
    import { setTimeout } from 'node:timers/promises'
    appendFileSync(${JSON.stringify(begun)}, '')
    while (!existsSync(${JSON.stringify(goes)})) await setTimeout(20)
    export const authenticate = () => {}`,
  )
  const list = temporaryFile('list.pem', scene.clients.crl())
  const servers = [scene.server({ ssl_crl: list, ssl_crl_check: 'leaf' })]
  const listeners = [{ listen: '127.0.0.1:0', servers }]
  const method_plugins = [{ name: 'slow', module: plugin }]
  const gateway = spawnGateway({ config: scene.config({ workers, listeners, method_plugins }) })
  await waitFor('the plugin to start', () => existsSync(begun))
  writeFileSync(list, scene.clients.crl([scene.ada]))
  writeFileSync(goes, '')
  await gateway.untilReady()
  await gateway.logged({ msg: 'reloaded', reason: 'files changed' })
  expect((await gateway.get('/', { as: scene.ada })).status).toBe(400)
})
