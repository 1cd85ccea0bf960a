import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from '@jest/globals'
import { temporaryFile, temporaryFolder } from '../support/folder.ts'
import { type Gateway, sallyport } from '../support/gateway.ts'
import { authority, type Issued, revokedEntry } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

let scene: Scene
const root = authority('root')
const department = root.authority('department')
const ada = department.client('ada')
const bob = department.client('bob')

beforeAll(async () => {
  scene = await makeScene()
})

const startWith = (ssl_crl: unknown) =>
  scene.start(listenerOf(scene.server({ ssl_client_certificate: root.certificate, ssl_crl })))

async function expectVerdicts(gateway: Gateway, verdicts: readonly (readonly [Issued, number])[]): Promise<void> {
  for (const [as, status] of verdicts) expect((await gateway.get('/', { as })).status).toBe(status)
}

const derOf = (pem: string) => Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64')

test('several files, PEM and DER', async () => {
  const files = [temporaryFile('root.crl', derOf(root.crl())), temporaryFile('department.pem', department.crl([ada]))]
  await expectVerdicts(await startWith(files), [
    [ada, 400],
    [bob, 200],
  ])
})

test('a folder, whose files may come, change and go', async () => {
  const folder = join(temporaryFolder(), 'lists')
  mkdirSync(folder)
  writeFileSync(join(folder, 'root.crl'), root.crl())
  writeFileSync(join(folder, 'department.crl'), department.crl([ada]))
  const gateway = await startWith(folder)
  await expectVerdicts(gateway, [
    [ada, 400],
    [bob, 200],
  ])
  writeFileSync(join(folder, 'newer.crl'), department.crl([bob], { thisUpdate: -0.5 }))
  await waitFor('the refusal of bob', async () => (await gateway.get('/', { as: bob })).status === 400)
  rmSync(join(folder, 'newer.crl'))
  await waitFor('bob to be let in', async () => (await gateway.get('/', { as: bob })).status === 200)
})

test('a link of a folder that leads nowhere is told, and noticed as soon as its file is there', async () => {
  const folder = join(temporaryFolder(), 'lists')
  mkdirSync(folder)
  writeFileSync(join(folder, 'root.crl'), root.crl())
  writeFileSync(join(folder, 'department.crl'), department.crl())
  symlinkSync('../newer.crl', join(folder, 'newer.crl'))
  const gateway = await startWith(folder)
  await expectVerdicts(gateway, [[bob, 200]])
  const told = `${join(folder, 'newer.crl')} is skipped: it is no file, or a link that leads to none`
  expect(gateway.log.filter(({ msg }) => msg?.includes(told))).toHaveLength(1)
  writeFileSync(join(folder, '..', 'newer.crl'), department.crl([bob], { thisUpdate: -0.5 }))
  await waitFor('the refusal of bob', async () => (await gateway.get('/', { as: bob })).status === 400)
})

/** With enough other entries that a thread of its own reads it. */
function largeList(revoked: readonly Issued[]): string {
  const serial = (i: number) => {
    const bytes = Buffer.alloc(16, 0x41)
    bytes.writeUInt32BE(i, 12)
    return bytes
  }
  return department.crl(revoked, { entries: Array.from({ length: 20_000 }, (_, i) => revokedEntry(serial(i))) })
}

test('a large list, also where its authority is an intermediate that clients send', async () => {
  const file = temporaryFile('department.crl', largeList([ada]))
  const gateway = await startWith([file, temporaryFile('root.crl', root.crl())])
  await expectVerdicts(gateway, [
    [ada, 400],
    [bob, 200],
  ])
  writeFileSync(file, largeList([bob]))
  await gateway.reload()
  await expectVerdicts(gateway, [
    [ada, 200],
    [bob, 400],
  ])
  writeFileSync(file, largeList([]).slice(0, -2000))
  const refusal = `${file}: The revocation lists are not sound PEM`
  await waitFor('the refusal of the file', () => gateway.log.some((line) => JSON.stringify(line).includes(refusal)))
  await expectVerdicts(gateway, [[bob, 400]])
})

test('a large list of the authority in the trust store', async () => {
  const gateway = await scene.start(
    listenerOf(
      scene.server({
        ssl_client_certificate: department.certificate + root.certificate,
        ssl_crl: [temporaryFile('department.crl', largeList([ada])), temporaryFile('root.crl', root.crl())],
      }),
    ),
  )
  await expectVerdicts(gateway, [
    [ada, 400],
    [bob, 200],
  ])
})

test('one that is larger than ssl_crl_max_size is refused, and not read', async () => {
  const ssl_crl = temporaryFile('large.crl', largeList([ada]))
  const server = scene.server({ ssl_client_certificate: root.certificate, ssl_crl, ssl_crl_max_size: '64k' })
  const file = temporaryFile('gateway.yaml', JSON.stringify(scene.config(listenerOf(server))))
  const { status, stderr } = await sallyport(['check', '-c', file])
  expect([status, stderr]).toEqual([1, expect.stringMatching(/ssl_crl: names .*; ssl_crl_max_size allows 65536/)])
})

test('of several files the broken one is named', async () => {
  const [good, bad] = [temporaryFile('good.crl', root.crl()), temporaryFile('bad.crl', 'no list')]
  const server = scene.server({ ssl_client_certificate: root.certificate, ssl_crl: [good, bad] })
  const config = temporaryFile('gateway.yaml', JSON.stringify(scene.config(listenerOf(server))))
  const { status, stderr } = await sallyport(['check', '-c', config])
  expect(status).toBe(1)
  expect(stderr).toContain(`${bad}: There is no PEM block of a revocation list`)
  expect(stderr).not.toContain(good)
})
