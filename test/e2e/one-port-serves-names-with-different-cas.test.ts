import { connect } from 'node:tls'
import { beforeAll, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { type Authority, authority, type Issued } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway
const red = authority('red')
const blue = authority('blue')

beforeAll(async () => {
  scene = await makeScene()
  gateway = await scene.start(
    listenerOf(
      server(['red.test'], red),
      server(['*.red.test'], red, 'optional'),
      server(['blue.test', 'azure.test'], blue),
      server(['strict.red.test'], blue),
    ),
  )
})

function server(names: readonly string[], clients: Authority, mode = 'on'): object {
  const [first = ''] = names
  const { chain, key } = scene.servers.server(first, { hosts: names })
  return {
    server_names: names,
    ssl_certificate: chain,
    ssl_certificate_key: key,
    ssl_client_certificate: clients.certificate,
    ssl_verify_client: mode,
  }
}

async function status(host: string, as?: Issued, servername = host): Promise<number> {
  return (await gateway.get('/', { host, servername, ...(as && { as }) })).status
}

test('each name trusts its own CA only', async () => {
  expect(await status('red.test', red.client('ada'))).toBe(200)
  expect(await status('blue.test', blue.client('bob'))).toBe(200)
  expect(await status('red.test', blue.client('bob'))).toBe(400)
  expect(await status('blue.test', red.client('ada'))).toBe(400)
})

test('a wildcard covers the names below it, and an exact name beats it', async () => {
  expect(await status('a.red.test')).toBe(200)
  expect(await status('a.b.red.test')).toBe(200)
  expect(await status('a.red.test', blue.client('bob'))).toBe(400)
  expect(await status('strict.red.test')).toBe(400)
  expect(await status('strict.red.test', blue.client('bob'))).toBe(200)
})

test('letter case and a trailing dot make no difference', async () => {
  expect(await status('RED.TEST', red.client('ada'), 'RED.TEST')).toBe(200)
  expect(await status('red.test.', red.client('ada'), 'red.test')).toBe(200)
  expect(await status('Blue.Test', red.client('ada'), 'bLUE.tEST')).toBe(400)
  expect(await status('STRICT.red.test', red.client('ada'), 'STRICT.RED.TEST')).toBe(400)
})

test('a port in Host makes no difference', async () => {
  expect(await status('red.test:8443', red.client('ada'), 'red.test')).toBe(200)
})

test('two names of one server share connections', async () => {
  expect(await status('azure.test', blue.client('bob'), 'blue.test')).toBe(200)
})

test.each([
  ['red.test', 'red.test'],
  ['a.red.test', '*.red.test'],
  ['azure.test', 'blue.test'],
  ['unknown.test', 'red.test'],
])('a client that asks for %s is shown the certificate of %s', async (servername, expected) => {
  expect(await shownName(servername)).toBe(expected)
})

test('a client without a server name is shown the certificate of the default server', async () => {
  expect(await shownName(undefined)).toBe('red.test')
})

function shownName(servername: string | undefined): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const options = {
      host: '127.0.0.1',
      port: gateway.port,
      rejectUnauthorized: false,
      ...(servername && { servername }),
    }
    const socket = connect(options, () => {
      resolve(socket.getPeerCertificate().subject.CN?.toString())
      socket.destroy()
    })
    socket.once('error', reject)
  })
}
