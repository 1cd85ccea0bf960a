// OpenSSL refuses short keys where a TLS context is made: at the start that is a problem of a setting, and not a crash or a handshake that fails each time.
import { generateKeyPairSync } from 'node:crypto'
import { beforeAll, expect, test } from '@jest/globals'
import { temporaryFile } from '../support/folder.ts'
import { sallyport } from '../support/gateway.ts'
import { authority, type Issued } from '../support/pki.ts'
import { type GatewayConfig, listenerOf, makeScene, type Scene } from '../support/scene.ts'

const short = generateKeyPairSync('rsa', { modulusLength: 1024 })
let scene: Scene
let weak: Issued
let underWeak: Issued
let client: Issued

beforeAll(async () => {
  scene = await makeScene()
  weak = scene.servers.server('short.test', { keys: short })
  underWeak = authority('root').authority('short', { keys: short }).server('short.test')
  client = scene.inside.client('gateway', { keys: short })
})

const ownServer = ({ chain, key }: Issued, fields: object = {}) =>
  scene.server({ server_names: ['short.test'], ssl_certificate: chain, ssl_certificate_key: key, ...fields })

const nameless = (fields: object = {}) =>
  scene.server({ server_names: ['short.test'], ssl_certificate: undefined, ssl_certificate_key: undefined, ...fields })

const byName = ({ chain, key }: Issued, ...names: string[]) => ({
  certificates: [{ cert: chain, key, snis: (names.length > 0 ? names : ['short.test']).map((name) => ({ name })) }],
})

/** As nginx words it, with the setting and what to do. */
const CASES: [string, () => GatewayConfig, string][] = [
  [
    'the only one of the default server',
    () => listenerOf(ownServer(weak)),
    'listeners[0].servers[0].ssl_certificate: is refused by OpenSSL (ee key too small)',
  ],
  [
    'that of another server',
    () => listenerOf(scene.server(), ownServer(weak)),
    'listeners[0].servers[1].ssl_certificate: is refused by OpenSSL (ee key too small)',
  ],
  [
    'one of an authority with a short key',
    () => listenerOf(scene.server(), ownServer(underWeak)),
    'listeners[0].servers[1].ssl_certificate: is refused by OpenSSL (ca key too small)',
  ],
  [
    'one for a server name',
    () => ({ ...listenerOf(scene.server(), nameless()), ...byName(weak) }),
    'certificates[0].cert: is refused by OpenSSL (ee key too small)',
  ],
  [
    'one for two names, of which the server of the first shows another one',
    () => ({ ...listenerOf(scene.server(), nameless()), ...byName(weak, 'localhost', 'short.test') }),
    'certificates[0].cert: is refused by OpenSSL (ee key too small)',
  ],
  [
    'one for all other names, where only the default server has its own',
    () => ({ ...listenerOf(scene.server(), nameless()), ...byName(weak, '*') }),
    'certificates[0].cert: is refused by OpenSSL (ee key too small)',
  ],
  [
    'the first of all, for a name that none has',
    () => ({ ...listenerOf(scene.server(), nameless()), ...byName(weak, 'localhost') }),
    'certificates[0].cert: is refused by OpenSSL (ee key too small)',
  ],
  [
    'one with a usual key, where the security level is higher',
    () => listenerOf(scene.server({ ssl_ciphers: 'DEFAULT:@SECLEVEL=4' })),
    'listeners[0].servers[0].ssl_certificate: is refused by OpenSSL (ee key too small)',
  ],
  [
    'the one that two services are shown',
    () => ({
      proxy: {
        proxy_ssl_certificate: client.chain,
        proxy_ssl_certificate_key: client.key,
        proxy_ssl_trusted_certificate: scene.inside.certificate,
      },
      services: ['one', 'two'].map((name) => ({
        name,
        url: scene.backend.url,
        routes: [{ name, paths: [`/${name}`] }],
      })),
    }),
    'proxy.proxy_ssl_certificate: is refused by OpenSSL (ee key too small)',
  ],
]

async function check(parts: GatewayConfig) {
  const file = temporaryFile('sallyport.yaml', JSON.stringify(scene.config(parts)))
  const { status, stdout, stderr } = await sallyport(['check', '-c', file])
  return { status, output: stdout + stderr }
}

test.each(CASES)('%s', async (_which, parts, expected) => {
  const { status, output } = await check(parts())
  expect(status).toBe(1)
  expect(output).toContain('one problem')
  expect(output).toContain(expected)
  expect(output).toMatch(/lower @SECLEVEL in (proxy\.proxy_)?ssl_ciphers/)
})

test('each of several is named', async () => {
  const other = scene.servers.server('other.test', { keys: short })
  const { output } = await check(listenerOf(ownServer(weak), ownServer(other, { server_names: ['other.test'] })))
  for (const i of [0, 1]) expect(output).toContain(`listeners[0].servers[${i}].ssl_certificate: is refused by OpenSSL`)
})

test('with a lower security level they are shown', async () => {
  const fields = { ssl_ciphers: 'DEFAULT:@SECLEVEL=0' }
  for (const parts of [
    listenerOf(ownServer(weak, fields)),
    { ...listenerOf(scene.server(), nameless(fields)), ...byName(underWeak) },
  ]) {
    const { status, output } = await check(parts)
    expect(output).toContain('the gateway would start')
    expect(status).toBe(0)
  }
})

test('a name whose server shows another certificate is no reason', async () => {
  const { status } = await check({ ...listenerOf(scene.server({ server_names: ['short.test'] })), ...byName(weak) })
  expect(status).toBe(0)
})

test('a reload is refused with the same words, and what was shown stays', async () => {
  const gateway = await scene.start()
  const line = await gateway.reload(scene.config(listenerOf(ownServer(weak, { server_names: ['localhost'] }))))
  expect(line).toMatchObject({ level: 'error' })
  expect(JSON.stringify(line)).toContain('is refused by OpenSSL (ee key too small)')
  expect((await gateway.get('/')).status).toBe(200)
})
