import { renameSync, writeFileSync } from 'node:fs'
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { temporaryFile } from '../support/folder.ts'
import { type Gateway, sallyport } from '../support/gateway.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

let scene: Scene
let gateway: Gateway
let file: string

beforeAll(async () => {
  scene = await makeScene()
})

beforeEach(async () => {
  file = temporaryFile('users.csv', 'user,certificate\nada,cn:ada\n')
  const authorization = { users_file: file }
  gateway = await scene.start(
    listenerOf(scene.server({ ssl_verify_client: 'on', verify_and_map: true, authorization })),
  )
})

/** As careful programs replace a file: written beside it, then renamed. */
function replace(content: string): void {
  writeFileSync(`${file}.new`, content)
  renameSync(`${file}.new`, file)
}

const status = async (name: string) => (await gateway.get('/', { as: scene.clients.client(name) })).status

test('only who stands in it is let in', async () => {
  expect([await status('ada'), await status('bob')]).toEqual([200, 401])
})

test('inspect and check read it too', async () => {
  const authorization = { users_file: file }
  const parts = listenerOf(scene.server({ ssl_verify_client: 'on', verify_and_map: true, authorization }))
  const config = temporaryFile('gateway.yaml', JSON.stringify(scene.config(parts)))
  const ada = temporaryFile('ada.pem', scene.clients.client('ada').chain)
  const { stdout } = await sallyport(['inspect', ada, '-c', config, '--for', 'GET https://localhost/', '--json'])
  expect(JSON.parse(stdout).decision).toMatchObject({ rules: [{ at: `${file}:2`, matched: true }] })
  replace('user,certificate\nada,nothing\n')
  const checked = await sallyport(['check', '-c', config])
  expect(checked.status).toBeGreaterThan(0)
  expect(checked.stdout + checked.stderr).toContain(`${file}:2: names no type`)
})

test('a changed file takes effect without a signal', async () => {
  expect(await status('bob')).toBe(401)
  replace('user,certificate\nbob,cn:bob\n')
  await waitFor('bob to be let in', async () => (await status('bob')) === 200)
  expect(await status('ada')).toBe(401)
})

test('requests go on while a large one is read', async () => {
  const rows = Array.from({ length: 60_000 }, (_, i) => `user${i},email:user${i}@example.com`)
  replace(['user,certificate', ...rows, 'bob,cn:bob'].join('\n'))
  let answered = 0
  await waitFor('bob to be let in', async () => {
    answered++
    return (await status('bob')) === 200
  })
  expect(answered).toBeGreaterThan(10)
})

describe('in YAML, with names as NATS has them', () => {
  const start = (users: string) => {
    file = temporaryFile('users.yaml', users)
    const authorization = { users_file: file }
    const settings = { ssl_verify_client: 'on', verify_and_map: true, mapping: 'nats', authorization }
    return scene.start(listenerOf(scene.server(settings)))
  }
  const options = { emails: ['ada@example.com'] }

  test('it lets in whom it names, and a change takes effect', async () => {
    gateway = await start('# ours\n- user: ada@example.com\n  groups: [staff]\n')
    const answer = async () => (await gateway.get('/', { as: scene.clients.client('x', options) })).status
    expect([await answer(), await status('bob')]).toEqual([200, 401])
    replace('- user: CN=bob\n')
    await waitFor('bob to be let in', async () => (await status('bob')) === 200)
    expect(await answer()).toBe(401)
  })

  test('one that cannot be read does not start', async () => {
    await expect(start('- user: ada@example.com\n- user: ada@example.com\n')).rejects.toThrow(
      ':2: Duplicate user "ada@example.com" detected',
    )
  })
})

test.each<[string, string]>([
  ['broken', 'user,certificate\nbob,cn:bob\neve,nothing\n'],
  ['empty', ''],
])('a file that is %s keeps what was in use, and the log says where it is wrong', async (_, content) => {
  replace(content)
  const line = await gateway.reload()
  expect(line).toMatchObject({ level: 'error' })
  expect(JSON.stringify(line)).toContain(content === '' ? file : `${file}:3: names no type`)
  expect([await status('ada'), await status('bob')]).toEqual([200, 401])
})

test('a mended file takes effect', async () => {
  replace('nothing')
  await gateway.reload()
  replace('user,certificate\nada,cn:ada\nbob,cn:bob\n')
  await waitFor('bob to be let in', async () => (await status('bob')) === 200)
})
