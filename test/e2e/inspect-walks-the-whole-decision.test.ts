import { beforeAll, expect, test } from '@jest/globals'
import { temporaryFile } from '../support/folder.ts'
import { sallyport } from '../support/gateway.ts'
import { nameOf } from '../support/names.ts'
import { type CertificateOptions, selfSigned } from '../support/pki.ts'
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
        ],
      },
    ],
  }
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
  expect(await decision({}, 'GET https://localhost/nowhere')).toMatchObject({ refusal: { status: 404 } })
  const file = temporaryFile('stranger.pem', selfSigned('mallory').chain)
  const { stdout } = await sallyport(['inspect', file, '-c', config, '--for', 'https://localhost/all', '--json'])
  expect(JSON.parse(stdout)).toMatchObject({
    decision: { verified: expect.stringContaining('FAILED'), rules: [], refusal: { status: 400 } },
  })
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
