// docker-compose.yml without Docker: the real nginx and PHP-FPM with the files of conf/docker, the gateway with the environment that compose
// would give it. Only ports, hosts and paths are replaced.
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { type Child, run } from '../support/children.ts'
import { curl } from '../support/curl.ts'
import { temporaryFolder } from '../support/folder.ts'
import { freePort } from '../support/free-port.ts'
import { type Gateway, PROJECT, sallyport, startGateway } from '../support/gateway.ts'
import { startNginx } from '../support/nginx.ts'
import { describeWith } from '../support/peers.ts'
import { PHP_FPM, startPhpFpm } from '../support/php-fpm.ts'

interface Compose {
  readonly services: Readonly<Record<string, ComposeService>>
}

interface ComposeService {
  readonly environment?: Readonly<Record<string, string>>
  readonly volumes?: readonly string[]
  readonly command?: readonly string[]
}

interface Answer {
  readonly path: string
  readonly gateway: { readonly VERIFIED: string; readonly DN: string }
  readonly client: { readonly VERIFIED: string | null; readonly DN: string | null } | null
}

const COMMAND = 'SECRET_CLIENT_KEY=`cat client.key` SECRET_CLIENT_CERT=`cat client.crt` docker-compose up'

const text = (path: string) => readFileSync(join(PROJECT, path), 'utf8')
const compose = parse(text('docker-compose.yml')) as Compose
const environment = compose.services.gateway?.environment ?? {}

test('the command line of the original is the one that docker-compose.yml and the README tell', () => {
  expect(text('docker-compose.yml')).toContain(COMMAND)
  expect(text('README.md')).toContain(COMMAND)
})

test('every file that is mounted is there, apart from the certificates, which are made', () => {
  const mounted = Object.values(compose.services).flatMap(({ volumes = [] }) =>
    volumes.map((each) => each.split(':')[0]),
  )
  const files = mounted.filter((path) => path?.startsWith('./') && path !== './certs')
  expect(files).not.toEqual([])
  for (const path of files) expect([path, existsSync(join(PROJECT, path ?? ''))]).toEqual([path, true])
})

test('the gateway is handed each file that it reads, and no other', () => {
  const read = Object.values(environment).filter((value) => value.startsWith('/certs/'))
  const handed = compose.services['gateway-certs']?.command?.map((path) => path.replace('/host/', '/certs/'))
  expect(new Set(handed)).toEqual(new Set(read))
})

describeWith(['nginx', PHP_FPM, 'curl'], 'docker-compose up', () => {
  const certs = join(temporaryFolder(), 'certs')
  const trust = ['--cacert', join(certs, 'ca.crt')]
  const as = (name: string) => ['--cert', join(certs, `${name}.crt`), '--key', join(certs, `${name}.key`)]
  let apiPort: number
  let gateway: Gateway
  let php: Child | undefined

  async function ask(args: readonly string[], port = gateway.port): Promise<Answer> {
    const { stdout, stderr } = await curl([...trust, ...args, `https://localhost:${port}/hello?x=1`])
    expect(stderr).toBe('')
    return JSON.parse(stdout) as Answer
  }

  /** What compose makes of the environment in docker-compose.yml, with the shell's variables. */
  function start(
    shell: Readonly<Record<string, string>>,
    more: Readonly<Record<string, string>> = {},
  ): Promise<Gateway> {
    const value = (written: string) =>
      written
        .replace(/\$\{(\w+):-\}/g, (_, name: string) => shell[name] ?? '')
        .replace(/^\/certs\//, `${certs}/`)
        .replace('0.0.0.0:8443', '127.0.0.1:0')
        .replace('//api:8443', `//localhost:${apiPort}`)
    const env = Object.fromEntries(Object.entries(environment).map(([name, written]) => [name, value(written)]))
    return startGateway({ env: { ...env, SALLYPORT_ADMIN_LISTEN: '127.0.0.1:0', ...more } })
  }

  /** Runs the very command line, with a docker-compose that tells what it was given. */
  async function givenByCommandLine(): Promise<Record<string, string>> {
    const bin = temporaryFolder()
    const script = `#!/bin/sh\nexec "${process.execPath}" -p 'JSON.stringify({ ...process.env, args: process.argv.slice(1) })' "$@"\n`
    writeFileSync(join(bin, 'docker-compose'), script)
    chmodSync(join(bin, 'docker-compose'), 0o700)
    const { stdout, stderr } = await run('sh', ['-c', `PATH=${bin}:$PATH; ${COMMAND}`], { cwd: certs })
    expect(stderr).toBe('')
    const { SECRET_CLIENT_KEY, SECRET_CLIENT_CERT, args } = JSON.parse(stdout)
    expect(args).toEqual(['up'])
    return { SECRET_CLIENT_KEY, SECRET_CLIENT_CERT }
  }

  beforeAll(async () => {
    expect((await sallyport(['certs', certs, '--name', 'bob'])).status).toBe(0)
    apiPort = await freePort()
    const { child, socket } = await startPhpFpm()
    php = child
    const configuration = text('conf/docker/api.conf')
      .replace('listen 8443 ssl', `listen 127.0.0.1:${apiPort} ssl`)
      .replaceAll('/certs/', `${certs}/`)
      .replace('whoami:9000', `unix:${socket}`)
      .replace('/srv/whoami.php', join(PROJECT, 'conf/docker/whoami.php'))
      .replace(/^ *ssl_protocols .*\n/m, '')
    await startNginx(apiPort, configuration)
    gateway = await start(await givenByCommandLine())
  })

  // Killed outright, PHP-FPM would leave its workers behind.
  afterAll(() => php?.stop('SIGTERM'))

  test('the API verifies the gateway and learns who its client is', async () => {
    expect(await ask(as('bob'))).toEqual({
      method: 'GET',
      path: '/hello?x=1',
      gateway: { VERIFIED: 'SUCCESS', DN: 'CN=ada' },
      client: { VERIFIED: 'SUCCESS', DN: 'CN=bob' },
    })
  })

  test('and that a client showed no certificate, whatever it says of itself', async () => {
    const lies = ['-H', 'VERIFIED: SUCCESS', '-H', 'DN: CN=root', '-H', 'dn: CN=root', '-H', 'D_N: x']
    expect(await ask(lies)).toMatchObject({ client: { VERIFIED: 'NONE', DN: null } })
  })

  test('a revoked client meets 400 at the gateway', async () => {
    const { stdout } = await curl([
      ...trust,
      ...as('revoked'),
      '-w',
      '%{http_code}',
      `https://localhost:${gateway.port}/`,
    ])
    expect(stdout).toMatch(/400$/)
    expect(stdout).toContain('GW_CLIENT_CERTIFICATE_INVALID')
  })

  test('who goes to the API directly is not believed', async () => {
    const answer = await ask(['-H', 'VERIFIED: SUCCESS', '-H', 'DN: CN=root'], apiPort)
    expect(answer).toMatchObject({ gateway: { VERIFIED: 'NONE' }, client: null })
  })

  test('without the two secrets the gateway shows no certificate, and the API says so', async () => {
    gateway = await start({})
    expect(await ask(as('bob'))).toMatchObject({ gateway: { VERIFIED: 'NONE' }, client: null })
  })

  test('the health check follows the gateway', async () => {
    const check = () =>
      run(process.execPath, [join(PROJECT, 'bin/healthcheck.js')], {
        env: { SALLYPORT_ADMIN_LISTEN: `127.0.0.1:${gateway.admin}` },
      })
    expect((await check()).status).toBe(0)
    await gateway.stop()
    expect((await check()).status).toBe(1)
  })

  test('the health check knows a Unix socket', async () => {
    const env = { SALLYPORT_ADMIN_LISTEN: `unix:${join(temporaryFolder(), 'admin.sock')}` }
    const check = () => run(process.execPath, [join(PROJECT, 'bin/healthcheck.js')], { env })
    expect((await check()).status).toBe(1)
    gateway = await start({}, env)
    expect(await check()).toMatchObject({ status: 0, stderr: '' })
  })
})
