import type { ServerResponse } from 'node:http'
import { beforeAll, beforeEach, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { authority, type Issued } from '../support/pki.ts'
import type { RawConnection } from '../support/raw.ts'
import { type GatewayConfig, listenerOf, makeScene, type Scene } from '../support/scene.ts'
import { waitFor, within } from '../support/wait.ts'

let scene: Scene
let eve: Issued

beforeAll(async () => {
  scene = await makeScene()
  eve = scene.clients.client('eve')
})

beforeEach(() => {
  scene.backend.reset()
  scene.backend.respond = (_request, response) => response.write('hello')
  scene.backend.upgrade = (_request, socket) =>
    socket
      .on('error', () => {})
      .write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello')
})

const UPGRADE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'

function config(crl: string): GatewayConfig {
  return {
    ...listenerOf(scene.server({ certificate_header_format: 'rfc9440', ssl_crl: crl })),
    trusted_ips: ['127.0.0.1'],
  }
}

async function begin(gateway: Gateway, as: Issued, lines = ''): Promise<RawConnection> {
  const client = await gateway.open()
  client.write(`GET / HTTP/1.1\r\nHost: localhost\r\nClient-Cert: :${as.der.toString('base64')}:\r\n${lines}\r\n`)
  await waitFor('the beginning', () => client.received.includes('hello'))
  return client
}

test.each([
  ['a WebSocket', UPGRADE],
  ['an answer that streams', ''],
])('%s is cut when a new list names its client, and nobody else’s', async (_what, lines) => {
  const gateway = await scene.start(config(scene.clients.crl()))
  const lasting = await begin(gateway, scene.ada, lines)
  const ending = await begin(gateway, eve, lines)
  expect((await gateway.reload(scene.config(config(scene.clients.crl([eve]))))).level).toBe('info')
  await within(15, 'the end of the connection', ending.closed)
  expect(await gateway.logged({ msg: 'connection ended', subject: 'CN=eve' })).toMatchObject({
    reason: 'client certificate verify error: certificate revoked',
  })
  expect(lasting.isClosed).toBe(false)
  lasting.destroy()
})

const hers = (whose: Issued) => `Client-Cert: :${whose.der.toString('base64')}:\r\n`

test.each<[string, string, () => string]>([
  ['without a certificate', 'localhost', () => ''],
  ['at another server', 'other.test', () => hers(scene.ada)],
  ['at a server that believes no header', 'plain.test', () => ''],
  ['after a reload', 'localhost', () => hers(scene.ada)],
])('a connection on which somebody else has come after him goes on: %s', async (after, host, header) => {
  scene.backend.respond = ({ url }, response) => (url === '/whole' ? response.end('hello') : response.write('hello'))
  const servers = (crl: string) => {
    const format = { certificate_header_format: 'rfc9440', ssl_crl: crl }
    return {
      ...config(crl),
      ...listenerOf(
        scene.server(format),
        scene.server({ ...format, server_names: ['other.test'] }),
        scene.server({ ssl_crl: crl, server_names: ['plain.test'] }),
      ),
    }
  }
  const gateway = await scene.start(servers(scene.clients.crl()))
  const reused = await gateway.open()
  await reused.write(`GET /whole HTTP/1.1\r\nHost: localhost\r\n${hers(eve)}\r\n`).answers(1)
  if (after === 'after a reload') expect((await gateway.reload()).level).toBe('info')
  reused.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n${header()}\r\n`)
  await waitFor('the second answer', () => reused.received.split('hello').length === 3)
  const ending = await begin(gateway, eve)
  expect((await gateway.reload(scene.config(servers(scene.clients.crl([eve]))))).level).toBe('info')
  await within(15, 'the end of the connection', ending.closed)
  await gateway.logged({ msg: 'connection ended' })
  expect(gateway.log.filter(({ msg }) => msg === 'connection ended')).toHaveLength(1)
  expect(reused.isClosed).toBe(false)
  reused.destroy()
})

test('and when his certificate ends', async () => {
  const gateway = await scene.start(config(scene.clients.crl()))
  const brief = scene.clients.client('brief', { validUntil: 4 / 86_400 })
  const ending = await begin(gateway, brief)
  await within(20, 'the end of the connection', ending.closed)
  expect(await gateway.logged({ msg: 'connection ended', subject: 'CN=brief' })).toMatchObject({
    reason: 'client certificate verify error: certificate has expired',
  })
})

test('and when the certificate of a stranger ends whom optional_no_ca lets in', async () => {
  const gateway = await scene.start({
    ...listenerOf(scene.server({ certificate_header_format: 'rfc9440', ssl_verify_client: 'optional_no_ca' })),
    trusted_ips: ['127.0.0.1'],
  })
  const brief = authority('strangers').client('brief', { validUntil: 4 / 86_400 })
  const ending = await begin(gateway, brief)
  await within(20, 'the end of the connection', ending.closed)
  await gateway.logged({ msg: 'connection ended', subject: 'CN=brief' })
})

test('and when his user is removed, while those of others go on', async () => {
  const configOf = (...names: string[]) => {
    const users = names.map((name) => ({ user: `user ${name}`, certificate: [`cn:${name}`] }))
    return {
      ...listenerOf(scene.server({ certificate_header_format: 'rfc9440', authorization: { users } })),
      trusted_ips: ['127.0.0.1'],
      services: [
        { name: 'api', url: scene.backend.url, rules: [['certificate']], routes: [{ name: 'all', paths: ['/'] }] },
      ],
    }
  }
  const gateway = await scene.start(configOf('ada', 'eve'))
  const lasting = await begin(gateway, scene.ada, UPGRADE)
  const ending = await begin(gateway, eve, UPGRADE)
  expect((await gateway.reload(scene.config(configOf('ada')))).msg).toBe('reloaded')
  await within(15, 'the end of the connection', ending.closed)
  await gateway.logged({ msg: 'connection ended', reason: 'the certificate does not belong to user eve any more' })
  expect(lasting.isClosed).toBe(false)
  lasting.destroy()
})

/** Behind a load balancer, a service for these alone. */
function allowing(...names: string[]) {
  return {
    ...listenerOf(scene.server({ certificate_header_format: 'rfc9440' })),
    trusted_ips: ['127.0.0.1'],
    services: [
      {
        ...{ name: 'api', url: scene.backend.url, routes: [{ name: 'all', paths: ['/'] }] },
        allow: names.map((name) => ({ certificate: [{ subject: { CN: name } }] })),
      },
    ],
  }
}

test('and when his route lets in others only, while theirs go on', async () => {
  const gateway = await scene.start(allowing('ada', 'eve'))
  const lasting = await begin(gateway, scene.ada, UPGRADE)
  const ending = await begin(gateway, eve, UPGRADE)
  expect((await gateway.reload(scene.config(allowing('ada')))).msg).toBe('reloaded')
  await within(15, 'the end of the connection', ending.closed)
  const { reason } = await gateway.logged({ msg: 'connection ended' })
  expect(reason).toContain('GW_FORBIDDEN: services[0].allow does not let')
  expect(lasting.isClosed).toBe(false)
  lasting.destroy()
})

test('whoever comes next on the connection of somebody whom a reload lets in no more is not cut in his place', async () => {
  const held: ServerResponse[] = []
  scene.backend.respond = ({ url }, response) => {
    held.push(response)
    if (url !== '/held') response.write('hello')
  }
  const gateway = await scene.start(allowing('ada', 'eve'))
  const ask = async (then = '') => {
    const before = held.length
    const client = await gateway.open()
    client.write(`GET /held HTTP/1.1\r\nHost: localhost\r\n${hers(eve)}\r\n${then}`)
    await waitFor('the request', () => held.length > before)
    return client
  }
  const shared = await ask(`GET / HTTP/1.1\r\nHost: localhost\r\n${hers(scene.ada)}\r\n`)
  const ending = await ask()
  const streaming = await begin(gateway, eve)
  expect((await gateway.reload(scene.config(allowing('ada')))).msg).toBe('reloaded')
  await within(15, 'the end of what streams already', streaming.closed)
  const [first, second] = held
  first?.end('whole')
  await waitFor('the stream of the next client', () => shared.received.includes('hello'))
  second?.write('streams from now on')
  await within(15, 'the end of the other connection', ending.closed)
  held.at(-1)?.write('and goes on')
  await waitFor('more of the stream, or its end', () => shared.isClosed || shared.received.includes('and goes on'))
  expect(shared.received).toContain('and goes on')
  shared.destroy()
})
