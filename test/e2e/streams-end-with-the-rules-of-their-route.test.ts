import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { whenFileEnds } from '../support/cleanup.ts'
import { temporaryFile } from '../support/folder.ts'
import { freePort } from '../support/free-port.ts'
import { type Gateway, timeOf } from '../support/gateway.ts'
import type { Issued } from '../support/pki.ts'
import type { RawConnection } from '../support/raw.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'
import { pause, waitFor, within } from '../support/wait.ts'

const UPGRADED = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
const UPGRADE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'

let scene: Scene
beforeAll(async () => {
  scene = await makeScene()
})
beforeEach(() => {
  scene.backend.reset()
  scene.backend.upgrade = (_request, socket) => socket.on('error', () => {}).write(`${UPGRADED}hello`)
  scene.backend.respond = (request, response) =>
    request.url?.endsWith('/short') ? response.end('short') : response.write('hello')
})

/** Ways to take something back from whoever came by a route: what stands there before, and after. */
interface Ending {
  readonly before?: object
  readonly after: object | undefined
  readonly as?: 'ada'
  readonly headers?: string
  /** The code in the log. */
  readonly reason: string
}

const KEY = 'apikey: the key of ada\r\n'
const ENDINGS: Readonly<Record<string, Ending>> = {
  'a certificate is demanded': { after: { ssl_verify_client: 'on' }, reason: 'GW_CLIENT_CERTIFICATE_REQUIRED' },
  'a certificate of another name is demanded': {
    as: 'ada',
    after: { ssl_verify_client: 'on', ssl_verify_allow: [{ subject: { CN: 'bob' } }] },
    reason: 'GW_FORBIDDEN',
  },
  'a rule asks who it is': { after: { rules: [['api-key']] }, reason: 'GW_UNAUTHENTICATED' },
  'a rule asks for more': {
    before: { rules: [['api-key']] },
    headers: KEY,
    after: { rules: [['certificate', 'api-key']] },
    reason: 'GW_UNAUTHENTICATED',
  },
  'nobody passes without a user any more': {
    before: { rules: [['api-key']], anonymous: true },
    after: { rules: [['api-key']] },
    reason: 'GW_UNAUTHENTICATED',
  },
  'another group is allowed': {
    before: { rules: [['api-key']] },
    headers: KEY,
    after: { rules: [['api-key']], allow: [{ groups: ['staff'] }] },
    reason: 'GW_FORBIDDEN',
  },
  'the user is denied': {
    as: 'ada',
    before: { rules: [['certificate']] },
    after: { rules: [['certificate']], deny: [{ users: ['ada'] }] },
    reason: 'GW_FORBIDDEN',
  },
  'its address is denied': { after: { deny: [{ addresses: ['127.0.0.0/8'] }] }, reason: 'GW_FORBIDDEN' },
  'its method is not allowed any more': { after: { allow: [{ methods: ['POST'] }] }, reason: 'GW_FORBIDDEN' },
  'the route is gone': { after: undefined, reason: 'GW_ROUTE_NOT_FOUND' },
}

function config(changed: boolean) {
  const routes = Object.values(ENDINGS).flatMap(({ before = {}, after }, i) => {
    const parts = changed ? after : before
    return parts ? [{ name: `route-${i}`, paths: [`/${i}/`], ...parts }] : []
  })
  return scene.config({
    ...listenerOf(scene.server()),
    consumers: [
      {
        username: 'ada',
        mtls_auth_credentials: [{ subject_name: 'ada' }],
        keyauth_credentials: [{ key: 'the key of ada' }],
      },
    ],
    auth: { methods: ['certificate', 'api-key'] },
    services: [{ name: 'api', url: scene.backend.url, routes: [...routes, { name: 'other', paths: ['/other/'] }] }],
  })
}

async function begin(gateway: Gateway, path: string, headers: string, as: Issued | undefined): Promise<RawConnection> {
  const client = await gateway.open(as ? { as } : {})
  client.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`)
  await waitFor('the beginning', () => client.received.includes('hello'))
  return client
}

const codeIn = (reason: unknown) => /^its request would be refused by now: (GW_\w+): ./.exec(String(reason))?.[1]

describe('WebSockets and answers that stream', () => {
  test('end within a second when the route would not let them in any more', async () => {
    const gateway = await scene.start(config(false))
    const open = (path: string, headers = '', as?: Issued) =>
      Promise.all(['', UPGRADE].map((lines) => begin(gateway, path, headers + lines, as)))
    const ending = await Promise.all(
      Object.values(ENDINGS).map(({ headers, as }, i) => open(`/${i}/`, headers, as && scene.ada)),
    )
    const lasting = await open('/other/')
    await gateway.reload(config(false))
    await pause(1200)
    expect(ending.flat().filter(({ isClosed }) => isClosed)).toEqual([])
    const reloaded = await gateway.reload(config(true))
    expect(reloaded.msg).toBe('reloaded')
    await within(15, 'their end', Promise.all(ending.flat().map(({ closed }) => closed)))
    const lines = () => gateway.log.filter(({ msg }) => msg === 'connection ended')
    await waitFor('the lines in the log', () => lines().length === ending.flat().length)
    const expected = Object.values(ENDINGS).flatMap(({ reason }) => [reason, reason])
    expect(
      lines()
        .map(({ reason }) => codeIn(reason))
        .sort(),
    ).toEqual(expected.sort())
    for (const line of lines()) expect(timeOf(line) - timeOf(reloaded)).toBeLessThan(1000)
    expect(lasting.filter(({ isClosed }) => isClosed)).toEqual([])
    for (const client of lasting) client.destroy()
  })

  test('end within a second when the times of their route are over', async () => {
    const HOUR = 3_600_000
    const at = (time: number) => new Date(time).toISOString().slice(11, 16)
    const around = (time: number) => [`${at(time - HOUR)}-${at(time + HOUR)}`]
    const now = Date.now()
    const clock = `const now = Date.now
      let later = 0
      process.on('SIGWINCH', () => { later = ${3 * HOUR} })
      Date.now = () => now() + later`
    const routes = [
      { allow: [{ times: around(now) }] },
      { deny: [{ times: around(now + 3 * HOUR) }] },
      { allow: [{ times: ['00:00-24:00'] }] },
      {},
    ].map((rules, i) => ({ name: `route-${i}`, paths: [`/${i}/`], ...rules }))
    const gateway = await scene.start(
      { services: [{ name: 'api', url: scene.backend.url, routes }] },
      { env: { NODE_OPTIONS: `--require=${temporaryFile('clock.cjs', clock)}` } },
    )
    const open = (i: number) => Promise.all(['', UPGRADE].map((lines) => begin(gateway, `/${i}/`, lines, undefined)))
    const ending = [...(await open(0)), ...(await open(1))]
    const lasting = [...(await open(2)), ...(await open(3))]
    await pause(1200)
    expect(ending.filter(({ isClosed }) => isClosed)).toEqual([])
    gateway.child.process.kill('SIGWINCH')
    await within(15, 'their end', Promise.all(ending.map(({ closed }) => closed)))
    await pause(1200)
    expect(lasting.filter(({ isClosed }) => isClosed)).toEqual([])
    const reasons = gateway.log.filter(({ msg }) => msg === 'connection ended').map(({ reason }) => codeIn(reason))
    expect(reasons).toEqual(Array(4).fill('GW_FORBIDDEN'))
    for (const client of lasting) client.destroy()
  })

  test('end also when they were still waiting to be let in as the route changed', async () => {
    const program = createServer((_request, response) => {
      answer = () => response.end('{"status":true,"response_data":{"user_id":"ada"}}')
    })
    let answer: (() => void) | undefined
    program.listen(0, '127.0.0.1')
    await once(program, 'listening')
    whenFileEnds(() => program.close().closeAllConnections())
    const url = `http://127.0.0.1:${(program.address() as AddressInfo).port}/`
    const asking = (...denied: string[]) => ({
      method_plugins: [{ name: 'program', url, timeout: '20s' }],
      consumers: [{ username: 'ada' }],
      services: [
        {
          ...{ name: 'api', url: scene.backend.url, rules: [['program']] },
          routes: [{ name: 'all', paths: ['/'], deny: denied.map((user) => ({ users: [user] })) }],
        },
      ],
    })
    const gateway = await scene.start(asking())
    const client = await gateway.open()
    client.write(`GET / HTTP/1.1\r\nHost: localhost\r\n${UPGRADE}\r\n`)
    await waitFor('the question', () => answer !== undefined)
    expect((await gateway.reload(scene.config(asking('ada')))).msg).toBe('reloaded')
    answer?.()
    await waitFor('the beginning', () => client.received.includes('hello'))
    await within(15, 'its end', client.closed)
    expect(codeIn((await gateway.logged({ msg: 'connection ended' })).reason)).toBe('GW_FORBIDDEN')
  })

  test('end also where their listener is gone by then', async () => {
    const ports = [await freePort(), await freePort()]
    const at = (port: number | undefined, route: object = {}) =>
      scene.config({
        listeners: [{ listen: `127.0.0.1:${port}`, servers: [scene.server()] }],
        services: [{ name: 'api', url: scene.backend.url, routes: [{ name: 'all', paths: ['/'], ...route }] }],
      })
    const gateway = await scene.start(at(ports[0]))
    const client = await begin(gateway, '/', UPGRADE, undefined)
    expect((await gateway.reload(at(ports[1]))).msg).toBe('reloaded')
    await pause(1200)
    expect(client.isClosed).toBe(false)
    expect((await gateway.reload(at(ports[1], { deny: [{ addresses: ['127.0.0.1'] }] }))).msg).toBe('reloaded')
    await within(15, 'its end', client.closed)
    expect(codeIn((await gateway.logged({ msg: 'connection ended' })).reason)).toBe('GW_FORBIDDEN')
  })
})
