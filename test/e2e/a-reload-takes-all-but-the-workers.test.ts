import { type AddressInfo, createServer } from 'node:net'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { whenFileEnds } from '../support/cleanup.ts'
import { ask } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

let scene: Scene
beforeAll(async () => {
  scene = await makeScene()
})

test.each([1, 2])('with %d workers, a reload warns of another number of them', async (workers) => {
  const gateway = await scene.start({ workers })
  const warnings = () => gateway.log.filter(({ setting }) => setting === 'workers').map(({ msg }) => msg)
  await gateway.reload(scene.config({ workers: 3 }))
  await waitFor('the warning', () => warnings().length > 0)
  const told = `workers: a change takes effect at the next start; until then it is ${workers}`
  expect(warnings()).toEqual([expect.stringContaining(told)])
  // What is as at the start needs none, and is told of no more.
  await gateway.reload(scene.config({ workers }))
  await gateway.reload(scene.config({ workers }))
  expect(warnings()).toHaveLength(1)
})

describe.each([1, 2])('with %d workers, the admin listener', (workers) => {
  const probe = (port: number, address: string) =>
    ask(port, '/readyz', { plain: true, address }).then(
      ({ status }) => status,
      () => 'refused',
    )

  test('moves with a reload, also to all addresses of its port, and off', async () => {
    const [one, other] = [await freePort(), await freePort()]
    const at = (listen: string) => scene.config({ workers, admin: { listen } })
    const gateway = await scene.start(at(`127.0.0.1:${one}`))
    const moved = (where: string, done: () => Promise<boolean>) => waitFor(`the move to ${where}`, done)
    await gateway.reload(at(`127.0.0.1:${other}`))
    await moved('another port', async () => (await probe(other, '127.0.0.1')) === 200)
    expect(await probe(one, '127.0.0.1')).toBe('refused')
    await gateway.reload(at(`0.0.0.0:${other}`))
    await moved('all addresses', async () => (await probe(other, '127.0.0.2')) === 200)
    await gateway.reload(at('off'))
    await moved('off', async () => (await probe(other, '127.0.0.1')) === 'refused')
  })

  test('stays where it was where its new address is taken, and the log says so', async () => {
    const [one, taken] = [await freePort(), createServer()]
    const at = (listen: string) => scene.config({ workers, admin: { listen } })
    const gateway = await scene.start(at(`127.0.0.1:${one}`))
    const port = await new Promise<number>((resolve) => {
      taken.listen(0, '127.0.0.1', () => resolve((taken.address() as AddressInfo).port))
    })
    whenFileEnds(() => taken.close())
    await gateway.reload(at(`127.0.0.1:${port}`))
    const line = await gateway.logged({ msg: 'the admin listener stays where it was' })
    expect(JSON.stringify(line.problems)).toContain(`admin.listen: cannot listen on 127.0.0.1:${port} (EADDRINUSE)`)
    await waitFor('it to be back', async () => (await probe(one, '127.0.0.1')) === 200)
  })
})

test.each([1, 2])('with %d workers, a reload takes another log.level', async (workers) => {
  const mapping = { verify_and_map: true, authorization: { users: [{ user: { from: 'subject.cn' } }] } }
  const parts = { workers, ...listenerOf(scene.server(mapping)) }
  const gateway = await scene.start(parts)
  const debugged = () => gateway.log.filter(({ level }) => level === 'debug').length
  await gateway.get('/', { as: scene.ada })
  await gateway.reload(scene.config({ ...parts, log: { level: 'debug' } }))
  await waitFor('all to have it', () => gateway.log.filter(({ msg }) => msg === 'reloaded').length >= workers)
  for (let i = 0; i < workers; i++) await gateway.get('/', { as: scene.clients.client('bob') })
  await waitFor('a line for each', () => debugged() >= workers)
})
