import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { WebSocket, WebSocketServer } from 'ws'
import { whenFileEnds } from '../support/cleanup.ts'
import { temporaryFile, temporaryFolder } from '../support/folder.ts'
import { type Gateway, sallyport } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway
const sockets = { plain: newPath(), tls: newPath(), other: newPath(), nobody: newPath() }

function newPath(): string {
  return join(temporaryFolder(), 'api.sock')
}

/** Says what it was asked, by which certificate and under which server name. */
const answer: RequestListener = ({ url, headers, socket }, response) => {
  const { servername, getPeerX509Certificate } = socket as Partial<TLSSocket>
  const { subject } = getPeerX509Certificate?.call(socket) ?? {}
  response.end(JSON.stringify({ url, host: headers.host, user: headers.dn, subject, servername }))
}

async function serve(server: Server, path: string): Promise<Server> {
  await new Promise<void>((resolve) => server.listen(path, resolve))
  whenFileEnds(() => {
    server.closeAllConnections()
    server.close()
  })
  return server
}

beforeAll(async () => {
  scene = await makeScene()
  const tls = (name: string) => {
    const { chain: cert, key } = scene.inside.server(name)
    const options = { cert, key, ca: scene.inside.certificate, requestCert: true, rejectUnauthorized: true }
    return createTlsServer(options, answer)
  }
  const plain = await serve(createServer(answer), sockets.plain)
  const echo = new WebSocketServer({ server: plain })
  echo.on('connection', (socket) => socket.on('message', (message) => socket.send(String(message))))
  await serve(tls('localhost'), sockets.tls)
  await serve(tls('api.test'), sockets.other)
  const service = (name: string, fields: object) => ({ name, routes: [{ name, paths: [`/${name}`] }], ...fields })
  gateway = await scene.start({
    services: [
      service('plain', { url: `http://unix:${sockets.plain}` }),
      service('below', { url: `http://unix:${sockets.plain}:/v1/api` }),
      service('parts', { protocol: 'https', host: `unix:${sockets.tls}`, path: '/v2' }),
      service('tls', { url: `https://unix:${sockets.tls}` }),
      service('other', { url: `https://unix:${sockets.other}` }),
      service('named', { url: `https://unix:${sockets.other}`, proxy_ssl_name: 'api.test' }),
      service('bare', { url: `https://unix:${sockets.tls}`, client_certificate: 'none' }),
      service('several', { protocol: 'https', host: 'pool.test' }),
      service('nobody', { url: `http://unix:${sockets.nobody}` }),
    ],
    upstreams: [
      {
        name: 'pool.test',
        host_header: 'api.test:8443',
        targets: [{ target: `unix:${sockets.other}` }, { target: `unix:${sockets.nobody}` }],
      },
    ],
  })
})

async function told(path: string): Promise<object> {
  const { status, text } = await gateway.get(path, { as: scene.ada })
  return status === 200 ? JSON.parse(text) : { status }
}

test('over plain HTTP, with nginx’s name for it', async () => {
  expect(await told('/plain/x?y=1')).toEqual({ url: '/x?y=1', host: 'localhost', user: 'CN=ada' })
  await gateway.logged({ service: 'plain', target: `unix:${sockets.plain}` })
})

test('a path may follow the socket’s', async () => {
  expect(await told('/below/x')).toMatchObject({ url: '/v1/api/x' })
})

describe('over TLS', () => {
  test('the gateway shows its certificate, and the API’s must be called localhost', async () => {
    const seen = { host: 'localhost', subject: 'CN=gateway', servername: 'localhost' }
    expect(await told('/tls/x')).toMatchObject({ url: '/x', ...seen })
    expect(await told('/parts/x')).toMatchObject({ url: '/v2/x', ...seen })
  })
  test('one of another name is refused, unless proxy_ssl_name says so', async () => {
    expect(await told('/other')).toEqual({ status: 502 })
    await gateway.logged({ service: 'other', code: 'GW_UPSTREAM_TLS' })
    expect(await told('/named')).toMatchObject({ servername: 'api.test', host: 'localhost' })
  })
  test('an API that demands a certificate gets none where there is none to show', async () => {
    expect(await told('/bare')).toEqual({ status: 502 })
  })
})

test('targets of an upstream may be sockets, and one that is not there is passed over', async () => {
  for (let i = 0; i < 4; i++)
    expect(await told('/several')).toMatchObject({ host: 'api.test:8443', subject: 'CN=gateway' })
})

test('a socket that is not there is an API that cannot be reached', async () => {
  expect(await told('/nobody')).toEqual({ status: 502 })
  await gateway.logged({ service: 'nobody', code: 'GW_UPSTREAM_CONNECT' })
})

test('a WebSocket passes', async () => {
  const socket = new WebSocket(`wss://localhost:${gateway.port}/plain`, { ca: scene.servers.certificate })
  await new Promise((resolve) => socket.once('open', resolve))
  const echoed = new Promise((resolve) => socket.once('message', (message) => resolve(String(message))))
  socket.send('hello')
  expect(await echoed).toBe('hello')
  socket.terminate()
})

describe('the check says what is wrong with', () => {
  test.each<[string, object, string]>([
    ['no path', { url: 'http://unix:' }, 'names no file'],
    ['a relative path', { url: 'http://unix:app.sock' }, 'expected an absolute path after unix:'],
    ['a folder', { host: 'unix:/run/' }, 'names no file'],
    ['a path that is too long', { host: `unix:/${'a'.repeat(120)}` }, 'has a path of 121 bytes'],
    ['a path behind it that is none', { url: 'http://unix:/run/app.sock:v1' }, 'expected a URL such as'],
    ['a query', { url: 'http://unix:/run/app.sock:/?x' }, 'holds a query or a fragment'],
    ['a port', { host: 'unix:/run/app.sock', port: 8080 }, 'has no meaning over a Unix socket'],
    ['another host beside it', { url: 'http://unix:/a.sock', host: 'unix:/b.sock' }, 'says something else than url'],
    ['an NUL', { host: 'unix:/run/a\0b' }, 'names no file'],
  ])('%s', async (_what, fields, message) => {
    const config = scene.config({ services: [{ name: 'api', routes: [{ name: 'all', paths: ['/'] }], ...fields }] })
    const { status, stderr } = await sallyport(['check', '-c', temporaryFile('gateway.yaml', JSON.stringify(config))])
    expect([status, stderr]).toEqual([1, expect.stringContaining(message)])
  })
})

test('a check prints where a route goes', async () => {
  const services = [{ name: 'api', url: 'http://unix:/run/app.sock', routes: [{ name: 'all', paths: ['/'] }] }]
  const { stdout } = await sallyport([
    'check',
    '-c',
    temporaryFile('gateway.yaml', JSON.stringify(scene.config({ services }))),
  ])
  expect(stdout).toContain('route all -> http://unix:/run/app.sock\n')
})
