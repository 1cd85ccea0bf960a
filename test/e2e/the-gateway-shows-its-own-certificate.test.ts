import { beforeAll, describe, expect, test } from '@jest/globals'
import { type Backend, startBackend } from '../support/backend.ts'
import { temporaryFile } from '../support/folder.ts'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let anybody: Backend

beforeAll(async () => {
  scene = await makeScene()
  // Takes any certificate, or none, and tells what it was.
  anybody = await startBackend({ certificate: scene.inside.server('localhost') })
})

/** The environment of the compose sidecar, without the gateway's own certificate. */
function environment(own: Record<string, string>): Record<string, string> {
  return {
    SALLYPORT_LISTEN: '127.0.0.1:0',
    SALLYPORT_ADMIN_LISTEN: '127.0.0.1:0',
    SALLYPORT_UPSTREAM_URL: scene.backend.url,
    SALLYPORT_SSL_CERTIFICATE: scene.front.chain,
    SALLYPORT_SSL_CERTIFICATE_KEY: scene.front.key,
    SALLYPORT_SSL_CLIENT_CERTIFICATE: scene.clients.certificate,
    SALLYPORT_SSL_VERIFY_CLIENT: 'optional',
    SALLYPORT_PROXY_SSL_TRUSTED_CERTIFICATE: scene.inside.certificate,
    ...own,
  }
}

const base64 = (text: string) => Buffer.from(text).toString('base64')

describe('from the environment', () => {
  test.each<[string, () => Record<string, string>]>([
    ['as PEM text', () => ({ SECRET_CLIENT_KEY: scene.own.key, SECRET_CLIENT_CERT: scene.own.certificate })],
    [
      'as PEM text without its last line break',
      () => ({ SECRET_CLIENT_KEY: scene.own.key.trim(), SECRET_CLIENT_CERT: scene.own.certificate.trim() }),
    ],
    [
      'as base64',
      () => ({ SECRET_CLIENT_KEY: base64(scene.own.key), SECRET_CLIENT_CERT: base64(scene.own.certificate) }),
    ],
    [
      'as paths',
      () => ({ SECRET_CLIENT_KEY: scene.own.files().key, SECRET_CLIENT_CERT: scene.own.files().certificate }),
    ],
    [
      'as Docker secrets',
      () => ({ SECRET_CLIENT_KEY_FILE: scene.own.files().key, SECRET_CLIENT_CERT_FILE: scene.own.files().certificate }),
    ],
    [
      "under Kong's names",
      () => ({ KONG_CLIENT_SSL_CERT_KEY: scene.own.key, KONG_CLIENT_SSL_CERT: scene.own.certificate }),
    ],
    [
      'with an encrypted key',
      () => ({
        SECRET_CLIENT_KEY: scene.own.encryptedKey('open sesame'),
        SECRET_CLIENT_KEY_PASSPHRASE: 'open sesame',
        SECRET_CLIENT_CERT: scene.own.certificate,
      }),
    ],
    [
      'with an encrypted key and its passphrase from a file',
      () => ({
        SECRET_CLIENT_KEY: scene.own.encryptedKey('open sesame'),
        SECRET_CLIENT_KEY_PASSPHRASE_FILE: temporaryFile('passphrase', 'open sesame\n'),
        SECRET_CLIENT_CERT: scene.own.certificate,
      }),
    ],
  ])('%s', async (_how, own) => {
    const gateway = await startGateway({ env: environment(own()) })
    const answer = await gateway.get('/hello?x=1', { as: scene.ada })
    expect(answer.status).toBe(200)
    expect(scene.backend.last).toMatchObject({ gatewaySubject: 'CN=gateway', target: '/hello?x=1' })
    expect(scene.backend.last.header('DN')).toEqual(['CN=ada'])
    expect((await gateway.stop()).status).toBe(0)
  })
})

describe('from the configuration', () => {
  let gateway: Gateway

  beforeAll(async () => {
    const special = scene.inside.authority('special').client('special')
    gateway = await scene.start({
      certificates: [{ id: '11111111-1111-4111-8111-111111111111', cert: special.chain, key: special.key }],
      services: [
        { name: 'default', url: anybody.url, routes: [{ name: 'default', paths: ['/default'] }] },
        {
          name: 'special',
          url: anybody.url,
          client_certificate: '11111111-1111-4111-8111-111111111111',
          routes: [{ name: 'special', paths: ['/special'] }],
        },
        { name: 'none', url: anybody.url, client_certificate: 'none', routes: [{ name: 'none', paths: ['/none'] }] },
      ],
    })
  })

  test.each([
    ['/default', 'CN=gateway'],
    ['/special', 'CN=special'],
    ['/none', ''],
  ])('the service behind %s sees %j', async (path, subject) => {
    expect((await gateway.get(path)).status).toBe(200)
    expect(anybody.last.gatewaySubject).toBe(subject)
  })
})
