import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { temporaryFile } from '../support/folder.ts'
import { sallyport } from '../support/gateway.ts'
import { nameOf } from '../support/names.ts'
import { type CertificateOptions, selfSigned } from '../support/pki.ts'
import { startPlugin } from '../support/plugin.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let config: string

beforeAll(async () => {
  scene = await makeScene()
  const users = [
    { user: 'ada', certificate: ['email:ada@example.com'], issuer: 'CN=clients' },
    { user: 'bob', certificate: ['cn:bob'], groups: ['staff'] },
    { user: { from: 'subject.cn' } },
  ]
  const parts = {
    ...listenerOf(scene.server({ authorization: { users } })),
    identity_headers: { VERIFIED: 'verify', 'X-Consumer-Username': 'user', 'X-Consumer-Groups': 'groups' },
    services: [
      {
        name: 'api',
        url: scene.backend.url,
        deny: [{ groups: ['suspended'] }],
        routes: [
          { name: 'staff', paths: ['/staff'], allow: [{ groups: ['staff'] }] },
          { name: 'all', paths: ['/all'] },
          { name: 'key', paths: ['/key'], rules: [['api-key'], ['password']], hide_credentials: false },
          { name: 'near', paths: ['/near'], allow: [{ users: ['ada'], addresses: ['192.0.2.0/24'] }] },
        ],
      },
    ],
  }
  Object.assign(parts, {
    consumers: [
      {
        username: 'kim',
        groups: ['staff'],
        keyauth_credentials: [{ key: 'the key of kim' }],
        basicauth_credentials: [{ username: 'kim', password: 'the password of kim' }],
      },
    ],
  })
  config = temporaryFile('gateway.yaml', JSON.stringify(scene.config(parts)))
})

async function inspect(options: CertificateOptions, request: string, ...args: string[]) {
  const file = temporaryFile('client.pem', scene.clients.client('x', options).chain)
  return sallyport(['inspect', file, '-c', config, '--for', request, ...args])
}

async function decision(options: CertificateOptions, request: string) {
  const { stdout } = await inspect(options, request, '--json')
  return (JSON.parse(stdout) as { decision: Record<string, unknown> }).decision
}

test.each<[string, object]>([
  ['/a/../all', { code: 'GW_BAD_PATH', detail: 'the path holds a dot segment' }],
  ['/all/%2e%2E/staff', { code: 'GW_BAD_PATH', detail: 'the path holds a dot segment' }],
  ['/a\\..\\all', { code: 'GW_BAD_PATH' }],
])('the path is judged as it is written: %s', async (path, refusal) => {
  expect(await decision({}, `GET https://localhost${path}`)).toMatchObject({
    request: `GET https://localhost${path}`,
    refusal: { status: 400, ...refusal },
  })
})

test.each(['/all?next=/../x', '/%61ll', '//all', '/all/é#top'])('%s is a path that passes', async (path) => {
  const { route, refusal } = await decision({}, `GET https://localhost${path}`)
  expect([route, refusal]).toEqual(['all', undefined])
})

test('each rule is told with why it matched or did not, then user, groups, the setting that decided, and the headers', async () => {
  expect(await decision({ subject: nameOf(['CN', 'bob']) }, 'GET https://localhost/staff/x')).toMatchObject({
    server: 'localhost',
    verified: 'SUCCESS',
    route: 'staff',
    service: 'api',
    rules: [
      {
        at: 'listeners[0].servers[0].authorization.users[0]',
        rule: 'email:ada@example.com',
        matched: false,
        reason: 'the certificate has no such name',
      },
      { rule: 'cn:bob', matched: true },
      { rule: 'subject.cn', matched: true },
    ],
    user: { name: 'bob', groups: ['staff'] },
    methods: ['certificate'],
    decided_by: 'services[0].routes[0].allow[0]',
    headers: expect.arrayContaining([
      ['X-Consumer-Username', 'bob'],
      ['X-Consumer-Groups', 'staff'],
    ]),
  })
})

test('a user who may not pass is told by which setting', async () => {
  expect(await decision({ emails: ['ada@example.com'] }, 'GET https://localhost/staff')).toMatchObject({
    user: { name: 'ada' },
    decided_by: 'services[0].routes[0].allow',
    refusal: { status: 403, code: 'GW_FORBIDDEN' },
    headers: [],
  })
})

test('what cannot be answered is told: no route, a certificate that is not verified', async () => {
  expect(await decision({}, 'GET https://localhost/nowhere')).toMatchObject({
    refusal: { status: 404, detail: 'no route for GET localhost/nowhere' },
  })
  const file = temporaryFile('stranger.pem', selfSigned('mallory').chain)
  const { stdout } = await sallyport(['inspect', file, '-c', config, '--for', 'https://localhost/all', '--json'])
  expect(JSON.parse(stdout)).toMatchObject({
    decision: { verified: expect.stringContaining('FAILED'), rules: [], refusal: { status: 400 } },
  })
})

test('behind a load balancer, the certificate that its header tells is what was verified', async () => {
  const told = { ...scene.server({ ssl_verify_client: 'optional' }), certificate_header_format: 'rfc9440' }
  const behind = scene.config({ trusted_ips: ['192.0.2.1'], ...listenerOf(told) })
  const file = temporaryFile('behind.yaml', JSON.stringify(behind))
  const verified = async ({ der }: { der: Buffer }, address: string) => {
    const header = `Client-Cert: :${der.toString('base64')}:`
    const where = ['--address', address, '--header', header, '--json']
    const { stdout } = await sallyport(['inspect', '-c', file, '--for', 'GET https://localhost/', ...where])
    return JSON.parse(stdout).decision.verified
  }
  expect(await verified(scene.ada, '192.0.2.1')).toBe('SUCCESS')
  expect(await verified(selfSigned('eve'), '192.0.2.1')).toMatch(/^FAILED:/)
  expect(await verified(scene.ada, '192.0.2.2')).toBe('NONE')
})

describe('credentials of the request', () => {
  const ask = async (request: string, ...args: string[]) => {
    const { stdout, stderr } = await sallyport(['inspect', '-c', config, '--for', request, '--json', ...args])
    expect(stderr).toBe('')
    expect(stdout).not.toMatch(/of kim|b2Yga2lt/)
    return (JSON.parse(stdout) as { decision: object }).decision
  }
  const basic = (password: string) => `Authorization: Basic ${Buffer.from(`kim:${password}`).toString('base64')}`

  test('a key and a password are judged as the route does, without a certificate, and never shown', async () => {
    const found = { route: 'key', user: { name: 'kim', groups: ['staff'] } }
    expect(await ask('https://localhost/key', '--header', 'apikey: the key of kim')).toMatchObject({
      ...found,
      methods: ['api-key'],
      verified: 'NONE',
    })
    expect(await ask('https://localhost/key', '--header', basic('the password of kim'))).toMatchObject({
      ...found,
      methods: ['password'],
      headers: expect.arrayContaining([['Authorization', '(as sent)']]),
    })
    expect(await ask('https://localhost/key', '--header', basic('wrong'))).toMatchObject({
      refusal: { status: 401, detail: expect.stringContaining('password') },
    })
  })

  test('what a running gateway shares with others in Redis is neither asked nor changed', async () => {
    const shared = { ...JSON.parse(readFileSync(config, 'utf8')), store: { redis_url: 'redis://127.0.0.1:1' } }
    const args = ['--for', 'https://localhost/key', '--header', basic('the password of kim'), '--json']
    const { stdout } = await sallyport(['inspect', '-c', temporaryFile('shared.yaml', JSON.stringify(shared)), ...args])
    expect(JSON.parse(stdout)).toMatchObject({ decision: { user: { name: 'kim' }, methods: ['password'] } })
  })

  test('--user and --address ask what somebody might do from somewhere', async () => {
    expect(await ask('https://localhost/staff', '--user', 'kim')).toMatchObject({
      user: { name: 'kim', groups: ['staff'] },
      methods: ['--user'],
      decided_by: 'services[0].routes[0].allow[0]',
    })
    const near = async (address: string) => ask('https://localhost/near', '--user', 'ada', '--address', address)
    expect(await near('192.0.2.7')).toMatchObject({ decided_by: 'services[0].routes[3].allow[0]' })
    expect(await near('198.51.100.7')).toMatchObject({ refusal: { status: 403 } })
  })

  test.each<[string[], string]>([
    [['--for', 'https://localhost/', '--header', 'no header'], '--header takes a line as'],
    [['--for', 'https://localhost/', '--header', 'X: a\r\nY: b'], '--header takes a line as'],
    [['--for', 'https://localhost/', '--header', 'Host: other'], '--header cannot name Host'],
    [['--for', 'https://localhost/', '--tag', 'v1'], '--tag is for --for with a scope'],
    [['--for', 'https://localhost/', '--address', 'office'], '--address office is no IP address'],
    [['--user', 'ada'], '--header, --user and --address are for --for'],
    [[], 'name the file of a certificate'],
  ])('%j is refused with how to write it', async (args, words) => {
    const { stderr, status } = await sallyport(['inspect', '-c', config, ...args])
    expect(stderr).toContain(words)
    expect(status).not.toBe(0)
  })
})

test('the exit status says whether the request would be let in, refused, or cannot be decided', async () => {
  const status = async (options: CertificateOptions, request: string) => (await inspect(options, request)).status
  expect(await status({ subject: nameOf(['CN', 'bob']) }, 'GET https://localhost/staff')).toBe(0)
  expect(await status({ emails: ['ada@example.com'] }, 'GET https://localhost/staff')).toBe(2)
  expect(await status({}, 'GET https://localhost/nowhere')).toBe(2)
})

test('what mappers make of the certificate is told, plugins among them', async () => {
  const plugin = await startPlugin('sss', {
    'Plugin.Activate': { Implements: ['ClientCertificateMapper'] },
    'ClientCertificateMapper.MapClientCertificateToUser': { AuthedUser: { Name: 'Ada L' } },
  })
  const parts = {
    ...listenerOf(scene.server({ verify_and_map: true, ssl_verify_client: 'on', certmap: ['sss'] })),
    docker_plugins: { socket_directories: [plugin.folder] },
  }
  const asking = temporaryFile('plugin.yaml', JSON.stringify(scene.config(parts)))
  const file = temporaryFile('ada.pem', scene.ada.chain)
  const ask = () => sallyport(['inspect', file, '-c', asking, '--for', 'https://localhost/'])
  expect((await ask()).stdout).toMatch(/mapping +Ada L: plugin sss says Ada L\n/)
  await plugin.stop()
  const { status, stdout } = await ask()
  expect(stdout).toMatch(/mapping +undecided: certificate mapper sss: .*\n.*503 GW_UNDECIDED/s)
  expect(status).toBe(1)
})

test('as text it can be read from top to bottom', async () => {
  const { stdout, status } = await inspect({ subject: nameOf(['CN', 'bob']) }, 'GET https://localhost/staff')
  expect(status).toBe(0)
  const order = [
    'GET https://localhost/staff',
    'verified',
    'email:ada@example.com',
    'yes cn:bob',
    '\n  user ',
    '\n  groups ',
    'decided by',
    'goes to the service',
    'X-Consumer-Username: bob',
  ]
  const at = order.map((text) => stdout.indexOf(text))
  expect(at).not.toContain(-1)
  expect(at).toEqual(at.toSorted((a, b) => a - b))
})

test('what is no request is refused with how to write one', async () => {
  const { stderr, status } = await inspect({}, 'ftp://x')
  expect(status).not.toBe(0)
  expect(stderr).toContain('--for takes a method and a URL')
})
