import { once } from 'node:events'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { connect, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { run } from '../support/children.ts'
import type { Gateway } from '../support/gateway.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

/** A key exchange that an attacker with a quantum computer cannot undo later (draft-ietf-tls-ecdhe-mlkem). */
const HYBRID = 'X25519MLKEM768'

let scene: Scene
let gateway: Gateway
let upstream: Server

beforeAll(async () => {
  scene = await makeScene()
  const { chain: cert, key } = scene.inside.server('localhost')
  // As nginx by default, and other than Node.
  upstream = createServer({ cert, key, honorCipherOrder: false, ecdhCurve: HYBRID }, (request, response) => {
    response.end((request.socket as TLSSocket).getCipher().standardName)
  })
  await once(upstream.listen(0, '127.0.0.1'), 'listening')
  const url = `https://localhost:${(upstream.address() as AddressInfo).port}`
  const other = scene.server({ server_names: ['other.test'], ssl_ciphers: 'TLS_AES_256_GCM_SHA384' })
  const old = scene.server({ server_names: ['old.test'], ssl_ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' })
  gateway = await scene.start({
    ...listenerOf(scene.server(), other, old),
    services: [{ url, routes: [{ paths: ['/'] }] }],
  })
})

afterAll(() => {
  upstream.closeAllConnections()
  upstream.close()
})

/** What openssl agrees upon with the gateway: the cipher suite, or `(NONE)`. */
async function agreed(...asking: string[]): Promise<string | undefined> {
  const { stdout } = await run('openssl', ['s_client', '-connect', `127.0.0.1:${gateway.port}`, ...asking], {
    input: '',
  })
  return /Cipher is (\S+)/.exec(stdout)?.[1]
}

test.each([
  // OpenSSL's clients, as curl, ask for 256 bits first; 128 cost a sixth less of a large body.
  ['TLS_AES_128_GCM_SHA256', []],
  ['TLS_AES_256_GCM_SHA384', ['-ciphersuites', 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256']],
  // As phones without AES in their processors.
  ['TLS_CHACHA20_POLY1305_SHA256', ['-ciphersuites', 'TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256']],
  ['ECDHE-ECDSA-AES128-GCM-SHA256', ['-tls1_2']],
  ['ECDHE-ECDSA-CHACHA20-POLY1305', ['-tls1_2', '-cipher', 'ECDHE-ECDSA-CHACHA20-POLY1305']],
])('%s of what openssl %j offers', async (suite, asking) => {
  expect(await agreed(...asking)).toBe(suite)
})

test.each([
  ['without authenticated encryption', 'ECDHE-ECDSA-AES128-SHA256'],
  ['without forward secrecy', 'AES128-GCM-SHA256'],
  ['without encryption', 'ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0'],
])('no suite %s', async (_, cipher) => {
  expect(await agreed('-tls1_2', '-cipher', cipher)).toBe('(NONE)')
})

test('those of a server alone that sets its own', async () => {
  expect(await agreed('-servername', 'other.test')).toBe('TLS_AES_256_GCM_SHA384')
  expect(await agreed('-servername', 'other.test', '-ciphersuites', 'TLS_AES_128_GCM_SHA256')).toBe('(NONE)')
})

test('a list of one version says nothing of TLS 1.3, as in nginx, and turns TLS 1.2 off', async () => {
  expect(await agreed('-servername', 'old.test', '-tls1_2')).toBe('ECDHE-ECDSA-AES256-GCM-SHA384')
  expect(await agreed('-servername', 'old.test', '-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-GCM-SHA256')).toBe('(NONE)')
  expect(await agreed('-servername', 'old.test', '-ciphersuites', 'TLS_CHACHA20_POLY1305_SHA256')).toMatch(/^TLS_/)
  expect(await agreed('-servername', 'other.test', '-tls1_2')).toBe('(NONE)')
})

test('an upstream that leaves the choice to its clients is asked for 128 bits too', async () => {
  expect((await gateway.get('/')).text).toBe('TLS_AES_128_GCM_SHA256')
})

test('clients that insist on a key exchange with ML-KEM are served, by upstreams that do too', async () => {
  const socket = connect({
    port: gateway.port,
    ca: scene.servers.certificate,
    servername: 'localhost',
    ecdhCurve: HYBRID,
  })
  await once(socket, 'secureConnect')
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  expect(await text(socket)).toMatch(/^HTTP\/1.1 200 /)
})
