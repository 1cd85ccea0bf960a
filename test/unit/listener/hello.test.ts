import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { describe, expect, test } from '@jest/globals'
import { awaitHello, type Hello } from '../../../src/listener/hello.ts'
import { pause, within } from '../../support/wait.ts'
import { socketPair } from '../upstream/support.ts'

/** The ClientHello that Node sends for this name. */
function clientHello(servername: string): Promise<Buffer> {
  return new Promise((resolve) => {
    const wire = new Duplex({
      read() {},
      write(chunk: Buffer) {
        resolve(chunk)
      },
    })
    connectTls({ socket: wire, servername }).on('error', () => {})
  })
}

function helloOn(socket: Socket, timeout = 5000) {
  const outcomes: Hello[] = []
  const first = new Promise<Hello>((resolve) => {
    awaitHello(socket, timeout, (hello) => {
      outcomes.push(hello)
      resolve(hello)
    })
  })
  return { outcomes, hello: within(5, 'the hello', first) }
}

describe('a ClientHello', () => {
  test('in one piece: its server name, and the bytes are put back', async () => {
    const { near, far } = await socketPair()
    const { hello } = helloOn(near)
    const bytes = await clientHello('api.example')
    far.write(bytes)
    expect(await hello).toMatchObject({ status: 'hello', serverName: 'api.example' })
    expect(near.isPaused()).toBe(true)
    expect((near.read() as Buffer).equals(bytes)).toBe(true)
  })

  test.each([1, 5, 50])('in pieces of %i bytes', async (size) => {
    const { near, far } = await socketPair()
    far.setNoDelay(true)
    const { hello, outcomes } = helloOn(near)
    const bytes = await clientHello('api.example')
    for (let i = 0; i < bytes.length; i += size) {
      far.write(bytes.subarray(i, i + size))
      if (i < 100 * size) await pause(1)
    }
    expect(await hello).toMatchObject({ status: 'hello', serverName: 'api.example' })
    expect(outcomes).toHaveLength(1)
  })

  test('what follows it is put back, too', async () => {
    const { near, far } = await socketPair()
    const { hello } = helloOn(near)
    const bytes = Buffer.concat([await clientHello('api.example'), Buffer.from('more')])
    far.write(bytes)
    await hello
    expect((near.read() as Buffer).equals(bytes)).toBe(true)
  })
})

test.each(['GET / HTTP/1.1\r\n\r\n', 'POST / HTTP/1.0\r\n'])('plain HTTP is told from TLS: %j', async (text) => {
  const { near, far } = await socketPair()
  const { hello } = helloOn(near)
  far.write(text)
  expect(await hello).toEqual({ status: 'plain_http' })
})

test.each([
  ['SSH', Buffer.from('SSH-2.0-OpenSSH_9\r\n')],
  ['zeros', Buffer.alloc(100)],
  ['an alert', Buffer.from([21, 3, 1, 0, 2, 2, 40])],
  ['a record that is too long', Buffer.from([22, 3, 1, 255, 255, 1, 0, 0, 0])],
  ['a handshake that begins with something else', Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0])],
])('garbage is refused with a reason: %s', async (_name, bytes) => {
  const { near, far } = await socketPair()
  const { hello } = helloOn(near)
  far.write(bytes)
  expect(await hello).toEqual({ status: 'not_tls', reason: expect.any(String) })
})

describe('a client that does not go on', () => {
  test.each([
    ['says nothing', Buffer.alloc(0)],
    ['stops in the middle', Buffer.from([22, 3, 1, 2, 0, 1])],
  ])('it %s: the timeout', async (_case, bytes) => {
    const { near, far } = await socketPair()
    const { hello } = helloOn(near, 60)
    far.write(bytes)
    expect(await hello).toEqual({ status: 'gone', reason: 'no complete ClientHello within 60 ms' })
  })
  test('bytes that drip do not stop the clock', async () => {
    const { near, far } = await socketPair()
    const { hello } = helloOn(near, 100)
    const bytes = await clientHello('api.example')
    let sent = 0
    const drip = setInterval(() => far.write(bytes.subarray(sent, ++sent)), 10)
    expect(await hello).toMatchObject({ status: 'gone' })
    clearInterval(drip)
  })
  test.each(['end', 'destroy', 'resetAndDestroy'] as const)('it leaves (%s), and this is told once', async (how) => {
    const { near, far } = await socketPair()
    const { hello, outcomes } = helloOn(near, 100)
    far[how]()
    expect(await hello).toMatchObject({ status: 'gone' })
    await pause(150)
    expect(outcomes).toHaveLength(1)
  })
  test('after the hello nothing more is told', async () => {
    const { near, far } = await socketPair()
    const { hello, outcomes } = helloOn(near, 100)
    far.write(await clientHello('api.example'))
    await hello
    far.destroy()
    await pause(150)
    expect(outcomes).toHaveLength(1)
  })
})
