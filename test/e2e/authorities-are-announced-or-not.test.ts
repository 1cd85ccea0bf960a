import { beforeAll, describe, expect, test } from '@jest/globals'
import { temporaryFile } from '../support/folder.ts'
import { type Gateway, sallyport } from '../support/gateway.ts'
import { sClient } from '../support/openssl.ts'
import { type Authority, authority } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway
let second: Authority
const extra = authority('extra')

beforeAll(async () => {
  scene = await makeScene()
  second = authority('second')
  const both = scene.clients.certificate + second.certificate + scene.clients.certificate
  const silent = { ssl_client_certificate: undefined, ssl_trusted_certificate: both }
  gateway = await scene.start(
    listenerOf(
      scene.server({ ssl_client_certificate: both }),
      scene.server({ server_names: ['trusted.test'], ...silent }),
      scene.server({ server_names: ['quiet.test'], ssl_client_certificate: both, send_ca_dn: 'off' }),
      scene.server({
        server_names: ['mixed.test'],
        ssl_trusted_certificate: second.certificate,
        send_ca_dn: 'off',
        ssl_crl: scene.clients.crl([scene.clients.client('gone')]) + second.crl(),
      }),
    ),
    // Whatever the operator adds to Node's own authorities must not become an authority for clients.
    { env: { NODE_EXTRA_CA_CERTS: temporaryFile('extra.pem', extra.certificate), NODE_OPTIONS: '--use-system-ca' } },
  )
})

async function announced(servername: string): Promise<readonly string[]> {
  const request = `GET / HTTP/1.1\r\nHost: ${servername}\r\nConnection: close\r\n\r\n`
  const { output } = await sClient({ port: gateway.port, tls: 'tls1_3', servername, request })
  const names = /Acceptable client certificate CA names\n((?:CN ?=.*\n)+)/.exec(output)?.[1] ?? ''
  if (names === '') expect(output).toContain('No client certificate CA names sent')
  return names.split('\n').filter((line) => line !== '')
}

test('the names of ssl_client_certificate are sent, each once', async () => {
  expect((await announced('localhost')).map((name) => name.replaceAll(' ', ''))).toEqual(['CN=clients', 'CN=second'])
})

describe.each(['trusted.test', 'quiet.test', 'mixed.test'])('of %s', (host) => {
  test('no names are sent', async () => {
    expect(await announced(host)).toEqual([])
  })
  test('the authorities are trusted, and nobody else', async () => {
    const status = (as: Authority) => gateway.get('/', { as: as.client('ada'), host }).then((answer) => answer.status)
    expect(await status(scene.clients)).toBe(200)
    expect(await status(second)).toBe(200)
    expect(await status(extra)).toBe(400)
    expect(await status(scene.servers)).toBe(400)
  })
})

test('some names and not others cannot be sent, and the check says what to do', async () => {
  const config = scene.config(listenerOf(scene.server({ ssl_trusted_certificate: second.certificate })))
  const { status, stdout, stderr } = await sallyport(['check', '-c', temporaryFile('a.yaml', JSON.stringify(config))])
  expect(status).not.toBe(0)
  expect(stdout + stderr).toContain('set send_ca_dn: off')
})
