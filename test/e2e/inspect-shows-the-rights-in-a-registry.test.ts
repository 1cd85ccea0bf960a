import { beforeAll, describe, expect, test } from '@jest/globals'
import { temporaryFile } from '../support/folder.ts'
import { sallyport } from '../support/gateway.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let file: string

beforeAll(async () => {
  scene = await makeScene()
  const signer = scene.inside.client('signer')
  const authorization = { users: [{ user: 'ada', certificate: ['cn:ada'], groups: ['dev'] }] }
  const config = {
    ...scene.config(listenerOf(scene.server({ verify_and_map: true, authorization }))),
    consumers: [{ username: 'bob', groups: ['ops'] }],
    certificates: [{ name: 'tokens', cert: signer.chain, key: signer.key }],
    registry_realms: [
      {
        name: 'acme',
        services: ['registry.test'],
        certificate: 'tokens',
        rules: [
          { name: 'developers push', groups: ['dev'], repositories: ['team/**'], actions: ['push'] },
          { name: 'no deleting', effect: 'deny', repositories: ['**'], actions: ['delete'] },
          { name: 'robots', users: ['robot$ci'], repositories: ['**'], actions: ['*'] },
        ],
        robots: [{ name: 'robot$ci', secret: 'made at random' }],
      },
    ],
  }
  file = temporaryFile('gateway.yaml', JSON.stringify(config))
}, 30_000)

const inspect = (...args: string[]) => sallyport(['inspect', ...args, '-c', file])
const certificate = () => temporaryFile('client.pem', scene.ada.chain)
const SCOPE = 'repository:team/app:pull,push,delete'

describe('the rights', () => {
  test('of a certificate: its user, its groups, and the rule behind each action', async () => {
    const { status, stdout, stderr } = await inspect(certificate(), '--for', SCOPE)
    expect([status, stderr]).toEqual([0, ''])
    expect(stdout).toContain('localhost: ada (dev)')
    expect(stdout).toContain('pull    granted, by developers push')
    expect(stdout).toContain('push    granted, by developers push')
    expect(stdout).toContain('delete  refused, by no deleting')
    expect(stdout).toContain('a token would say repository:team/app:pull,push')
  })

  test('of a user by name, and of a robot', async () => {
    const bob = await inspect('--user', 'bob', '--for', SCOPE)
    expect(bob.stdout).toContain('realm acme: bob (ops)')
    expect(bob.stdout).toContain('pull    refused, no rule speaks of it')
    expect((await inspect('--user', 'robot$ci', '--for', SCOPE)).stdout).toContain('push    granted, by robots')
  })

  test('as JSON', async () => {
    const { stdout } = await inspect('--user', 'bob', '--for', 'repository:a:pull', '--json')
    expect(JSON.parse(stdout)).toEqual({
      rights: [{ realm: 'acme', user: 'bob', groups: ['ops'], actions: [{ action: 'pull', granted: false }] }],
    })
  })
})

test.each([
  ['no scope', ['--user', 'bob', '--for', 'team/app'], 'is no scope'],
  ['nobody', ['--for', SCOPE], '--for wants the file of a certificate, or --user NAME'],
  ['a user alone', ['--user', 'bob'], 'name the file of a certificate'],
])('%s: a sentence', async (_what, args, sentence) => {
  const { status, stderr } = await inspect(...args)
  expect([status, stderr]).toEqual([1, expect.stringContaining(sentence)])
})
