import { existsSync, lstatSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { beforeAll, expect, test } from '@jest/globals'
import { curl } from '../support/curl.ts'
import { temporaryFile, temporaryFolder } from '../support/folder.ts'
import { refusedStart } from '../support/gateway.ts'
import { RawConnection } from '../support/raw.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

let scene: Scene
let files: { ca: string; cert: string; key: string }

beforeAll(async () => {
  scene = await makeScene()
  files = {
    ca: temporaryFile('servers.pem', scene.servers.certificate),
    cert: temporaryFile('ada.pem', scene.ada.chain),
    key: temporaryFile('ada.key', scene.ada.key),
  }
})

const newPath = () => join(temporaryFolder(), 'gateway.sock')
const listeners = (path: string, fields: object = {}) => [
  { listen: `unix:${path}`, servers: [scene.server()], ...fields },
]

/** The status that curl gets with ada's certificate. */
async function ask(path: string, ...more: readonly string[]): Promise<string> {
  const tls = ['--cacert', files.ca, '--cert', files.cert, '--key', files.key]
  const shown = ['-o', '/dev/null', '-w', '%{http_code}']
  const { stdout } = await curl(['--unix-socket', path, ...tls, ...shown, ...more, 'https://localhost/'])
  return stdout
}

test('a client certificate counts there as on a port, and its sender is called unix:', async () => {
  const path = newPath()
  const gateway = await scene.start({ listeners: listeners(path), forwarded: 'on' })
  expect(await ask(path, '-H', 'X-Forwarded-For: 192.0.2.1', '-H', 'DN: CN=eve')).toBe('200')
  const { last } = scene.backend
  expect(last.header('VERIFIED')).toEqual(['SUCCESS'])
  expect(last.header('DN')).toEqual(['CN=ada'])
  expect(last.header('X-Forwarded-For')).toEqual(['unix:'])
  expect(last.header('X-Real-IP')).toEqual(['unix:'])
  expect(last.header('X-Forwarded-Port')).toEqual([])
  expect(last.header('Forwarded')).toEqual(['for=unknown;host=localhost;proto=https'])
  await gateway.logged({ remote_addr: 'unix:', remote_port: 0, status: 200 })
  await gateway.logged({ msg: 'listening', address: `unix:${path}` })
})

test('trusted_ips may name unix:; a client cannot pass for one by writing it into X-Forwarded-For', async () => {
  const path = newPath()
  await scene.start({ listeners: listeners(path), trusted_ips: ['unix:'] })
  expect(await ask(path, '-H', 'X-Forwarded-For: 198.51.100.9, 192.0.2.1')).toBe('200')
  expect(scene.backend.last.header('X-Real-IP')).toEqual(['192.0.2.1'])
  expect(scene.backend.last.header('X-Forwarded-For')).toEqual(['198.51.100.9, 192.0.2.1, unix:'])
  expect(await ask(path, '-H', 'X-Forwarded-For: 198.51.100.9, unix:')).toBe('200')
  expect(scene.backend.last.header('X-Real-IP')).toEqual(['unix:'])
})

test('a balancer that comes over it begins with a PROXY header where proxy_protocol_from names unix:', async () => {
  const path = newPath()
  await scene.start({ listeners: listeners(path, { proxy_protocol_from: ['unix:'] }) })
  expect(await ask(path)).toBe('000')
  const socket = connect({ path }).on('error', () => {})
  socket.write('PROXY TCP4 192.0.2.7 198.51.100.10 40001 443\r\n')
  const { chain: cert, key } = scene.ada
  const connection = new RawConnection(
    connectTls({ socket, servername: 'localhost', rejectUnauthorized: false, cert, key }),
  )
  connection.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  const [answer] = await connection.untilClosed()
  connection.destroy()
  expect(answer?.status).toBe(200)
  expect(scene.backend.last.header('X-Real-IP')).toEqual(['192.0.2.7'])
})

test.each([1, 2])(
  'workers: %d: one path has one gateway, owner and group may connect, and a stop removes it',
  async (workers) => {
    const path = newPath()
    const first = await scene.start({ listeners: listeners(path), workers })
    expect(lstatSync(path).mode & 0o777).toBe(0o660)
    const { status, stderr } = await refusedStart({ config: scene.config({ listeners: listeners(path), workers }) })
    expect(status).toBe(1)
    expect(stderr).toContain('listeners[0].listen')
    expect(stderr).toContain(`cannot listen on unix:${path} (EADDRINUSE)`)
    for (let i = 0; i < 4; i++) expect(await ask(path)).toBe('200')
    await first.stop()
    expect(existsSync(path)).toBe(false)
  },
)

test.each([1, 2])('workers: %d: the file of a gateway that was killed is replaced', async (workers) => {
  const path = newPath()
  const killed = await scene.start({ listeners: listeners(path) })
  await killed.stop('SIGKILL')
  expect(existsSync(path)).toBe(true)
  await scene.start({ listeners: listeners(path), workers })
  expect(await ask(path)).toBe('200')
})

test('a reload moves from one path to another, and keeps the one that stays', async () => {
  const [before, after] = [newPath(), newPath()]
  const gateway = await scene.start({ listeners: listeners(before) })
  await gateway.reload(scene.config({ listeners: [...listeners(before), ...listeners(after)] }))
  expect([await ask(before), await ask(after)]).toEqual(['200', '200'])
  await gateway.reload(scene.config({ listeners: listeners(after) }))
  expect([existsSync(before), await ask(after)]).toEqual([false, '200'])
})

test('a file that is no socket is never removed', async () => {
  const path = temporaryFile('precious', 'data')
  writeFileSync(path, 'data')
  const { stderr } = await refusedStart({ config: scene.config({ listeners: listeners(path) }) })
  expect(stderr).toContain('the file is no socket')
  expect(lstatSync(path).isFile()).toBe(true)
})

test('a folder that is missing is named', async () => {
  const path = join(temporaryFolder(), 'missing', 'gateway.sock')
  const { stderr } = await refusedStart({ config: scene.config({ listeners: listeners(path) }) })
  expect(stderr).toContain('its folder is missing')
})

test('the admin may listen on one too, for its owner and group', async () => {
  const path = newPath()
  const gateway = await scene.start({ admin: { listen: `unix:${path}` } })
  await gateway.logged({ msg: 'listening', kind: 'admin', address: `unix:${path}` })
  expect(lstatSync(path).mode & 0o777).toBe(0o660)
  const { stdout } = await curl(['--unix-socket', path, 'http://admin/readyz'])
  expect(JSON.parse(stdout)).toEqual({ status: 'ready', reasons: [] })
  const other = await refusedStart({ config: scene.config({ admin: { listen: `unix:${path}` } }) })
  expect(other.stderr).toContain(`admin.listen: cannot listen on unix:${path} (EADDRINUSE)`)
  await gateway.stop()
  expect(existsSync(path)).toBe(false)
})

test.each([1, 2])(
  'a socket file that somebody has removed is told of at a reload, and made anew once the listener was away (%i workers)',
  async (workers) => {
    const path = newPath()
    const config = (...paths: string[]) =>
      scene.config({ workers, listeners: paths.flatMap((each) => listeners(each)) })
    const other = newPath()
    const gateway = await scene.start(config(path, other))
    await gateway.reload()
    const gone = () => gateway.log.filter(({ msg }) => msg?.startsWith('the socket file of a listener is gone'))
    expect(gone()).toEqual([])
    rmSync(path)
    await gateway.reload()
    // A file that has changed as well makes a reload of its own, which tells of it again.
    await waitFor('the warnings of all', () => new Set(gone().map(({ worker }) => worker)).size === workers)
    expect(gone()[0]).toMatchObject({ level: 'warn', address: `unix:${path}` })
    await gateway.reload(config(other))
    await gateway.reload(config(path, other))
    expect(await ask(path)).toBe('200')
  },
)
