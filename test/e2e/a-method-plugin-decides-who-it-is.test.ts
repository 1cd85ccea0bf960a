import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { whenFileEnds } from '../support/cleanup.ts'
import { json } from '../support/client.ts'
import { temporaryFolder } from '../support/folder.ts'
import { type Gateway, refusedStart } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

/** One module whose behaviour the client chooses, in both contracts of Keystone. */
const MODULE = `
import { parentPort } from 'node:worker_threads'
/** As the gateway's own code in this thread speaks to the gateway. */
const forged = { kind: 'answer', answer: '{"kind":"returned","value":{"status":true,"response_data":{"user_id":"u-ada"}},"set":{}}' }
class Unauthorized extends Error { name = 'Unauthorized' }
export function authenticate(context, payload, authContext) {
  switch (payload.response) {
    case undefined: return { challenge: "What's the name of your high school?" }
    case 'wrong': throw new Unauthorized('Wrong answer')
    case 'old': authContext.user_id = 'u-ada'; return
    case 'new': return { status: true, response_body: null, response_data: { user_id: 'u-ada' } }
    case 'next': return { status: false, response_body: { challenge: 'And your dog?' } }
    case 'bob': authContext.user_id = 'u-bob'; return
    case 'same': if (authContext.user_id) authContext.user_id = authContext.user_id; return
    case 'context': authContext.user_id = 'u-ada'; console.log(JSON.stringify([context, authContext.method_names])); return
    case 'ended': authContext.user_id = 'u-ada'; authContext.expires_at = '2001-01-01T00:00:00Z'; return
    case 'no': return { status: false }
    case 'nothing': return
    case 'stranger': authContext.user_id = 'u-mallory'; return
    case 'number': return 42
    case 'list': return ['u-ada']
    case 'text': return 'u-ada'
    case 'id is no text': authContext.user_id = { toString: () => 'u-ada' }; return
    case 'line breaks': authContext.user_id = 'u-ada\\r\\nX-User: root'; return
    case 'cycle': { const cycle = {}; cycle.cycle = cycle; return cycle }
    case 'much': return { challenge: 'x'.repeat(10_000_000) }
    case 'function': return { status: true, response_data: () => {} }
    case 'throws': throw new TypeError('a mistake in the plugin')
    case 'throws nothing': throw undefined
    case 'never': return new Promise(() => {})
    case 'hangs': for (;;) {}
    case 'exits': process.exit(0)
    case 'later': setTimeout(() => { throw new Error('nobody catches this') }, 1); return new Promise(() => {})
    case 'throws nobody': throw Object.create(null)
    case 'nobody later': setTimeout(() => { throw Object.create(null) }, 1); return new Promise(() => {})
    case 'sends': for (const odd of [null, 'text', { kind: 'answer', id: 1, answer: 'x' }]) parentPort.postMessage(odd); authContext.user_id = 'u-ada'; return
    case 'forges': for (let id = 0; id < 100; id++) parentPort.postMessage({ ...forged, id }); throw new TypeError('a mistake in the plugin')
    case 'memory': { const all = []; for (;;) all.push(new Array(1e6).fill(Math.random())) }
  }
}
`
const folder = temporaryFolder()
let scene: Scene
let gateway: Gateway

const people = [
  { id: 'u-ada', username: 'ada', basicauth_credentials: [{ username: 'ada', password: 'password' }] },
  { id: 'u-bob', username: 'bob' },
]

beforeAll(async () => {
  scene = await makeScene()
  writeFileSync(join(folder, 'school.mjs'), MODULE)
  gateway = await scene.start({
    identity_headers: { 'X-User': 'user' },
    method_plugins: [
      { name: 'school', module: join(folder, 'school.mjs'), payload: { response: 'X-School' } },
      { name: 'hasty', module: join(folder, 'school.mjs'), payload: { response: 'X-School' }, timeout: '300ms' },
    ],
    consumers: people,
    services: [
      {
        name: 'api',
        url: scene.backend.url,
        routes: [
          { name: 'one', paths: ['/one'], rules: [['school']] },
          { name: 'two', paths: ['/two'], rules: [['password', 'school']] },
          { name: 'either', paths: ['/either'], rules: [['school'], ['password']] },
          { name: 'hasty', paths: ['/hasty'], rules: [['hasty']] },
          { name: 'hasty or', paths: ['/or-hasty'], rules: [['hasty'], ['password']] },
        ],
      },
    ],
  })
})

const password = `Basic ${Buffer.from('ada:password').toString('base64')}`
const ask = (path: string, response?: string, headers: Record<string, string> = {}) =>
  gateway.get(path, { headers: { ...(response !== undefined && { 'x-school': response }), ...headers } })

describe('what it says counts', () => {
  test.each(['old', 'new'])('in the %s contract of Keystone', async (response) => {
    expect((await ask('/one', response)).status).toBe(200)
    expect(scene.backend.last.header('x-user')).toEqual(['ada'])
    expect(scene.backend.last.header('x-school')).toEqual([])
  })

  test('a next step goes to the client, in the words of HTTP and of Keystone', async () => {
    const answer = await ask('/one')
    expect(answer.status).toBe(401)
    expect(answer.headers['www-authenticate']).toBe('school realm="sallyport", response="X-School"')
    expect(json(answer)).toMatchObject({
      error: {
        message: 'Additional authentications steps required.',
        identity: { methods: ['school'], school: { challenge: "What's the name of your high school?" } },
      },
    })
    expect(json(await ask('/one', 'next'))).toMatchObject({
      error: { identity: { school: { challenge: 'And your dog?' } } },
    })
  })

  test('what was passed before the step is kept in a receipt', async () => {
    const first = await ask('/two', undefined, { authorization: password })
    const receipt = String(first.headers['openstack-auth-receipt'])
    expect(json(first)).toMatchObject({
      receipt: { methods: ['password'] },
      required_auth_methods: [['password', 'school']],
    })
    expect((await ask('/two', 'old', { 'openstack-auth-receipt': receipt })).status).toBe(200)
  })

  test('it must agree with the methods before it, and say so itself', async () => {
    const status = async (response: string) => (await ask('/two', response, { authorization: password })).status
    expect([await status('old'), await status('same')]).toEqual([200, 200])
    expect([await status('bob'), await status('nothing')]).toEqual([401, 401])
  })

  test('it learns of the request and of the methods before it, and what it prints is told in the log', async () => {
    await ask('/two?secret=1', 'context', { authorization: password })
    const line = await waitFor('what it printed', () => gateway.log.find(({ plugin }) => plugin === 'school'))
    expect(line.msg).toContain('"path":"/two"')
    expect(line.msg).toContain('["password"]')
    expect(line.msg).not.toMatch(/cGFzc3dvcmQ|secret/)
  })
})

test.each([
  'wrong',
  'no',
  'nothing',
  'stranger',
  'ended',
  'number',
  'list',
  'text',
  'id is no text',
  'line breaks',
  'cycle',
  'much',
  'function',
])('"%s" is a failed method: 401', async (response) => {
  const before = scene.backend.seen.length
  expect((await ask('/one', response)).status).toBe(401)
  expect(scene.backend.seen).toHaveLength(before)
})

test('what it sends to the gateway past its answer means nothing', async () => {
  expect((await ask('/one', 'sends')).status).toBe(200)
  expect((await ask('/one', 'forges')).status).toBe(503)
  expect(gateway.child.running).toBe(true)
})

const serving = (path: string) => waitFor('the plugin', async () => (await ask(path, 'old')).status === 200)

test.each([
  ...['throws', 'throws nothing', 'throws nobody', 'nobody later', 'exits', 'later'].map((response) => ({
    ...{ response, path: '/one', either: '/either' },
  })),
  // Who says nothing is waited for until the timeout.
  ...['never', 'hangs', 'memory'].map((response) => ({ response, path: '/hasty', either: '/or-hasty' })),
])('"$response" cannot decide: 503, other ways stay open, and the gateway and the plugin go on', async (one) => {
  await serving(one.path)
  const answer = await ask(one.path, one.response)
  expect([answer.status, json(answer).code]).toEqual([503, 'GW_UNDECIDED'])
  await serving(one.path)
  expect((await ask(one.either, one.response, { authorization: password })).status).toBe(200)
  await serving(one.path)
  expect(gateway.child.running).toBe(true)
})

test('while one hangs, requests that do not need it are served at once', async () => {
  await serving('/hasty')
  const hanging = ask('/hasty', 'hangs')
  expect((await gateway.get('/nothing-here')).status).toBe(404)
  expect((await hanging).status).toBe(503)
})

describe('a start is refused', () => {
  test.each([
    ['a module that is not there', { module: 'nowhere.mjs' }, /module: names no readable file/],
    ['a module that exports nothing', { module: 'empty.mjs' }, /exports no function "authenticate"/],
    ['a module that does not load', { module: 'broken.mjs' }, /cannot be used: .*broken on purpose/],
    [
      'authorities without TLS',
      { url: 'http://127.0.0.1:1', url_trusted_certificate: '-----BEGIN CERTIFICATE-----' },
      /has no meaning without a url that begins with https/,
    ],
    [
      'authorities that are none',
      { url: 'https://127.0.0.1:1', url_trusted_certificate: '-----BEGIN CERTIFICATE-----' },
      /url_trusted_certificate: /,
    ],
    ['neither module nor url', {}, /must set one of module and url/],
    ['the name of another method', { name: 'password', module: 'school.mjs' }, /is a method of Sallyport itself/],
  ])('for %s', async (_, plugin, problem) => {
    writeFileSync(join(folder, 'empty.mjs'), 'export const nothing = 1')
    writeFileSync(join(folder, 'broken.mjs'), 'throw new Error("broken on purpose")')
    const config = scene.config({ method_plugins: [{ name: 'school', ...plugin }] })
    const { status, stderr } = await refusedStart({ config, cwd: folder })
    expect(status).toBe(1)
    expect(stderr).toMatch(problem)
  })
})

describe('behind a Unix socket', () => {
  const socket = join(folder, 'school.sock')
  let server: Server
  let answer: { status?: number; body?: string; never?: boolean } = {}
  const asked: string[] = []

  beforeAll(async () => {
    server = createServer((request, response) => {
      let text = ''
      request.on('data', (chunk) => {
        text += chunk
      })
      request.on('end', () => {
        asked.push(`${request.method} ${request.url} ${text}`)
        if (answer.never) return
        response.writeHead(answer.status ?? 200, { 'content-type': 'application/json' }).end(answer.body)
      })
    })
    await new Promise<void>((resolve) => server.listen(socket, resolve))
    gateway = await scene.start({
      identity_headers: { 'X-User': 'user' },
      method_plugins: [
        {
          name: 'school',
          url: `unix:${socket}`,
          payload: { response: 'X-School' },
          timeout: '500ms',
          ephemeral_users: true,
        },
      ],
      consumers: people,
      services: [{ name: 'api', url: scene.backend.url, rules: [['school']], routes: [{ name: 'all', paths: ['/'] }] }],
    })
  })
  afterAll(() => {
    server.closeAllConnections()
    server.close()
  })

  const data = (response_data: object) => JSON.stringify({ status: true, response_data })

  test.each([
    ['a user of the configuration', { body: data({ user_id: 'u-ada' }) }, 200],
    ['a user of its own', { body: data({ user_id: 'x1', user_name: 'xenia', groups: ['g'] }) }, 200],
    ['a user of its own under the name of another', { body: data({ user_id: 'x1', user_name: 'ada' }) }, 401],
    ['a next step', { body: JSON.stringify({ status: false, response_body: { challenge: '?' } }) }, 401],
    ['401', { status: 401 }, 401],
    ['nothing', { body: '' }, 401],
    ['no JSON', { body: '<html>' }, 401],
    ['JSON without a status', { body: '{"user_id":"u-ada"}' }, 401],
    ['null', { body: 'null' }, 401],
    ['500', { status: 500, body: data({ user_id: 'u-ada' }) }, 503],
    ['302', { status: 302, body: data({ user_id: 'u-ada' }) }, 503],
    ['megabytes', { body: data({ user_id: 'u-ada', more: 'x'.repeat(2_000_000) }) }, 503],
    ['no answer', { never: true }, 503],
  ])('%s', async (_, given, status) => {
    answer = given
    expect((await ask('/', 'Hill & Co')).status).toBe(status)
    expect(asked.at(-1)).toMatch(/^POST \/authenticate \{"context":\{.*"payload":\{"response":"Hill & Co"\}/)
  })

  test('that is away: 503, and it may come back', async () => {
    answer = { body: data({ user_id: 'u-ada' }) }
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    expect((await ask('/')).status).toBe(503)
    await new Promise<void>((resolve) => server.listen(socket, resolve))
    expect((await ask('/')).status).toBe(200)
  })
})

test('behind TLS it is asked only where an authority of the configuration has issued its certificate', async () => {
  const front = scene.inside.server('localhost')
  const asked: string[] = []
  const server = createTlsServer({ cert: front.chain, key: front.key }, (request, response) => {
    asked.push(request.url ?? '')
    response.end(JSON.stringify({ status: true, response_data: { user_id: 'u-ada' } }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  whenFileEnds(() => void server.close())
  const url = `https://localhost:${(server.address() as AddressInfo).port}/say`
  const plugin = (name: string, url_trusted_certificate: string) => ({ name, url, url_trusted_certificate })
  gateway = await scene.start({
    method_plugins: [plugin('inside', scene.inside.certificate), plugin('others', scene.servers.certificate)],
    consumers: people,
    services: ['inside', 'others'].map((name) => ({
      ...{ name, url: scene.backend.url, rules: [[name]], routes: [{ name, paths: [`/${name}`] }] },
    })),
  })
  expect([(await ask('/others')).status, asked]).toEqual([503, []])
  expect([(await ask('/inside')).status, asked]).toEqual([200, ['/say']])
})
