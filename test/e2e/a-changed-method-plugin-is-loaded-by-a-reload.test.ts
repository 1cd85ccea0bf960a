import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { temporaryFolder } from '../support/folder.ts'
import { makeScene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

test('a changed module counts after a reload; one that does not load is refused and the old one stays', async () => {
  const scene = await makeScene()
  const module = join(temporaryFolder(), 'plugin.mjs')
  const says = (user: string) =>
    writeFileSync(module, `export const authenticate = (_c, _p, ctx) => { ctx.user_id = '${user}' }`)
  says('ada')
  const gateway = await scene.start({
    identity_headers: { 'X-User': 'user' },
    method_plugins: [{ name: 'always', module }],
    consumers: [{ username: 'ada' }, { username: 'bob' }],
    services: [{ name: 'api', url: scene.backend.url, rules: [['always']], routes: [{ name: 'all', paths: ['/'] }] }],
  })
  const user = async () =>
    (await gateway.get('/')).status === 200 ? scene.backend.last.header('x-user')[0] : undefined
  expect(await user()).toBe('ada')

  const failures = () => gateway.log.filter(({ msg }) => msg?.startsWith('reload refused')).length
  writeFileSync(module, 'export const nothing = (')
  await waitFor('the refusal', () => failures() > 0, 15)
  expect(await user()).toBe('ada')

  says('bob')
  // The changed file is noticed by itself.
  await waitFor('the new plugin', async () => (await user()) === 'bob', 15)
})
