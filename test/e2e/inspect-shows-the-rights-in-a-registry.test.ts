import { beforeAll, describe, expect, test } from '@jest/globals'
import { temporaryFile } from '../support/folder.ts'
import { sallyport } from '../support/gateway.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let file: string

beforeAll(async () => {
  scene = await makeScene()
  const signer = scene.inside.client('signer')
  const named = { user: 'robot$ci', certificate: ['cn:robot$ci'] }
  const authorization = { users: [{ user: 'ada', certificate: ['cn:ada'], groups: ['dev'] }, named] }
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
          {
            name: 'no releases',
            effect: 'deny',
            groups: ['ops'],
            repositories: ['ops/**'],
            tags: ['v*'],
            actions: ['push'],
          },
          {
            name: 'from the office',
            users: ['bob'],
            addresses: ['192.0.2.0/24'],
            repositories: ['ops/**'],
            actions: ['push'],
          },
          { name: 'robots', users: ['robot$ci'], repositories: ['**'], actions: ['*'] },
        ],
        robots: [{ name: 'robot$ci', secret: 'made at random' }],
      },
    ],
  }
  file = temporaryFile('gateway.yaml', JSON.stringify(config))
})

const inspect = (...args: string[]) => sallyport(['inspect', ...args, '-c', file])
const certificate = () => temporaryFile('client.pem', scene.ada.chain)
const SCOPE = 'repository:team/app:pull,push,delete'

describe('the rights', () => {
  test("of a certificate with a robot's name: none, without the robot's secret", async () => {
    const chain = scene.clients.client('robot$ci').chain
    const { stdout } = await inspect(temporaryFile('robot.pem', chain), '--for', SCOPE)
    expect(stdout).toContain('robot$ci is a robot, which has a secret')
    expect(stdout).toContain('pull    refused')
    expect((await inspect('--user', 'robot$ci', '--for', SCOPE)).stdout).toContain('pull    granted, by robots')
  })

  test('of a certificate: its user, its groups, and the rule behind each action', async () => {
    const { status, stdout, stderr } = await inspect(certificate(), '--for', SCOPE)
    expect([status, stderr]).toEqual([2, ''])
    expect(stdout).toContain('localhost: ada (dev)')
    expect(stdout).toContain('pull    granted, by developers push')
    expect(stdout).toContain('push    granted, by developers push')
    expect(stdout).toContain('delete  refused, by no deleting')
    expect(stdout).toContain('a token would say repository:team/app:pull,push')
    expect((await inspect(certificate(), '--for', 'repository:team/app:pull,push')).status).toBe(0)
  })

  test('of a user by name, and of a robot', async () => {
    const bob = await inspect('--user', 'bob', '--for', SCOPE)
    expect(bob.stdout).toContain('realm acme: bob (ops)')
    expect(bob.stdout).toContain('pull    refused, no rule speaks of it')
    expect((await inspect('--user', 'robot$ci', '--for', SCOPE)).stdout).toContain('push    granted, by robots')
  })

  test('of a request that names a tag, from an address', async () => {
    const bob = async (...more: string[]) =>
      (await inspect('--user', 'bob', '--for', 'repository:ops/app:push', ...more)).stdout
    expect(await bob()).toContain('push    refused, by no releases')
    expect(await bob('--tag', 'nightly')).toContain('push    refused, no rule speaks of it')
    const office = await bob('--tag', 'nightly', '--address', '192.0.2.7')
    expect(office).toContain('push    granted, by from the office')
    expect(office).toContain('at a gate, for the tag nightly: a token cannot say it')
    expect(office).not.toContain('would say')
    expect(await bob('--tag', 'v1', '--address', '192.0.2.7')).toContain('push    refused, by no releases')
    expect(await bob('--tag', 'nightly', '--address', '198.51.100.1')).toContain('push    refused, no rule')
    const { stdout } = await inspect(certificate(), '--for', SCOPE, '--tag', 'v1', '--address', '2001:db8::1')
    expect(stdout).toContain('push    granted, by developers push')
  })

  test('as JSON', async () => {
    const { stdout } = await inspect('--user', 'bob', '--for', 'repository:a:pull', '--json')
    expect(JSON.parse(stdout)).toEqual({
      rights: [{ realm: 'acme', user: 'bob', groups: ['ops'], actions: [{ action: 'pull', granted: false }] }],
    })
  })
})

test.each([
  ['no scope', ['--user', 'bob', '--for', 'team/app'], 'is neither a request, such as'],
  ['nobody', ['--for', SCOPE], '--for wants the file of a certificate, or --user NAME'],
  ['no tag', ['--user', 'bob', '--for', SCOPE, '--tag', 'a/b'], '--tag a/b is no tag'],
  ['no address', ['--user', 'bob', '--for', SCOPE, '--address', 'office'], '--address office is no IP address'],
  ['a tag alone', ['client.pem', '--tag', 'v1'], '--tag is for --for with a scope'],
  [
    'a tag of a request',
    ['client.pem', '--for', 'GET https://a.test/', '--tag', 'v1'],
    '--tag is for --for with a scope',
  ],
  ['a user alone', ['--user', 'bob'], '--header, --user and --address are for --for'],
  ['nothing', [], 'name the file of a certificate'],
])('%s: a sentence', async (_what, args, sentence) => {
  const { status, stderr } = await inspect(...args)
  expect([status, stderr]).toEqual([1, expect.stringContaining(sentence)])
})
