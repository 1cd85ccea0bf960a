import { beforeAll, describe, expect, test } from '@jest/globals'
import { temporaryFile } from '../support/folder.ts'
import { refusedStart } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
beforeAll(async () => {
  scene = await makeScene()
})

const PASSPHRASE = 'open-sesame-is-secret'

function environment(changes: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const all = {
    SALLYPORT_LISTEN: '127.0.0.1:0',
    SALLYPORT_ADMIN_LISTEN: 'off',
    SALLYPORT_UPSTREAM_URL: scene.backend.url,
    SALLYPORT_SSL_CERTIFICATE: scene.front.chain,
    SALLYPORT_SSL_CERTIFICATE_KEY: scene.front.key,
    SALLYPORT_SSL_CLIENT_CERTIFICATE: scene.clients.certificate,
    SALLYPORT_SSL_VERIFY_CLIENT: 'on',
    SALLYPORT_PROXY_SSL_TRUSTED_CERTIFICATE: scene.inside.certificate,
    SECRET_CLIENT_CERT: scene.own.certificate,
    SECRET_CLIENT_KEY: scene.own.key,
    ...changes,
  }
  return Object.fromEntries(Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined))
}

/** The body of a PEM, line by line: none of it may be repeated. */
const secretsOf = (pem: string) => pem.split('\n').filter((line) => line.length > 20 && !line.startsWith('-----'))

describe('from the environment, naming the variable and never its value', () => {
  test.each<[what: string, variable: RegExp, changes: (s: Scene) => Record<string, string | undefined>]>([
    ['a certificate without its key', /SECRET_CLIENT_KEY/, () => ({ SECRET_CLIENT_KEY: undefined })],
    ['a key without its certificate', /SECRET_CLIENT_CERT/, () => ({ SECRET_CLIENT_CERT: undefined })],
    [
      'a key of another certificate',
      /SECRET_CLIENT_(KEY|CERT)/,
      (s) => ({ SECRET_CLIENT_KEY: s.inside.client('other').key }),
    ],
    [
      'a key of another certificate where no API is asked for TLS',
      /SECRET_CLIENT_KEY/,
      (s) => ({ SECRET_CLIENT_KEY: s.inside.client('other').key, SALLYPORT_UPSTREAM_URL: 'http://127.0.0.1:9' }),
    ],
    ['a key that is none', /SECRET_CLIENT_KEY/, () => ({ SECRET_CLIENT_KEY: 'c2VjcmV0LWJ1dC1uby1rZXktYXQtYWxs' })],
    ['a damaged key', /SECRET_CLIENT_KEY/, (s) => ({ SECRET_CLIENT_KEY: s.own.key.replace(/\n.{9}/, '\nAAAAAAAAA') })],
    ['a key cut off', /SECRET_CLIENT_KEY/, (s) => ({ SECRET_CLIENT_KEY: s.own.key.slice(0, 90) })],
    [
      'an encrypted key without a passphrase',
      /SECRET_CLIENT_KEY_PASSPHRASE/,
      (s) => ({ SECRET_CLIENT_KEY: s.own.encryptedKey(PASSPHRASE) }),
    ],
    [
      'a wrong passphrase',
      /SECRET_CLIENT_KEY_PASSPHRASE/,
      (s) => ({ SECRET_CLIENT_KEY: s.own.encryptedKey('another'), SECRET_CLIENT_KEY_PASSPHRASE: PASSPHRASE }),
    ],
    [
      'a file that is not there',
      /SECRET_CLIENT_KEY_FILE/,
      () => ({ SECRET_CLIENT_KEY: undefined, SECRET_CLIENT_KEY_FILE: '/nowhere/client.key' }),
    ],
    [
      'a value and a file',
      /SECRET_CLIENT_KEY_FILE/,
      (s) => ({ SECRET_CLIENT_KEY_FILE: temporaryFile('key', s.own.key) }),
    ],
    [
      "the server's certificate without its key",
      /SALLYPORT_SSL_CERTIFICATE_KEY/,
      () => ({ SALLYPORT_SSL_CERTIFICATE_KEY: undefined }),
    ],
    [
      "a key of another server's certificate",
      /SALLYPORT_SSL_CERTIFICATE/,
      (s) => ({ SALLYPORT_SSL_CERTIFICATE_KEY: s.own.key }),
    ],
    [
      'no CA for clients that must have a certificate',
      /SALLYPORT_SSL_CLIENT_CERTIFICATE/,
      () => ({ SALLYPORT_SSL_CLIENT_CERTIFICATE: undefined }),
    ],
    [
      'a CA that is none',
      /SALLYPORT_SSL_CLIENT_CERTIFICATE/,
      () => ({ SALLYPORT_SSL_CLIENT_CERTIFICATE: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----' }),
    ],
    [
      'a CRL that is none',
      /SALLYPORT_SSL_CRL/,
      () => ({ SALLYPORT_SSL_CRL: '-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----' }),
    ],
    [
      'a mode that there is not',
      /SALLYPORT_SSL_VERIFY_CLIENT.*optional/s,
      () => ({ SALLYPORT_SSL_VERIFY_CLIENT: 'maybe' }),
    ],
    [
      'a variable that there is not',
      /SALLYPORT_SSL_VERIFY_CLIENTS.*SALLYPORT_SSL_VERIFY_CLIENT\b/s,
      () => ({ SALLYPORT_SSL_VERIFY_CLIENTS: 'on' }),
    ],
    ['an upstream that is no URL', /SALLYPORT_UPSTREAM_URL/, () => ({ SALLYPORT_UPSTREAM_URL: 'localhost' })],
    ['an address that is none', /SALLYPORT_LISTEN/, () => ({ SALLYPORT_LISTEN: 'somewhere' })],
  ])('%s', async (_what, variable, changes) => {
    const env = environment(changes(scene))
    const { status, stdout, stderr } = await refusedStart({ env })
    expect(status).toBe(1)
    expect(stderr + stdout).toMatch(variable)
    for (const secret of [
      PASSPHRASE,
      ...secretsOf(env.SECRET_CLIENT_KEY ?? ''),
      ...secretsOf(env.SALLYPORT_SSL_CERTIFICATE_KEY ?? ''),
    ]) {
      expect(stderr + stdout).not.toContain(secret)
    }
    expect(stderr).not.toMatch(/^\s+at .*:\d+:\d+/m)
  })

  test('several mistakes are told at once', async () => {
    const { stdout, stderr } = await refusedStart({
      env: environment({ SECRET_CLIENT_KEY: undefined, SALLYPORT_LISTEN: 'somewhere', SALLYPORT_TYPO: '1' }),
    })
    for (const name of ['SECRET_CLIENT_KEY', 'SALLYPORT_LISTEN', 'SALLYPORT_TYPO'])
      expect(stderr + stdout).toContain(name)
  })
})

describe('at start', () => {
  test('a file that is not there', async () => {
    const { status, stderr } = await refusedStart({ args: ['-c', '/nowhere/sallyport.yaml'] })
    expect(status).toBe(1)
    expect(stderr).toContain('/nowhere/sallyport.yaml')
  })
  test('nothing at all to go by', async () => {
    const { status, stderr, stdout } = await refusedStart({})
    expect(status).toBe(1)
    expect((stderr + stdout).trim()).not.toBe('')
  })
  test('a port that is taken', async () => {
    const { status, stderr, stdout } = await refusedStart({
      config: scene.config({ listeners: [{ listen: `127.0.0.1:${scene.backend.port}`, servers: [scene.server()] }] }),
    })
    expect(status).toBe(1)
    expect(stderr + stdout).toContain(String(scene.backend.port))
  })
  test('NODE_TLS_REJECT_UNAUTHORIZED=0, which would switch all verification off', async () => {
    const { status, stderr, stdout } = await refusedStart({
      env: { ...environment({}), NODE_TLS_REJECT_UNAUTHORIZED: '0' },
    })
    expect(status).toBe(1)
    expect(stderr + stdout).toContain('NODE_TLS_REJECT_UNAUTHORIZED')
  })
})

test("what Kong's variables say is told beside what is missing", async () => {
  const { SALLYPORT_SSL_CERTIFICATE: _, SALLYPORT_SSL_CERTIFICATE_KEY: _key, ...env } = environment({})
  const { stderr } = await refusedStart({ env: { ...env, KONG_SSL_CERT: scene.front.chain } })
  expect(stderr).toMatch(/ssl_certificate: is missing/)
  expect(stderr).toMatch(/warning: environment: KONG_SSL_CERT: .*SALLYPORT_SSL_CERTIFICATE/)
})
