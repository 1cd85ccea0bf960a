// A crowd that connects together is taken in a few at a time, so that those who are there already go on: nobody may get lost in the waiting line.
import { request } from 'node:https'
import { type AddressInfo, connect, createServer } from 'node:net'
import { expect, test } from '@jest/globals'
import { makeScene } from '../support/scene.ts'

const CROWD = 60
/** Several times as many as may be unanswered. */
const STRANGERS = 200

/** A gateway, what a client sends it first, and a whole request on a connection of its own. */
async function start() {
  const scene = await makeScene()
  const gateway = await scene.start()
  const { ada, servers } = scene
  const identity = { ca: servers.certificate, cert: ada.chain, key: ada.key, servername: 'localhost' }
  const ask = (port: number) => request({ host: '127.0.0.1', port, agent: false, ...identity })
  const status = () =>
    new Promise<number | undefined>((resolve, reject) => {
      ask(gateway.port)
        .once('response', (response) => response.resume().once('end', () => resolve(response.statusCode)))
        .once('error', reject)
        .end()
    })
  return { gateway, hello: await firstBytes(ask), status }
}

test('everybody is served, whoever leaves while he waits', async () => {
  const { gateway, hello, status } = await start()
  const leave = () =>
    new Promise<void>((resolve) => {
      const socket = connect(gateway.port, '127.0.0.1', () => {
        socket.write(hello, () => socket.resetAndDestroy())
      })
      socket.on('error', () => {}).once('close', () => resolve())
    })
  const all = Array.from({ length: CROWD }, (_, i) => (i % 3 === 0 ? leave() : status()))
  const statuses = await Promise.all(all)
  expect(statuses.filter((each) => each === 200)).toHaveLength((CROWD * 2) / 3)
  expect(await status()).toBe(200)
})

test('strangers who begin a handshake and never go on do not keep the others waiting', async () => {
  const { gateway, hello, status } = await start()
  const strangers = Array.from({ length: STRANGERS }, () => connect(gateway.port, '127.0.0.1'))
  try {
    const begun = strangers.map(
      (socket) =>
        new Promise<void>((resolve, reject) => {
          // The first bytes that come back: its handshake has begun.
          socket
            .once('error', reject)
            .once('data', () => resolve())
            .write(hello)
        }),
    )
    const served = status()
    await Promise.all(begun)
    expect(await served).toBe(200)
  } finally {
    for (const socket of strangers) socket.destroy()
  }
})

/** What a client sends first. */
function firstBytes(begin: (port: number) => ReturnType<typeof request>): Promise<Buffer> {
  return new Promise((resolve) => {
    const server = createServer((socket) => {
      socket
        .on('error', () => {})
        .once('data', (bytes: Buffer) => {
          resolve(bytes)
          socket.destroy()
          server.close()
        })
    })
    server.listen(0, '127.0.0.1', () => {
      begin((server.address() as AddressInfo).port)
        .on('error', () => {})
        .end()
    })
  })
}
