import { connect } from 'node:tls'
import { beforeAll, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
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

test('for a client that does not trust us, with its alert', async () => {
  expect(
    await handshake({ servername: 'localhost', rejectUnauthorized: true, ca: scene.clients.certificate }),
  ).not.toBe('connected')
  expect((await gateway.get('/')).status).toBe(200)
})

test('names from outside cannot forge lines', async () => {
  await handshake({ servername: 'x".test', maxVersion: 'TLSv1.1', minVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' })
  expect(() => gateway.log).not.toThrow()
})
