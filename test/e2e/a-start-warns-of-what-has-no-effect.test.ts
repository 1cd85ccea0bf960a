import { beforeAll, expect, test } from '@jest/globals'
import { temporaryFile } from '../support/folder.ts'
import { sallyport } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'

let scene: Scene

beforeAll(async () => {
  scene = await makeScene()
})

test('a route that another hides, that of SALLYPORT_UPSTREAM_URL among them', async () => {
  const env = { SALLYPORT_UPSTREAM_URL: scene.backend.url }
  const check = async (paths: readonly string[]) => {
    const routes = [{ name: 'of the file', paths }]
    const config = scene.config({ services: [{ name: 'api', url: scene.backend.url, routes }] })
    return sallyport(['check', '-c', temporaryFile('gateway.yaml', JSON.stringify(config))], { env })
  }
  const { status, stdout } = await check(['/'])
  const [warning, ...more] = stdout.split('\n').filter((line) => line.includes('warning'))
  expect([status, more]).toEqual([0, []])
  expect(warning).toContain(
    'environment: SALLYPORT_UPSTREAM_URL: no request reaches the route upstream: the route of the file has the same conditions',
  )
  expect((await check(['/v1'])).stdout).not.toContain('warning')
})

test('quotes round a variable, beside what they lead to', async () => {
  const file = temporaryFile('gateway.yaml', JSON.stringify(scene.config()))
  const check = (env: Record<string, string>) => sallyport(['check', '-c', file], { env })
  const quotes = 'begins and ends with a quote, which is taken for a part of the value'
  const wrong = await check({ SALLYPORT_SSL_VERIFY_CLIENT: '"on"' })
  expect([wrong.status, wrong.stderr]).toEqual([
    1,
    expect.stringMatching(
      new RegExp(
        `VERIFY_CLIENT: expected one of off, .*\\n.*warning: environment: SALLYPORT_SSL_VERIFY_CLIENT: ${quotes}`,
      ),
    ),
  ])
  const secret = await check({ SECRET_CLIENT_KEY_PASSPHRASE: "'hunter2'" })
  expect(secret.stdout).toContain(`warning: environment: SECRET_CLIENT_KEY_PASSPHRASE: ${quotes}`)
  expect(secret.stdout).not.toContain('hunter2')
  const pem = await check({ SECRET_CLIENT_CERT: `"${scene.own.chain}"`, SECRET_CLIENT_KEY: `'${scene.own.key}'` })
  expect([pem.status, pem.stdout]).toEqual([0, expect.not.stringContaining('warning')])
})

test("a variable of Kong's that is not read, at the start and in check", async () => {
  const env = { KONG_NGINX_PROXY_SSL_VERIFY_CLIENT: 'on', KONG_PG_PASSWORD: 'hunter2' }
  const started = await scene.start({}, { env })
  const lines = started.log.filter(({ level }) => level === 'warn').map((line) => JSON.stringify(line))
  await started.stop()
  const expected = [
    /KONG_NGINX_PROXY_SSL_VERIFY_CLIENT: .*write SALLYPORT_SSL_VERIFY_CLIENT/,
    /KONG_PG_PASSWORD: .*nothing/,
  ]
  expect(lines).toEqual(expected.map((each) => expect.stringMatching(each)))
  expect(lines.join()).not.toContain('hunter2')
  const file = temporaryFile('gateway.yaml', JSON.stringify(scene.config()))
  const { status, stdout } = await sallyport(['check', '-c', file], { env })
  expect([status, stdout]).toEqual([
    0,
    expect.stringMatching(/warning: environment: KONG_NGINX_PROXY_SSL_VERIFY_CLIENT/),
  ])
})
