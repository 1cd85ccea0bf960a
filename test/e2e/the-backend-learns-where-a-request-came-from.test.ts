import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Seen } from '../support/backend.ts'
import { curl } from '../support/curl.ts'
import { temporaryFile } from '../support/folder.ts'
import { type Gateway, PROJECT } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'

let scene: Scene

beforeAll(async () => {
  scene = await makeScene()
})

beforeEach(() => scene.backend.reset())

async function send(gateway: Gateway, headers: Record<string, string>, host = 'localhost'): Promise<Seen> {
  const answer = await gateway.get('/', { headers, host, servername: 'localhost' })
  expect(answer.status).toBe(200)
  return scene.backend.last
}

const CLAIMS = {
  'x-forwarded-for': '203.0.113.9',
  'x-forwarded-proto': 'http',
  'x-forwarded-host': 'claimed.test',
  'x-forwarded-port': '1',
  'x-real-ip': '203.0.113.9',
  forwarded: 'for=203.0.113.9',
}

describe('from a client that nobody vouches for', () => {
  let gateway: Gateway
  beforeAll(async () => {
    gateway = await scene.start()
  })

  test.each([
    ['without claims', {}],
    ['with claims, which are not believed', CLAIMS],
  ])('%s', async (_name, headers) => {
    const seen = await send(gateway, headers)
    expect(seen.header('x-forwarded-for')).toEqual(['127.0.0.1'])
    expect(seen.header('x-forwarded-proto')).toEqual(['https'])
    expect(seen.header('x-forwarded-host')).toEqual(['localhost'])
    expect(seen.header('x-forwarded-port')).toEqual([String(gateway.port)])
    expect(seen.header('x-real-ip')).toEqual(['127.0.0.1'])
    expect(seen.header('forwarded')).toEqual([])
    expect(seen.header('via').join()).toMatch(/1\.1 sallyport/)
    expect(JSON.stringify(seen.rawHeaders)).not.toMatch(/203\.0\.113|claimed/)
  })

  test('the README shows what arrives from curl, name by name', async () => {
    const readme = readFileSync(join(PROJECT, 'README.md'), 'utf8')
    const shown = /^GET \/hello HTTP\/1\.1\n([\s\S]*?)```/m.exec(readme)?.[1] ?? ''
    const certificate = [
      '--cert',
      temporaryFile('ada.pem', scene.ada.chain),
      '--key',
      temporaryFile('ada.key', scene.ada.key),
    ]
    const { status } = await curl(['--insecure', ...certificate, `https://localhost:${gateway.port}/hello`])
    expect(status).toBe(0)
    const { headers } = scene.backend.last
    expect(headers.map(([name]) => name)).toEqual(
      shown
        .trim()
        .split('\n')
        .map((line) => line.replace(/: .*/, '')),
    )
    expect(shown).toContain(
      `VERIFIED: ${scene.backend.last.header('VERIFIED')}\nDN: ${scene.backend.last.header('DN')}\n`,
    )
  })

  test('in other spellings they are not believed either', async () => {
    const seen = await send(gateway, {
      X_Forwarded_For: '203.0.113.9',
      'X-FORWARDED_PROTO': 'http',
      'X-Forwarded-Uri': '/admin',
    })
    expect(JSON.stringify(seen.rawHeaders)).not.toMatch(/203\.0\.113|admin/)
  })

  test('each request has an id, in the backend, the answer and the log', async () => {
    const answer = await gateway.get('/', { headers: { 'x-request-id': 'mine' } })
    const [id] = scene.backend.last.header('x-request-id')
    expect(id).toMatch(/^[0-9a-f-]{20,}$/)
    expect(answer.headers['x-request-id']).toBe(id)
    expect(await gateway.logged({ request_id: id })).toMatchObject({ status: 200, method: 'GET', path: '/' })
  })
})

describe('from a proxy in trusted_ips', () => {
  let gateway: Gateway
  beforeAll(async () => {
    gateway = await scene.start({ trusted_ips: ['127.0.0.1/32'] })
  })
  test('its claims are believed, and it is added to the list', async () => {
    const seen = await send(gateway, CLAIMS)
    expect(seen.header('x-forwarded-for')).toEqual(['203.0.113.9, 127.0.0.1'])
    expect(seen.header('x-forwarded-proto')).toEqual(['http'])
    expect(seen.header('x-forwarded-host')).toEqual(['claimed.test'])
    expect(seen.header('x-forwarded-port')).toEqual(['1'])
    expect(seen.header('x-real-ip')).toEqual(['203.0.113.9'])
  })
  test('but never about who is calling', async () => {
    const seen = await send(gateway, { VERIFIED: 'SUCCESS', DN: 'CN=admin', 'x-forwarded-client-cert': 'By=x' })
    expect(seen.header('VERIFIED')).toEqual(['NONE'])
    expect(seen.header('DN')).toEqual([])
    expect(seen.header('x-forwarded-client-cert')).toEqual([])
  })
})

test('hop-by-hop headers, and those that Connection names, stay behind', async () => {
  const gateway = await scene.start()
  const lines =
    'Connection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nProxy-Authorization: Basic x\r\nTE: trailers\r\nProxy: http://evil.test\r\nX-End: kept\r\n'
  await gateway.talk(`GET / HTTP/1.1\r\nHost: localhost\r\n${lines}\r\n`)
  const names = scene.backend.last.headers.map(([name]) => name.toLowerCase())
  expect(names).toContain('x-end')
  for (const gone of ['x-hop', 'keep-alive', 'proxy-connection', 'proxy-authorization', 'te', 'proxy', 'upgrade'])
    expect(names).not.toContain(gone)
})

test('Connection: Host or Content-Length removes nothing that a request needs', async () => {
  const gateway = await scene.start()
  await gateway.talk(
    'POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close, Host, Content-Length, Content-Type\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi',
  )
  expect(scene.backend.last.header('host')).toHaveLength(1)
  expect(scene.backend.last.body.toString()).toBe('hi')
})

test("the client's Host goes on where the route preserves it, else the service's", async () => {
  const { url, port } = scene.backend
  const service = (name: string, preserve_host: boolean) => ({
    name,
    url,
    routes: [{ name, paths: [`/${name}`], preserve_host }],
  })
  const gateway = await scene.start({ services: [service('kept', true), service('own', false)] })
  await gateway.get('/kept', { host: 'localhost:8443' })
  expect(scene.backend.last.header('host')).toEqual(['localhost:8443'])
  await gateway.get('/own', { host: 'localhost:8443' })
  expect(scene.backend.last.header('host')).toEqual([`localhost:${port}`])
  expect(scene.backend.last.header('x-forwarded-host')).toEqual(['localhost:8443'])
})
