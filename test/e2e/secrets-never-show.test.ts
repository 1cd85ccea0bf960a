import { readFileSync } from 'node:fs'
import { beforeAll, expect, test } from '@jest/globals'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { authority } from '../support/pki.ts'
import { makeScene, type Scene } from '../support/scene.ts'

const PASSPHRASE = 'open-sesame-is-secret'
let scene: Scene
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  gateway = await startGateway({
    env: {
      SALLYPORT_LISTEN: '127.0.0.1:0',
      SALLYPORT_ADMIN_LISTEN: '127.0.0.1:0',
      SALLYPORT_LOG_LEVEL: 'debug',
      SALLYPORT_UPSTREAM_URL: scene.backend.url,
      SALLYPORT_SSL_CERTIFICATE: scene.front.chain,
      SALLYPORT_SSL_CERTIFICATE_KEY: scene.front.key,
      SALLYPORT_SSL_CLIENT_CERTIFICATE: scene.clients.certificate,
      SALLYPORT_SSL_VERIFY_CLIENT: 'optional',
      SALLYPORT_PROXY_SSL_TRUSTED_CERTIFICATE: scene.inside.certificate,
      SECRET_CLIENT_CERT: scene.own.certificate,
      SECRET_CLIENT_KEY: scene.own.encryptedKey(PASSPHRASE),
      SECRET_CLIENT_KEY_PASSPHRASE: PASSPHRASE,
    },
  })
})

test('in the log, the metrics or the answers, whatever happens', async () => {
  const answers = [
    await gateway.get('/', {
      as: scene.ada,
      headers: { authorization: 'Bearer very-secret', cookie: 'session=very-secret' },
    }),
    await gateway.get('/?access_token=very-secret&x=1'),
    await gateway.get('/', { as: authority('strangers').client('mallory') }),
  ]
  const [refused] = await gateway.talk(
    'GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer very-secret\r\nbroken\r\n\r\n',
  )
  await gateway.reload()
  const metrics = await gateway.getAdmin('/metrics')
  for (const answer of answers) await gateway.line(answer)
  const shown = [
    gateway.child.stdout,
    gateway.child.stderr,
    metrics.text,
    JSON.stringify(refused),
    ...answers.filter(({ status }) => status !== 200).map(({ text, headers }) => text + JSON.stringify(headers)),
  ].join('\n')
  const keys = [scene.front.key, scene.own.key].flatMap((pem) =>
    pem.split('\n').filter((line) => line.length > 20 && !line.startsWith('---')),
  )
  for (const secret of [PASSPHRASE, 'very-secret', 'PRIVATE KEY', ...keys]) expect(shown).not.toContain(secret)
})

test('a reload still finds the secrets that left the environment', async () => {
  expect(await gateway.reload()).not.toMatchObject({ level: 'error' })
  expect((await gateway.get('/')).status).toBe(200)
  expect(scene.backend.last.gatewaySubject).toBe('CN=gateway')
})

test('no key or passphrase is handed to child processes: none but the first is in the environment that the process was given', () => {
  // /proc shows what the process was started with, which only whoever started it could keep from it; no process below it holds it again.
  const children = readFileSync(`/proc/${gateway.child.pid}/task/${gateway.child.pid}/children`, 'utf8')
    .trim()
    .split(' ')
    .filter(Boolean)
  for (const pid of children) {
    expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).not.toMatch(/PRIVATE KEY|open-sesame/)
  }
})
