import { beforeAll, expect, test } from '@jest/globals'
import { temporaryFile } from '../support/folder.ts'
import { sallyport } from '../support/gateway.ts'
import { authority } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene

beforeAll(async () => {
  scene = await makeScene()
})

/** What the log warns of when the gateway starts with such a server. */
async function warnings(fields: object): Promise<string[]> {
  const gateway = await scene.start(listenerOf(scene.server(fields)))
  const warned = gateway.log.filter(({ level }) => level === 'warn').map((line) => JSON.stringify(line))
  await gateway.stop()
  return warned
}

test('nothing is warned of where everything works', async () => {
  expect(await warnings({ server_names: ['localhost', '127.0.0.1', '_', 'localhost.*'] })).toEqual([])
})

test('an authority that has expired', async () => {
  const old = authority('old', { validFrom: -9, validUntil: -1 })
  expect(await warnings({ ssl_client_certificate: scene.clients.certificate + old.certificate })).toEqual([
    expect.stringMatching(/ssl_client_certificate.*the authority CN=old expired on \d{4}-.*nobody whom it certified/),
  ])
})

test('a list whose issuer nobody trusts', async () => {
  const strangers = authority('strangers')
  expect(await warnings({ ssl_crl: scene.clients.crl() + strangers.crl() })).toEqual([
    expect.stringMatching(/ssl_crl.*the list of CN=strangers belongs to no CA/),
  ])
})

test.each(['www.example.test', '*.example.test', '192.0.2.1'])(
  'a server name that its certificate does not hold: %s',
  async (name) => {
    const [warned, ...more] = await warnings({ server_names: ['localhost', name] })
    expect(warned).toMatch('ssl_certificate')
    expect(warned).toContain(`the certificate does not hold the server name ${name}`)
    expect(more).toEqual([])
  },
)

test('a name of a wildcard is held by it', async () => {
  const { chain, key } = scene.servers.server('*.example.test')
  const names = { server_names: ['a.example.test', '*.example.test'], ssl_certificate: chain, ssl_certificate_key: key }
  expect(await warnings(names)).toEqual([])
})

test('check tells it too, with the line', async () => {
  const file = temporaryFile(
    'gateway.yaml',
    JSON.stringify(scene.config(listenerOf(scene.server({ server_names: ['x.test'] }))), null, 1),
  )
  const { status, stdout } = await sallyport(['check', '-c', file])
  expect([status, stdout]).toEqual([
    0,
    expect.stringMatching(/warning: .*gateway\.yaml:\d+:\d+: .*server name x\.test/),
  ])
})
