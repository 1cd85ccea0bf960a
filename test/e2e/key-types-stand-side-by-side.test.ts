import { beforeAll, describe, expect, test } from '@jest/globals'
import { run } from '../support/children.ts'
import { temporaryFile } from '../support/folder.ts'
import { type Gateway, sallyport } from '../support/gateway.ts'
import { sClient } from '../support/openssl.ts'
import type { Issued } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway
let rsa: Issued
let ec: Issued
let ed: Issued

beforeAll(async () => {
  scene = await makeScene()
  rsa = scene.servers.authority('middle').server('localhost', { keyType: 'rsa' })
  ec = scene.servers.server('localhost')
  ed = scene.servers.server('localhost', { keyType: 'ed25519' })
  const only = scene.servers.server('only.test')
  const kong = [scene.servers.server('kong.test', { keyType: 'rsa' }), scene.servers.server('kong.test')] as const
  const all = [rsa, ec, ed]
  gateway = await scene.start({
    ...listenerOf(
      scene.server({
        ssl_certificate: all.map(({ chain }) => chain),
        ssl_certificate_key: all.map(({ key }) => key),
      }),
      scene.server({ server_names: ['only.test'], ssl_certificate: only.chain, ssl_certificate_key: only.key }),
      scene.server({ server_names: ['kong.test'], ssl_certificate: undefined, ssl_certificate_key: undefined }),
    ),
    certificates: [
      {
        cert: kong[0].chain,
        key: kong[0].key,
        cert_alt: kong[1].chain,
        key_alt: kong[1].key,
        snis: [{ name: 'kong.test' }],
      },
    ],
  })
})

/** The type of the key that a client is shown which can check these signatures only, and how many certificates come with it. */
async function shown(servername: string, tls: string, signatures: string): Promise<string> {
  const { stdout } = await run(
    'openssl',
    [
      ...['s_client', '-connect', `127.0.0.1:${gateway.port}`, `-${tls}`, '-showcerts', '-sigalgs', signatures],
      ...(servername === '' ? ['-noservername'] : ['-servername', servername]),
    ],
    { input: '' },
  )
  const type = /Peer signature type: (\S+)/.exec(stdout)?.[1] ?? 'none'
  return `${type} ${stdout.split('BEGIN CERTIFICATE').length - 1}`
}

describe.each(['tls1_2', 'tls1_3'])('over %s a client is shown the certificate that it can check', (tls) => {
  test.each(['localhost', ''])('by %j', async (name) => {
    expect(await shown(name, tls, 'RSA-PSS+SHA256')).toBe('RSA-PSS 2')
    expect(await shown(name, tls, 'ECDSA+SHA256')).toBe('ECDSA 1')
    expect(await shown(name, tls, 'ed25519')).toMatch(/^ed25519 1$/i)
  })
  test("also with Kong's cert_alt", async () => {
    expect(await shown('kong.test', tls, 'RSA-PSS+SHA256')).toBe('RSA-PSS 1')
    expect(await shown('kong.test', tls, 'ECDSA+SHA256')).toBe('ECDSA 1')
  })
  test('never that of another name', async () => {
    expect(await shown('only.test', tls, 'ECDSA+SHA256')).toBe('ECDSA 1')
    expect(await shown('only.test', tls, 'RSA-PSS+SHA256')).toMatch(/^none 0$/)
    expect(await shown('only.test', tls, 'RSA-PSS+SHA256:ECDSA+SHA256')).toBe('ECDSA 1')
  })
})

test.each(['tls1_2', 'tls1_3'] as const)(
  'a session goes on from one name to another with the same policy, over %s',
  async (tls) => {
    const as = scene.ada.files()
    const keep = temporaryFile('session.pem', '')
    const ask = (servername: string, session: object) =>
      sClient({
        ...{ port: gateway.port, tls, servername, as, ...session },
        request: `GET / HTTP/1.1\r\nHost: ${servername}\r\nConnection: close\r\n\r\n`,
      })
    expect((await ask('localhost', { keep })).answers[0]?.status).toBe(200)
    const again = await ask('localhost', { resume: keep })
    expect([again.resumed, again.answers[0]?.status]).toEqual([true, 200])
    const other = await ask('only.test', { resume: keep })
    expect(other.answers[0]?.status).toBe(200)
  },
)

test.each<[string, () => object, string]>([
  [
    'two keys of one type',
    () => ({ ssl_certificate: [ec.chain, ec.chain], ssl_certificate_key: [ec.key, ec.key] }),
    'same type',
  ],
  [
    'a key too few',
    () => ({ ssl_certificate: [ec.chain, rsa.chain], ssl_certificate_key: [ec.key] }),
    'as many entries',
  ],
  [
    'keys in another order',
    () => ({ ssl_certificate: [ec.chain, rsa.chain], ssl_certificate_key: [rsa.key, ec.key] }),
    'does not belong',
  ],
])('a configuration with %s is refused', async (_what, fields, message) => {
  const config = temporaryFile('a.yaml', JSON.stringify(scene.config(listenerOf(scene.server(fields())))))
  const { status, stdout, stderr } = await sallyport(['check', '-c', config])
  expect(status).not.toBe(0)
  expect(stdout + stderr).toContain(message)
})
