import { cpSync, readdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from '@jest/globals'
import { temporaryFolder } from '../support/folder.ts'
import { PROJECT } from '../support/gateway.ts'
import { Load } from '../support/load.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

const OLD = 'No route matches this host'
const NEW = 'No route of the new version matches this host'
const { version } = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8'))
/** As the build writes the version into the program. */
const OLD_VERSION = `version: "${version}"`
const NEW_VERSION = 'version: "99.0.0"'

let scene: Scene
beforeAll(async () => {
  scene = await makeScene()
})

/** A copy of the program, as a release is unpacked; `change` is made to all of its text. */
function install(folder: string, change: (text: string) => string): void {
  for (const part of ['bin', 'dist', 'package.json'])
    cpSync(join(PROJECT, part), join(folder, part), { recursive: true })
  symlinkSync(join(PROJECT, 'node_modules'), join(folder, 'node_modules'))
  for (const name of readdirSync(join(folder, 'dist', 'cli'))) {
    const file = join(folder, 'dist', 'cli', name)
    writeFileSync(file, change(readFileSync(file, 'utf8')))
  }
}

test('a new version behind the same link serves after SIGUSR2 and says so, while no request is refused or lost', async () => {
  const releases = temporaryFolder()
  install(join(releases, 'one'), (text) => text)
  install(join(releases, 'two'), (text) => text.replaceAll(OLD, NEW).replaceAll(OLD_VERSION, NEW_VERSION))
  const current = join(releases, 'current')
  symlinkSync('one', current)
  const services = [{ name: 'api', url: scene.backend.url, routes: [{ name: 'all', paths: ['~/$'] }] }]
  const gateway = await scene.start({ workers: 2, services }, { program: join(current, 'bin', 'sallyport.js') })
  expect((await gateway.get('/nowhere')).text).toContain(OLD)
  const { node, openssl } = process.versions
  const build = (version: string) => `sallyport_build_info{version="${version}",node="${node}",openssl="${openssl}"} 1`
  const builds = async () => {
    const { text } = await gateway.getAdmin('/metrics')
    return text.split('\n').filter((line) => line.startsWith('sallyport_build_info'))
  }
  const [first] = gateway.log
  expect(first).toMatchObject({ msg: 'starting', version, node, openssl })
  // The supervisor's own: each worker has one too.
  expect(first).not.toHaveProperty('worker')
  expect(await builds()).toEqual([build(version)])
  const load = new Load(gateway, scene.ada)
  await load.goesOn()
  symlinkSync('two', join(releases, 'next'))
  renameSync(join(releases, 'next'), current)
  gateway.child.process.kill('SIGUSR2')
  await gateway.logged({ msg: 'all workers were replaced' }, 30)
  await load.goesOn()
  await load.stop()
  expect(load.failures).toEqual([])
  for (let i = 0; i < 4; i++) expect((await gateway.get('/nowhere')).text).toContain(NEW)
  await waitFor('the end of the old workers', async () => (await builds()).length === 1)
  expect(await builds()).toEqual([build('99.0.0')])
  await gateway.logged({ msg: 'starting', version: '99.0.0', worker: 4 })
})
