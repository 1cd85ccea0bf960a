import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { temporaryFile, temporaryFolder } from '../support/folder.ts'
import { type Gateway, timeOf } from '../support/gateway.ts'
import { sClient } from '../support/openssl.ts'
import { describeWith } from '../support/peers.ts'
import type { Issued } from '../support/pki.ts'
import type { RawConnection } from '../support/raw.ts'
import { type GatewayConfig, listenerOf, makeScene, type Scene } from '../support/scene.ts'
import { waitFor, within } from '../support/wait.ts'

const UPGRADED = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
const REQUEST = 'GET / HTTP/1.1\r\nHost: localhost\r\n'
const REVOKED = 'client certificate verify error: certificate revoked'

let scene: Scene
let gateway: Gateway
let file: string
let ada: Issued
let bob: Issued

beforeAll(async () => {
  scene = await makeScene()
})

beforeEach(async () => {
  scene.backend.reset()
  scene.backend.upgrade = (_request, socket) => socket.on('error', () => {}).write(`${UPGRADED}hello`)
  ada = scene.clients.client('ada')
  bob = scene.clients.client('bob')
  file = temporaryFile('crl.pem', scene.clients.crl())
  gateway = await scene.start(listenerOf(scene.server({ ssl_crl: file })))
})

/** How many milliseconds passed, by the gateway's log, from the reload to the end of a connection of the one who is revoked. */
async function endOf(client: RawConnection): Promise<number> {
  writeFileSync(file, scene.clients.crl([ada]))
  const reloaded = await gateway.reload()
  await within(15, 'the end of the connection', client.closed)
  return timeOf(await gateway.logged({ msg: 'connection ended', subject: 'CN=ada' })) - timeOf(reloaded)
}

async function begin(as: Issued, bytes: string): Promise<RawConnection> {
  const client = await gateway.open({ as })
  client.write(bytes)
  await waitFor('the beginning', () => client.received.includes('hello'))
  return client
}

const KINDS = {
  'a WebSocket': `${REQUEST}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
  'a slow download': `${REQUEST}\r\n`,
} as const

describe.each(Object.entries(KINDS))('%s', (_kind, bytes) => {
  test('of the revoked client is cut within a second, and that of another goes on', async () => {
    scene.backend.respond = (_request, response) => response.write('hello')
    const ending = await begin(ada, bytes)
    const lasting = await begin(bob, bytes)
    expect(await endOf(ending)).toBeLessThan(1000)
    expect(await gateway.logged({ msg: 'connection ended', subject: 'CN=ada' })).toMatchObject({ reason: REVOKED })
    expect(lasting.isClosed).toBe(false)
    lasting.destroy()
  })
})

test('a slow upload of the revoked client is cut within a second, and that of another goes on', async () => {
  scene.backend.respond = (request, response) => void request.on('end', () => response.end('hello'))
  const [ending, lasting] = [await gateway.open({ as: ada }), await gateway.open({ as: bob })]
  for (const client of [ending, lasting]) client.write(`${REQUEST.replace('GET', 'POST')}Content-Length: 6\r\n\r\nabc`)
  await waitFor('both uploads', () => scene.backend.seen.length === 2)
  expect(await endOf(ending)).toBeLessThan(1000)
  expect(ending.received).toBe('')
  await gateway.logged({ msg: 'connection ended', subject: 'CN=ada', reason: REVOKED })
  lasting.write('def')
  expect((await lasting.answers(1))[0]).toMatchObject({ status: 200, body: 'hello' })
  lasting.destroy()
})

describe('an idle connection', () => {
  test('of the revoked client is closed within a second, and that of another serves on', async () => {
    scene.backend.respond = (_request, response) => response.end('hello')
    const ending = await begin(ada, `${REQUEST}\r\n`)
    const lasting = await begin(bob, `${REQUEST}\r\n`)
    expect(await endOf(ending)).toBeLessThan(1000)
    await gateway.logged({ msg: 'connection ended', subject: 'CN=ada', reason: REVOKED })
    const before = lasting.received.length
    lasting.write(`${REQUEST}\r\n`)
    await waitFor('another answer', () => lasting.received.slice(before).includes('hello'))
    lasting.destroy()
  })
})

describe('after our own certificate was renewed', () => {
  let certificate: string
  let key: string

  beforeEach(async () => {
    await gateway.stop()
    certificate = temporaryFile('server.crt', scene.front.chain)
    key = temporaryFile('server.key', scene.front.key)
    gateway = await scene.start(configWith('10s'))
  })

  function configWith(handshakeTimeout: string): GatewayConfig {
    const server = scene.server({ ssl_crl: file, ssl_certificate: certificate, ssl_certificate_key: key })
    return { listeners: [{ listen: '127.0.0.1:0', handshake_timeout: handshakeTimeout, servers: [server] }] }
  }

  function renew(): void {
    const renewed = scene.servers.server('localhost')
    writeFileSync(certificate, renewed.chain)
    writeFileSync(key, renewed.key)
  }

  async function renewTwice(): Promise<void> {
    for (const _ of [1, 2]) {
      renew()
      expect((await gateway.reload()).msg).toBe('reloaded')
    }
  }

  /** Two reloads with other TLS servers each, which trust alike: the connections are of the last but one. */
  async function changeTimeoutTwice(): Promise<void> {
    for (const timeout of ['9s', '8s']) {
      expect((await gateway.reload(scene.config(configWith(timeout)))).msg).toBe('reloaded')
    }
  }

  test.each([
    ['just now', () => renew()],
    ['by reloads before', renewTwice],
    ['and handshakes may take another time', changeTimeoutTwice],
  ])('%s: connections from before meet the new list', async (_when, renewal) => {
    const idle = await gateway.open({ as: ada })
    idle.write(`${REQUEST}\r\n`)
    await waitFor('the answer', () => idle.received.includes('HTTP/1.1 200'))
    const webSocket = await begin(ada, KINDS['a WebSocket'])
    const lasting = await begin(bob, KINDS['a WebSocket'])
    await renewal()
    expect([idle, webSocket, lasting].map(({ isClosed }) => isClosed)).toEqual([false, false, false])
    await endOf(webSocket)
    await within(15, 'the end of the idle connection', idle.closed)
    expect(await gateway.logged({ msg: 'connection ended', subject: 'CN=ada' })).toMatchObject({ reason: REVOKED })
    expect((await gateway.get('/', { as: ada })).status).toBe(400)
    expect(lasting.isClosed).toBe(false)
    lasting.destroy()
  })
})

test('a request that waits for its answer gets it; the next one on the connection is refused', async () => {
  let answer = () => {}
  scene.backend.respond = (_request, response) => {
    answer = () => response.end('hello')
  }
  const client = await gateway.open({ as: ada })
  client.write(`${REQUEST}\r\n`)
  await waitFor('the request', () => scene.backend.seen.length === 1)
  client.write(`${REQUEST}\r\n`)
  writeFileSync(file, scene.clients.crl([ada]))
  await gateway.reload()
  answer()
  await within(15, 'the end of the connection', client.closed)
  expect(client.received).toMatch(/^HTTP\/1\.1 200/)
  expect(scene.backend.seen).toHaveLength(1)
})

test('a client that is taken off the list again is let in again', async () => {
  writeFileSync(file, scene.clients.crl([ada]))
  await gateway.reload()
  expect((await gateway.get('/', { as: ada })).status).toBe(400)
  writeFileSync(file, scene.clients.crl())
  await gateway.reload()
  expect((await gateway.get('/', { as: ada })).status).toBe(200)
})

test('a connection whose list grows stale ends when its time has come', async () => {
  const seconds = (count: number) => count / 86_400
  writeFileSync(file, scene.clients.crl([], { nextUpdate: seconds(5) }))
  await gateway.reload()
  scene.backend.respond = (_request, response) => response.write('hello')
  const client = await begin(bob, `${REQUEST}\r\n`)
  await within(20, 'the end of the connection', client.closed)
  await gateway.logged({ msg: 'connection ended', reason: 'client certificate verify error: CRL has expired' })
})

describeWith(['openssl'], 'sessions', () => {
  test.each(['tls1_2', 'tls1_3'] as const)(
    '%s: that of another client ends too: once, it shakes hands anew',
    async (tls) => {
      const keep = join(temporaryFolder(), 'session.pem')
      const request = `${REQUEST}Connection: close\r\n\r\n`
      const options = { port: gateway.port, tls, servername: 'localhost', request }
      const resume = async () => {
        const { resumed, answers } = await sClient({ ...options, as: bob.files(), resume: keep, keep })
        return [resumed, answers[0]?.status, ...scene.backend.last.header('DN')]
      }
      await sClient({ ...options, as: bob.files(), keep })
      expect(await resume()).toEqual([true, 200, 'CN=bob'])
      writeFileSync(file, scene.clients.crl([ada]))
      await gateway.reload()
      expect(await resume()).toEqual([false, 200, 'CN=bob'])
      expect(await resume()).toEqual([true, 200, 'CN=bob'])
    },
  )
})
