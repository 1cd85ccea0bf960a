import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from '@jest/globals'
import { temporaryFile, temporaryFolder } from '../support/folder.ts'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { type Authority, authority } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'
import { pause, waitFor } from '../support/wait.ts'

let scene: Scene
beforeAll(async () => {
  scene = await makeScene()
})

const status = async (gateway: Gateway, clients: Authority) =>
  (await gateway.get('/', { as: clients.client('ada') })).status

test('a broken configuration: the log names the place and the mistake', async () => {
  const gateway = await scene.start()
  const line = await gateway.reload(
    'listeners:\n  - listen: 127.0.0.1:0\n    servers:\n      - ssl_verify_clients: on\n',
  )
  expect(line).toMatchObject({ level: 'error' })
  expect(JSON.stringify(line)).toMatch(/ssl_verify_clients/)
  expect(JSON.stringify(line)).toMatch(/ssl_verify_client\b(?!s)/)
  expect(await status(gateway, scene.clients)).toBe(200)
})

test('a file that is no YAML', async () => {
  const gateway = await scene.start()
  expect(await gateway.reload('{ [')).toMatchObject({ level: 'error' })
  expect(await status(gateway, scene.clients)).toBe(200)
})

test('a broken certificate, then a good one', async () => {
  const first = scene.servers.server('localhost').files()
  const files = { ssl_certificate: first.certificate, ssl_certificate_key: first.key }
  const gateway = await scene.start(listenerOf(scene.server(files)))
  writeFileSync(first.certificate, 'not a certificate')
  expect(await gateway.reload()).toMatchObject({ level: 'error' })
  expect(await status(gateway, scene.clients)).toBe(200)
  const next = scene.servers.server('localhost')
  writeFileSync(first.certificate, next.chain)
  writeFileSync(first.key, next.key)
  await waitFor(
    'the new certificate',
    async () => (await servedSerial(gateway)) === next.serial.toString('hex').toUpperCase(),
  )
})

test('a default file that is gone: what it forbids stays forbidden, though the environment alone would do', async () => {
  const cwd = temporaryFolder()
  const file = join(cwd, 'conf/sallyport.yaml')
  mkdirSync(join(cwd, 'conf'))
  const services = [{ name: 'api', url: scene.backend.url, deny: [{ methods: ['GET'] }], routes: [{ paths: ['/'] }] }]
  writeFileSync(file, JSON.stringify(scene.config({ services })))
  const env = {
    SALLYPORT_LISTEN: '127.0.0.1:0',
    SALLYPORT_SSL_CERTIFICATE: scene.front.chain,
    SALLYPORT_SSL_CERTIFICATE_KEY: scene.front.key,
    SALLYPORT_UPSTREAM_URL: scene.backend.url,
  }
  const gateway = await startGateway({ cwd, env })
  expect((await gateway.get('/')).status).toBe(403)
  renameSync(file, `${file}.away`)
  expect(JSON.stringify(await gateway.reload())).toContain(`is not there (looked for ${file})`)
  expect((await gateway.get('/')).status).toBe(403)
})

test('a file that is missing: one failed reload, and one that succeeds when the file is back', async () => {
  const files = scene.servers.server('localhost').files()
  const gateway = await scene.start(
    listenerOf(scene.server({ ssl_certificate: files.certificate, ssl_certificate_key: files.key })),
  )
  const key = readFileSync(files.key)
  const reloads = (level: string) =>
    gateway.log.filter((line) => line.reason === 'files changed' && line.level === level)
  // The first look at a file is what later ones are compared with.
  await pause(500)
  rmSync(files.key)
  await waitFor('the failed reload', () => reloads('error').length > 0)
  await pause(4000)
  expect(reloads('error')).toHaveLength(1)
  writeFileSync(files.key, key)
  await waitFor('the reload', () => reloads('info').length > 0)
})

test('a folder that is away for a while: one failed reload, and one that succeeds when it is back as it was', async () => {
  const folder = join(temporaryFolder(), 'mounted')
  const [certificate, key] = [join(folder, 'server.crt'), join(folder, 'server.key')]
  const pair = scene.servers.server('localhost')
  mkdirSync(folder)
  writeFileSync(certificate, pair.chain)
  writeFileSync(key, pair.key)
  const gateway = await scene.start(
    listenerOf(scene.server({ ssl_certificate: certificate, ssl_certificate_key: key })),
  )
  const reloads = (level: string) =>
    gateway.log.filter((line) => line.reason === 'files changed' && line.level === level)
  await pause(500)
  renameSync(folder, `${folder}.away`)
  await waitFor('the failed reload', () => reloads('error').length > 0)
  renameSync(`${folder}.away`, folder)
  await waitFor('the reload', () => reloads('info').length > 0)
})

test('a passphrase that no longer opens its key', async () => {
  const front = scene.servers.server('localhost')
  const passwords = temporaryFile('passwords', 'open sesame\n')
  const locked = { ssl_certificate: front.chain, ssl_certificate_key: front.encryptedKey('open sesame') }
  const gateway = await scene.start(listenerOf(scene.server({ ...locked, ssl_password_file: passwords })))
  writeFileSync(passwords, 'open barley\n')
  const line = await gateway.reload()
  expect(line).toMatchObject({ level: 'error' })
  expect(JSON.stringify(line)).toMatch(/passphrase/)
  expect(await status(gateway, scene.clients)).toBe(200)
})

test('a key that does not belong to its certificate', async () => {
  const first = scene.servers.server('localhost').files()
  const gateway = await scene.start(
    listenerOf(scene.server({ ssl_certificate: first.certificate, ssl_certificate_key: first.key })),
  )
  const before = await servedSerial(gateway)
  writeFileSync(first.key, scene.servers.server('localhost').key)
  expect(await gateway.reload()).toMatchObject({ level: 'error' })
  expect(await servedSerial(gateway)).toBe(before)
})

test.each(['', 'garbage', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'])(
  'client CAs that became %j: the old ones are trusted on, and nobody else',
  async (content) => {
    const file = temporaryFile('ca.pem', scene.clients.certificate)
    const gateway = await scene.start(
      listenerOf(scene.server({ ssl_client_certificate: file, ssl_verify_client: 'on' })),
    )
    writeFileSync(file, content)
    expect(await gateway.reload()).toMatchObject({ level: 'error' })
    expect(await status(gateway, scene.clients)).toBe(200)
    expect(await status(gateway, authority('strangers'))).toBe(400)
  },
)

test('changed client CAs: the new ones are trusted, and the old ones no longer', async () => {
  const next = authority('next')
  const file = temporaryFile('ca.pem', scene.clients.certificate)
  const gateway = await scene.start(listenerOf(scene.server({ ssl_client_certificate: file })))
  expect(await status(gateway, next)).toBe(400)
  writeFileSync(file, next.certificate)
  await waitFor('trust in the new CA', async () => (await status(gateway, next)) === 200)
  expect(await status(gateway, scene.clients)).toBe(400)
})

test('the outcome of the last reload is in the metrics', async () => {
  const gateway = await scene.start()
  const metric = async () =>
    /^\w*reload_success(?:ful)?(?:\{[^}]*\})? (\d)/m.exec((await gateway.getAdmin('/metrics')).text)?.[1]
  expect(await metric()).toBe('1')
  await gateway.reload('{ [')
  expect(await metric()).toBe('0')
  await gateway.reload(scene.config())
  expect(await metric()).toBe('1')
})

async function servedSerial(gateway: Gateway): Promise<string | undefined> {
  const response = await gateway.begin('/')
  const serial = (response.socket as import('node:tls').TLSSocket).getPeerX509Certificate()?.serialNumber
  response.destroy()
  return serial
}
