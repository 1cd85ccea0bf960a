import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { factsOf } from '../support/facts.ts'
import { freePort } from '../support/free-port.ts'
import { type Gateway, timeOf } from '../support/gateway.ts'
import { type Authority, authority, type Issued } from '../support/pki.ts'
import { openRaw, type RawConnection } from '../support/raw.ts'
import { type GatewayConfig, listenerOf, makeScene, type Scene } from '../support/scene.ts'
import { pause, waitFor, within } from '../support/wait.ts'

let scene: Scene
beforeAll(async () => {
  scene = await makeScene()
})

const OTHERS = authority('others').certificate
const UPGRADED = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
const REQUEST = 'GET / HTTP/1.1\r\nHost: localhost\r\n'
const KINDS = {
  'a WebSocket': `${REQUEST}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
  'an answer that streams': `${REQUEST}\r\n`,
} as const

beforeEach(() => {
  scene.backend.reset()
  scene.backend.upgrade = (_request, socket) => socket.on('error', () => {}).write(`${UPGRADED}hello`)
  scene.backend.respond = (_request, response) => response.write('hello')
})

async function begin(gateway: Gateway, bytes: string, as: Issued, servername = 'localhost'): Promise<RawConnection> {
  const client = await gateway.open({ as, servername })
  client.write(bytes)
  await waitFor('the beginning', () => client.received.includes('hello'))
  return client
}

const untilEnded = (client: RawConnection) => within(15, 'the end of the connection', client.closed)

describe.each(Object.entries(KINDS))('%s', (_name, bytes) => {
  test.each<[string, string, () => Authority]>([
    ['of its client', 'optional', () => scene.clients],
    ['of an unknown authority, which optional_no_ca has let in,', 'optional_no_ca', () => authority('strangers')],
  ])('ends when the certificate %s expires', async (_whose, mode, issuerOf) => {
    const gateway = await scene.start(listenerOf(scene.server({ ssl_verify_client: mode })))
    const issuer = issuerOf()
    const lasting = await begin(gateway, bytes, issuer.client('lasting'))
    const ending = await begin(gateway, bytes, issuer.client('brief', { validUntil: 4 / 86_400 }))
    await untilEnded(ending)
    expect(await gateway.logged({ msg: 'connection ended' })).toMatchObject({
      subject: 'CN=brief',
      reason: 'client certificate verify error: certificate has expired',
    })
    expect(lasting.isClosed).toBe(false)
    lasting.destroy()
  })

  test.each<[string, () => object, RegExp]>([
    ['its client is revoked', () => ({ ssl_crl: scene.clients.crl([scene.ada]) }), /certificate revoked/],
    ['its key is not pinned any more', () => ({ pinned_certs: ['0'.repeat(64)] }), /certificate not pinned/],
    ['its authority is not trusted any more', () => ({ ssl_client_certificate: OTHERS }), /trust policy .* not in use/],
  ])('ends within a second when %s', async (_why, changed, reason) => {
    const fields = { ssl_crl: scene.clients.crl() }
    const gateway = await scene.start(listenerOf(scene.server(fields)))
    const client = await begin(gateway, bytes, scene.ada)
    const reloaded = await gateway.reload(scene.config(listenerOf(scene.server({ ...fields, ...changed() }))))
    await untilEnded(client)
    const line = await gateway.logged({ msg: 'connection ended', subject: 'CN=ada' })
    expect(line.reason).toMatch(reason)
    expect(timeOf(line) - timeOf(reloaded)).toBeLessThan(1000)
  })

  test("ends when its name's server trusts another authority, though a server of another name goes on trusting its own", async () => {
    const ofTwo = (authorities: string) =>
      listenerOf(
        scene.server({ server_names: ['localhost'], ssl_client_certificate: authorities }),
        scene.server({ server_names: ['other.test'] }),
      )
    const gateway = await scene.start(ofTwo(scene.clients.certificate))
    const client = await begin(gateway, bytes, scene.ada)
    // Both servers trusted alike, so that a connection for one could ask the other.
    const coalesced = await begin(gateway, bytes, scene.ada, 'other.test')
    const lasting = await begin(gateway, bytes.replace('localhost', 'other.test'), scene.ada, 'other.test')
    await gateway.reload(scene.config(ofTwo(OTHERS)))
    await untilEnded(client)
    await untilEnded(coalesced)
    expect(lasting.isClosed).toBe(false)
    lasting.destroy()
  })

  test('lives on when one more authority is trusted, another key pinned, or less of a chain allowed, if that lets its client in', async () => {
    const gateway = await scene.start()
    const bob = scene.clients.client('bob')
    const [lasting, ending] = [await begin(gateway, bytes, scene.ada), await begin(gateway, bytes, bob)]
    const changes = { ssl_client_certificate: OTHERS + scene.clients.certificate, ssl_verify_depth: 0 }
    await gateway.reload(scene.config(listenerOf(scene.server(changes))))
    const pinned = { ...changes, pinned_certs: [factsOf(scene.ada).publicKeySha256] }
    await gateway.reload(scene.config(listenerOf(scene.server(pinned))))
    await untilEnded(ending)
    const line = await gateway.logged({ msg: 'connection ended', subject: 'CN=bob' })
    expect(line.reason).toBe('client certificate verify error: certificate not pinned')
    // Longer than streams of a policy that is gone may go on.
    await pause(1000)
    expect(lasting.isClosed).toBe(false)
    lasting.destroy()
  })

  test('ends when its certificate does not belong to its user any more, and when he has other groups or needs a password besides', async () => {
    const users = (...list: object[]) =>
      scene.config(listenerOf(scene.server({ verify_and_map: true, authorization: { users: list } })))
    const ada = { user: 'ada', certificate: ['cn:ada'], groups: ['staff'] }
    const bob = { user: 'bob', certificate: ['cn:bob'] }
    const gateway = await scene.start(users(ada, bob))
    const lasting = await begin(gateway, bytes, scene.clients.client('bob'))
    const first = await begin(gateway, bytes, scene.ada)
    await gateway.reload(users({ ...ada, groups: [] }, bob))
    await untilEnded(first)
    const second = await begin(gateway, bytes, scene.ada)
    await gateway.reload(users({ ...ada, groups: [], password: 'a secret' }, bob))
    await untilEnded(second)
    await gateway.logged({ msg: 'connection ended', reason: 'ada has to pass password as well by now' })
    await gateway.reload(users(ada, bob))
    const third = await begin(gateway, bytes, scene.ada)
    await gateway.reload(users(bob))
    await untilEnded(third)
    await gateway.logged({ msg: 'connection ended', reason: 'the groups of ada are others now' })
    await gateway.logged({ msg: 'connection ended', reason: 'the certificate does not belong to ada any more' })
    expect(lasting.isClosed).toBe(false)
    lasting.destroy()
  })

  test('ends when its listener is taken away together with its policy', async () => {
    const ports = [await freePort(), await freePort()]
    const config = (port: number | undefined, verify: string): GatewayConfig =>
      scene.config({
        listeners: [{ listen: `127.0.0.1:${port}`, servers: [scene.server({ ssl_verify_client: verify })] }],
      })
    const gateway = await scene.start(config(ports[0], 'optional'))
    const client = await begin(gateway, bytes, scene.ada)
    await gateway.reload(config(ports[1], 'on'))
    await untilEnded(client)
  })

  test('lives on when a reload leaves its policy as it is', async () => {
    const gateway = await scene.start()
    const client = await begin(gateway, bytes, scene.ada)
    await gateway.reload(scene.config({ identity_headers: { VERIFIED: 'verify' } }))
    await pause(2500)
    expect(client.isClosed).toBe(false)
    client.destroy()
  })
})

test('the line of a request that was cut off for its certificate says so, and not that the client has left', async () => {
  const gateway = await scene.start(listenerOf(scene.server({ ssl_crl: scene.clients.crl() })))
  const client = await begin(gateway, KINDS['an answer that streams'], scene.ada)
  await gateway.reload(scene.config(listenerOf(scene.server({ ssl_crl: scene.clients.crl([scene.ada]) }))))
  await untilEnded(client)
  expect(await gateway.logged({ msg: 'request' })).toMatchObject({
    detail: 'client certificate verify error: certificate revoked',
  })
})

test('an answer that has not begun when the policy goes still reaches the client', async () => {
  const gateway = await scene.start()
  let answer = () => {}
  scene.backend.respond = (_request, response) => {
    answer = () => void response.end('late')
  }
  const client = await openRaw(gateway.port, { as: scene.ada })
  client.write(KINDS['an answer that streams'])
  await scene.backend.request('the request', () => true)
  await gateway.reload(scene.config(listenerOf(scene.server({ ssl_verify_client: 'on' }))))
  await pause(2500)
  answer()
  expect((await client.answers(1))[0]).toMatchObject({ status: 200, body: 'late' })
  client.destroy()
})
