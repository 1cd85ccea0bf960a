// Direct mode: with a certificate the real skopeo needs no log-in and no token at all, before a registry with tokens and before an open one.
import { beforeAll, describe, expect, test } from '@jest/globals'
import type { Exit } from '../support/children.ts'
import { describeRegistry, makeImage } from '../support/registry.ts'
import { makeRegistryScene, type RegistryScene, type Who } from '../support/registry-scene.ts'

describeRegistry('the real registry and skopeo in direct mode', () => {
  const works = ({ status, stderr }: Exit) => expect([status, stderr]).toEqual([0, ''])

  describe.each([
    ['with tokens', false],
    ['open', true],
  ])('before a registry that is %s', (_name, open) => {
    const image = makeImage(1000, 20_000)
    let scene: RegistryScene
    let builder: Who

    beforeAll(async () => {
      scene = await makeRegistryScene({
        mode: 'direct',
        open,
        gate: { filter: true },
        realm: {
          rules: [
            {
              name: 'builders',
              certificate: { cn: ['builder'] },
              repositories: ['team/**'],
              actions: ['push', 'delete'],
            },
            {
              name: 'releases',
              effect: 'deny',
              certificate: { cn: ['builder'] },
              repositories: ['**'],
              tags: ['v*'],
              actions: ['push'],
            },
            { name: 'robots push', users: ['robot$ci'], repositories: ['**'], actions: ['push'] },
            { name: 'everybody pulls', anonymous: true, repositories: ['public/**'] },
          ],
          robots: [{ name: 'robot$ci', secret: 'made at random' }],
        },
      })
      builder = { as: scene.clients.client('builder') }
    })

    test('push, pull, mount, list and delete by certificate alone', async () => {
      works(await scene.copy(image, 'team/app:1', builder))
      works(await scene.inspect('team/app:1', builder))
      works(await scene.move('team/app:1', 'team/moved:1', builder))
      expect(scene.registry.child.stderr + scene.registry.child.stdout).toContain('?from=team%2Fapp&mount=sha256')
      expect(JSON.parse((await scene.tags('team/moved', builder)).stdout).Tags).toEqual(['1'])
      works(await scene.remove('team/moved:1', builder))
      expect(scene.gateway.log.filter(({ msg }) => msg === 'registry token issued')).toEqual([])
    })

    test('what the certificate has no right to is refused: another repository, a tag', async () => {
      expect((await scene.copy(image, 'other/app:1', builder)).stderr).toContain('403 (Forbidden)')
      works(await scene.copy(image, 'team/app:latest', builder))
      const refused = await scene.copy(image, 'team/app:v1', builder)
      expect(refused.stderr).toContain('requested access to the resource is denied')
    })

    test('log-in by password', async () => {
      expect((await scene.login('robot$ci', 'made at random')).stdout).toContain('Login Succeeded')
      expect((await scene.login('robot$ci', 'wrong')).status).not.toBe(0)
    })

    test('a password gets a token from the same host and port', async () => {
      works(await scene.copy(image, 'public/tool:1', { creds: 'robot$ci:made at random' }))
    })

    test('nobody pulls what is for everybody, and nothing else', async () => {
      works(await scene.copy(image, 'public/tool:1', { creds: 'robot$ci:made at random' }))
      works(await scene.inspect('public/tool:1'))
      expect((await scene.inspect('team/app:1')).stderr).toContain('authentication required')
    })

    test('the catalog shows each caller what it may pull', async () => {
      works(await scene.copy(image, 'team/app:1', builder))
      works(await scene.copy(image, 'secret/app:1', { creds: 'robot$ci:made at random' }))
      const answer = await scene.gateway.get('/v2/_catalog', {
        host: 'registry.test',
        as: scene.clients.client('builder'),
      })
      expect([answer.status, answer.text]).toEqual([200, expect.stringContaining('team/app')])
      expect(answer.text).not.toContain('secret/app')
      expect(answer.headers['docker-distribution-api-version']).toBe('registry/2.0')
    })
  })
})
