import { expect, test } from '@jest/globals'
import { temporaryFile } from '../support/folder.ts'
import { sallyport } from '../support/gateway.ts'
import { nameOf } from '../support/names.ts'
import { listenerOf, makeScene } from '../support/scene.ts'

test('with mapping: nats the users of a NATS configuration are found by names, addresses and subjects', async () => {
  const scene = await makeScene()
  const users = [
    { user: 'ada@example.com' },
    { user: 'CN=example.com,OU=CNCF' },
    { user: 'spiffe://localhost/a' },
    { user: 'CN=both,O=Acme', password: 'needed besides' },
  ]
  const gateway = await scene.start(
    listenerOf(scene.server({ verify_and_map: true, mapping: 'nats', authorization: { users } })),
  )
  const status = async (options: object) => (await gateway.get('/', { as: scene.clients.client('x', options) })).status
  expect(await status({ emails: ['no@example.com', 'ada@example.com'] })).toBe(200)
  expect(await status({ subject: nameOf(['CN', 'example.com'], ['OU', 'CNCF']) })).toBe(200)
  expect(await status({ uris: ['SPIFFE://localhost/a'] })).toBe(200)
  expect(await status({ subject: nameOf(['CN', 'example.com'], ['OU', 'other']) })).toBe(401)
  expect(await status({ subject: nameOf(['CN', 'ada@example.com']) })).toBe(401)
  expect(await status({ subject: nameOf(['O', 'Acme'], ['CN', 'both']) })).toBe(401)
  // verify_and_map implies verify; this scene says optional, so that a missing certificate is a matter of who is calling.
  expect((await gateway.get('/')).status).toBe(401)
})

test('check tells of users whom no certificate can be, and refuses a user twice', async () => {
  const scene = await makeScene()
  const check = (users: readonly object[]) => {
    const server = scene.server({ verify_and_map: true, mapping: 'nats', authorization: { users } })
    const file = temporaryFile('nats.yaml', JSON.stringify(scene.config(listenerOf(server))))
    return sallyport(['check', '-c', file])
  }
  const warned = await check([{ user: 'ada' }, { user: 'CN=ada,UID=x' }])
  expect(warned.status).toBe(0)
  expect(warned.stdout).toContain('authorization.users[0]: matches the DNS name "ada" only: a bare CN names no user')
  expect(warned.stdout).toContain('authorization.users[1]: can never match a subject: NATS ignores UID')
  const refused = await check([{ user: 'a@b' }, { user: 'a@b' }])
  expect(refused.status).toBe(1)
  expect(refused.stderr).toContain('Duplicate user "a@b" detected')
})
