import { writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { Agent } from 'node:https'
import { join } from 'node:path'
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { type Child, startChild } from '../support/children.ts'
import { temporaryFile, temporaryFolder } from '../support/folder.ts'
import { freePort } from '../support/free-port.ts'
import { startGateway } from '../support/gateway.ts'
import { findCommand } from '../support/peers.ts'
import { type FakePlugin, startPlugin } from '../support/plugin.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'
import { waitFor, within } from '../support/wait.ts'

const METHOD = 'ClientCertificateMapper.MapClientCertificateToUser'
const ACTIVATE = { 'Plugin.Activate': { Implements: ['ClientCertificateMapper'] } }

let scene: Scene
beforeAll(async () => {
  scene = await makeScene()
})
beforeEach(() => scene.backend.reset())

/** A gateway whose server asks these mappers, with plugins found in these folders. */
function start(certmap: readonly string[], plugins: object, server: object = {}, consumers: readonly object[] = []) {
  const users = { verify_and_map: true, ssl_verify_client: 'on', certmap, ...server }
  return scene.start({
    ...listenerOf(scene.server(users)),
    docker_plugins: { socket_directories: [], spec_directories: [], timeout: '2s', rest: '50ms', ...plugins },
    identity_headers: { 'X-User': 'user', 'X-Groups': 'groups' },
    consumers,
  })
}

describe('a plugin on a Unix socket', () => {
  let plugin: FakePlugin
  beforeEach(async () => {
    plugin = await startPlugin('sss', { ...ACTIVATE, [METHOD]: { AuthedUser: { Name: 'Ada L', Groups: ['dev'] } } })
  })

  test('names the user, once for many requests', async () => {
    const gateway = await start(['sss'], { socket_directories: [plugin.folder], options: { realm: 'x' } })
    for (let i = 0; i < 3; i++) {
      const answer = await gateway.get('/', { as: scene.ada })
      expect(answer.status).toBe(200)
      expect(await gateway.line(answer)).toMatchObject({ user: 'Ada L' })
    }
    expect(scene.backend.last.header('X-User')).toEqual(['Ada L'])
    expect(scene.backend.last.header('X-Groups')).toEqual(['dev'])
    expect(plugin.calls.map(({ method }) => method)).toEqual(['Plugin.Activate', METHOD])
    expect(JSON.parse(plugin.calls[1]?.body ?? '')).toEqual({
      Certificate: scene.ada.der.toString('base64'),
      Options: { realm: 'x' },
    })
  })

  test('that names a user by the id of another one has named nobody', async () => {
    plugin.answers[METHOD] = { AuthedUser: { Name: 'c-1' } }
    const gateway = await start(['sss'], { socket_directories: [plugin.folder] }, {}, [{ id: 'c-1', username: 'root' }])
    const answer = await gateway.get('/', { as: scene.ada })
    expect(answer.status).toBe(401)
    expect((await gateway.line(answer)).detail).toContain('"c-1" is the id of another user')
    expect(scene.backend.seen).toEqual([])
  })

  test("that knows nobody means 401 with its headers, and not those that are the gateway's", async () => {
    plugin.answers[METHOD] = { Header: { 'WWW-Authenticate': ['Steps next="2"'], 'Set-Cookie': ['a=b'] } }
    const gateway = await start(['sss'], { socket_directories: [plugin.folder] })
    const answer = await gateway.get('/', { as: scene.ada })
    expect(answer.status).toBe(401)
    expect(answer.headers['www-authenticate']).toContain('Steps next="2"')
    expect(answer.headers).not.toHaveProperty('set-cookie')
    expect(scene.backend.seen).toEqual([])
  })

  test.each([
    ['hangs', () => {}],
    [
      'turns to another protocol',
      (_body: string, response: ServerResponse) =>
        response.socket?.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'),
    ],
    ['fails', { Err: 'the directory is away' }],
    ['answers with junk', { AuthedUser: 'root' }],
  ])('that %s means 503, and the log says which and why', async (_how, answer) => {
    plugin.answers[METHOD] = answer
    const gateway = await start(['sss'], { socket_directories: [plugin.folder] })
    const refused = await gateway.get('/', { as: scene.ada })
    expect(refused.status).toBe(503)
    expect(await gateway.line(refused)).toMatchObject({
      code: 'GW_UNDECIDED',
      detail: expect.stringContaining('certificate mapper sss'),
    })
    expect(scene.backend.seen).toEqual([])
  })

  test('is asked only where the rules of the configuration know nobody', async () => {
    const authorization = { users: [{ user: 'carol', certificate: ['cn:carol'] }] }
    const gateway = await start(['local', 'sss'], { socket_directories: [plugin.folder] }, { authorization })
    const user = async (name: string) =>
      (await gateway.line(await gateway.get('/', { as: scene.clients.client(name) }))).user
    expect(await user('carol')).toBe('carol')
    expect(plugin.calls).toEqual([])
    expect(await user('ada')).toBe('Ada L')
  })

  test("is named, and given options, by Docker's flag", async () => {
    const config = scene.config({
      ...listenerOf(scene.server({ verify_and_map: true, ssl_verify_client: 'on' })),
      docker_plugins: { socket_directories: [plugin.folder] },
    })
    const args = ['--authn-opt', 'certmap=sss', '--authn-opt', 'realm=x']
    const gateway = await startGateway({ config, args })
    expect(await gateway.line(await gateway.get('/', { as: scene.ada }))).toMatchObject({ user: 'Ada L' })
    expect(JSON.parse(plugin.calls[1]?.body ?? '')).toMatchObject({ Options: { realm: 'x' } })
  })

  test('never sees a certificate that is not verified', async () => {
    const { authority } = await import('../support/pki.ts')
    const gateway = await start(['sss'], { socket_directories: [plugin.folder] })
    expect((await gateway.get('/', { as: authority('rogue').client('ada') })).status).toBe(400)
    expect(plugin.calls).toEqual([])
  })

  test('that is gone when the gateway reloads leaves it running, with its connections open', async () => {
    const gateway = await start(['sss'], { socket_directories: [plugin.folder] })
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    expect((await gateway.get('/', { as: scene.ada, agent })).status).toBe(200)
    await plugin.stop()
    await gateway.reload()
    expect((await gateway.get('/', { as: scene.ada, agent })).status).toBe(503)
    expect(gateway.child.running).toBe(true)
    agent.destroy()
  })

  test('is asked after a reload about whom it let in, whose stream ends where he is somebody else now', async () => {
    scene.backend.respond = (_request, response) => response.write('hello')
    const gateway = await start(['sss'], { socket_directories: [plugin.folder] })
    const begin = async () => {
      const client = await gateway.open({ as: scene.ada })
      client.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
      await waitFor('the beginning', () => client.received.includes('hello'))
      return client
    }
    const client = await begin()
    await gateway.reload()
    await waitFor('the question', () => plugin.calls.filter(({ method }) => method === METHOD).length === 2)
    plugin.answers[METHOD] = (_body, response) => response.writeHead(500).end('{"Err":"away"}')
    await gateway.reload()
    await waitFor('the question', () => plugin.calls.filter(({ method }) => method === METHOD).length === 3)
    expect(client.isClosed).toBe(false)
    plugin.answers[METHOD] = { AuthedUser: { Name: 'somebody else' } }
    await within(10, 'the end of the connection', client.closed)
    await gateway.logged({ msg: 'connection ended', reason: 'the certificate does not belong to Ada L any more' })
  })

  test('is asked anew after a reload', async () => {
    const gateway = await start(['sss'], { socket_directories: [plugin.folder] })
    const status = async () => (await gateway.get('/', { as: scene.ada })).status
    expect(await status()).toBe(200)
    plugin.answers[METHOD] = {}
    expect(await status()).toBe(200)
    await gateway.reload()
    expect(await status()).toBe(401)
  })
})

/** Another language, and nothing of ours: what docs/plugins.md prints, over TCP. */
const PYTHON = `
import base64, http.server, json, subprocess, sys
class Plugin(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
        answer = {'Implements': ['ClientCertificateMapper']}
        if self.path != '/Plugin.Activate':
            der = base64.b64decode(json.loads(body)['Certificate'])
            subject = subprocess.run(['openssl', 'x509', '-inform', 'DER', '-noout', '-subject', '-nameopt', 'RFC2253'], input=der, capture_output=True).stdout
            answer = {'AuthedUser': {'Name': subject.decode().strip().removeprefix('subject=CN=')}}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())
server = http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Plugin)
print('ready', flush=True)
server.serve_forever()
`

test('a plugin in Python is found by .spec, asked, lost and found again elsewhere', async () => {
  const folder = temporaryFolder()
  const program = temporaryFile('mapper.py', PYTHON)
  const begin = async (): Promise<Child> => {
    const port = await freePort()
    const child = startChild(findCommand('python3') ?? 'python3', [program, String(port)])
    await waitFor('the plugin', () => child.stdout.includes('ready'))
    writeFileSync(join(folder, 'py.spec'), `http://127.0.0.1:${port}\n`)
    return child
  }
  const first = await begin()
  const gateway = await start(['py'], { spec_directories: [folder], cache_time: '0s' })
  const ask = async () => gateway.get('/', { as: scene.ada })
  expect(await gateway.line(await ask())).toMatchObject({ status: 200, user: 'ada' })
  await first.stop('SIGKILL')
  await waitFor('its loss', async () => (await ask()).status === 503)
  await begin()
  await waitFor('its return', async () => (await ask()).status === 200)
})

test('a plugin that is nowhere means 503, and the log says where it was looked for', async () => {
  const gateway = await start(['nowhere'], { spec_directories: ['/nonexistent/specs'] })
  const answer = await gateway.get('/', { as: scene.ada })
  expect(answer.status).toBe(503)
  expect(await gateway.line(answer)).toMatchObject({
    detail: expect.stringContaining('no plugin "nowhere" in /nonexistent/specs'),
  })
})
