// Token mode: the real registry checks tokens that the gateway signs; the real skopeo fetches them by password, by certificate, or as nobody.
import { beforeAll, expect, test } from '@jest/globals'
import type { Exit } from '../support/children.ts'
import { describeRegistry, makeImage } from '../support/registry.ts'
import { makeRegistryScene, type RegistryScene, type Who } from '../support/registry-scene.ts'

describeRegistry('the real registry and skopeo with tokens', () => {
  let scene: RegistryScene
  let image: string
  let ways: Record<string, Who>

  beforeAll(async () => {
    image = makeImage(1000, 20_000)
    scene = await makeRegistryScene({
      mode: 'tokens',
      realm: {
        rules: [
          { name: 'ci', users: ['robot$ci'], repositories: ['team/**', 'public/**'], actions: ['push', 'delete'] },
          {
            name: 'builders',
            certificate: { cn: ['builder'] },
            repositories: ['team/**'],
            actions: ['push', 'delete'],
          },
          { name: 'everybody pulls', anonymous: true, repositories: ['public/**'] },
          { name: 'reader', users: ['robot$reader'], repositories: ['team/**'] },
        ],
        robots: [
          { name: 'robot$ci', secret: 'made at random' },
          { name: 'robot$reader', secret: 'made at random too' },
          { name: 'robot$old', secret: 'made long ago', expires: '2020-01-01' },
        ],
      },
    })
    ways = { password: { creds: 'robot$ci:made at random' }, certificate: { as: scene.clients.client('builder') } }
  })

  const works = ({ status, stderr }: Exit) => expect([status, stderr]).toEqual([0, ''])

  test.each(['password', 'certificate'])('push, pull, mount, list and delete by %s', async (way) => {
    const who = ways[way] as Who
    works(await scene.copy(image, `team/${way}:1`, who))
    const found = await scene.inspect(`team/${way}:1`, who)
    works(found)
    expect(JSON.parse(found.stdout)).toMatchObject({ Name: `${scene.at}/team/${way}`, RepoTags: ['1'] })
    works(await scene.move(`team/${way}:1`, `team/${way}-moved:1`, who))
    expect(scene.registry.child.stderr + scene.registry.child.stdout).toContain(`?from=team%2F${way}&mount=sha256`)
    works(await scene.copy(image, `team/${way}:2`, who))
    expect(JSON.parse((await scene.tags(`team/${way}`, who)).stdout).Tags.sort()).toEqual(['1', '2'])
    works(await scene.remove(`team/${way}-moved:1`, who))
    expect((await scene.inspect(`team/${way}-moved:1`, who)).stderr).toContain('manifest unknown')
  })

  test('log-in by password', async () => {
    expect((await scene.login('robot$ci', 'made at random')).stdout).toContain('Login Succeeded')
    expect((await scene.login('robot$ci', 'wrong')).status).not.toBe(0)
  })

  test('who may only pull cannot push', async () => {
    const refused = await scene.copy(image, 'team/app:2', { creds: 'robot$reader:made at random too' })
    expect(refused.stderr).toContain('denied')
  })

  test('nobody pulls what is for everybody, and nothing else', async () => {
    works(await scene.copy(image, 'public/tool:1', ways.password))
    works(await scene.inspect('public/tool:1'))
    works(await scene.copy(image, 'team/closed:1', ways.password))
    const refused = await scene.inspect('team/closed:1')
    expect([refused.status === 0, refused.stderr]).toEqual([false, expect.stringContaining('authentication required')])
  })

  test('a wrong password and an expired robot are refused with a sentence', async () => {
    for (const creds of ['robot$ci:wrong', 'robot$old:made long ago', 'nobody:nothing']) {
      const refused = await scene.inspect('team/app:1', { creds })
      expect([creds, refused.status === 0]).toEqual([creds, false])
      expect(refused.stderr).toMatch(/Invalid username or password|unauthorized/)
    }
  })
})
