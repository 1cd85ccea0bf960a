import { spawnSync } from 'node:child_process'
import { connect } from 'node:tls'
import { beforeAll, expect, test } from '@jest/globals'
import { temporaryFile } from '../support/folder.ts'
import type { Gateway } from '../support/gateway.ts'
import { describeWith } from '../support/peers.ts'
import { makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  gateway = await scene.start()
})

function handshake(options: object): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port: gateway.port, rejectUnauthorized: false, ...options }, () => {
      resolve('connected')
      socket.destroy()
    })
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
  })
}

test('for a protocol that is too old', async () => {
  expect(
    await handshake({
      servername: 'old.test',
      minVersion: 'TLSv1.1',
      maxVersion: 'TLSv1.1',
      ciphers: 'ALL:@SECLEVEL=0',
    }),
  ).not.toBe('connected')
  const line = await gateway.logged({ msg: 'handshake failed', server_name: 'old.test' })
  expect(line).toMatchObject({ remote_addr: '127.0.0.1', code: expect.stringMatching(/PROTOCOL|VERSION/) })
  expect(line.reason).toBe('unsupported protocol')
})

test('for ciphers that are too weak', async () => {
  expect(await handshake({ servername: 'weak.test', maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA' })).not.toBe(
    'connected',
  )
  expect(await gateway.logged({ msg: 'handshake failed', server_name: 'weak.test' })).toMatchObject({
    code: expect.stringMatching(/CIPHER/),
    reason: 'no shared cipher',
  })
})

describeWith(['openssl'], 'for a client that does not trust us, in whose certificate nothing is wrong', () => {
  test.each(['tls1_2', 'tls1_3'])('over %s', async (version) => {
    const trusted = temporaryFile('others.pem', scene.clients.certificate)
    // Node's own clients send no alert.
    const server = ['-connect', `127.0.0.1:${gateway.port}`, '-servername', `${version}.test`, `-${version}`]
    spawnSync('openssl', ['s_client', ...server, '-verify_return_error', '-CAfile', trusted], { input: '' })
    const { reason } = await gateway.logged({ msg: 'handshake failed', server_name: `${version}.test` })
    expect(reason).toBe('tlsv1 alert unknown ca: the client does not accept the certificate of this server')
    expect((await gateway.get('/')).status).toBe(200)
  })
})

test('names from outside cannot forge lines', async () => {
  await handshake({ servername: 'x".test', maxVersion: 'TLSv1.1', minVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' })
  expect(() => gateway.log).not.toThrow()
})
