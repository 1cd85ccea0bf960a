import { connect, type Socket } from 'node:net'
import { beforeAll, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

let scene: Scene

beforeAll(async () => {
  scene = await makeScene()
})

function start(limits: object, parts: object = {}): Promise<Gateway> {
  return scene.start({ listeners: [{ listen: '127.0.0.1:0', servers: [scene.server()], ...limits }], ...parts })
}

interface Comer {
  readonly socket: Socket
  closed: boolean
}

function comers(count: number, port: number, localAddress = '127.0.0.1'): Comer[] {
  return Array.from({ length: count }, () => {
    const comer: Comer = { socket: connect({ host: '127.0.0.1', port, localAddress }), closed: false }
    comer.socket
      .on('error', () => {})
      .on('close', () => {
        comer.closed = true
      })
    comer.socket.resume()
    return comer
  })
}

async function untilClosed(all: readonly Comer[], count: number): Promise<void> {
  await waitFor(`${count} closed connections`, () => all.filter(({ closed }) => closed).length === count)
}

test('max_connections_per_address: one address has no more, another has its own, and places come free', async () => {
  const gateway = await start({ max_connections_per_address: 3 })
  const own = comers(5, gateway.port)
  await untilClosed(own, 2)
  const others = comers(3, gateway.port, '127.0.0.2')
  const line = await gateway.logged({ msg: 'connections refused', reason: 'max_connections_per_address' })
  expect(line).toMatchObject({ count: 1, remote_addr: '127.0.0.1' })
  expect(others.filter(({ closed }) => closed)).toEqual([])
  for (const { socket } of [...own, ...others]) socket.destroy()
  await waitFor('a free place', async () => (await gateway.get('/').catch(() => ({ status: 0 }))).status === 200)
  expect((await gateway.getAdmin('/metrics')).text).toContain(
    'sallyport_connections_refused_total{limit="max_connections_per_address"} 1',
  )
})

test('connection_rate_limit: so many may come at once, the others are closed', async () => {
  const gateway = await start({ connection_rate_limit: 3 })
  const all = comers(10, gateway.port)
  await untilClosed(all, 7)
  await gateway.logged({ msg: 'connections refused', reason: 'connection_rate_limit' })
  await waitFor('the rate to fall', async () => (await gateway.get('/').catch(() => ({ status: 0 }))).status === 200)
  for (const { socket } of all) socket.destroy()
})

test('max_connections: the log tells of those that are closed', async () => {
  const gateway = await start({ max_connections: 2 })
  const all = comers(4, gateway.port)
  await untilClosed(all, 2)
  await gateway.logged({ msg: 'connections refused', reason: 'max_connections' })
  for (const { socket } of all) socket.destroy()
})

test('max_connections: several workers share it out, and close what is beyond', async () => {
  const gateway = await start({ max_connections: 4 }, { workers: 2 })
  const all = comers(10, gateway.port)
  await untilClosed(all, 6)
  await gateway.logged({ msg: 'connections refused', reason: 'max_connections' })
  for (const { socket } of all) socket.destroy()
  await waitFor('a free place', async () => (await gateway.get('/').catch(() => ({ status: 0 }))).status === 200)
})

test('a flood is a few lines in the log', async () => {
  const gateway = await start({ connection_rate_limit: 1 })
  const all = comers(200, gateway.port)
  await waitFor('the flood to be refused', () => all.filter(({ closed }) => closed).length >= 190)
  // Lines leave the process a moment later.
  await gateway.logged({ msg: 'connections refused' })
  expect(gateway.log.filter(({ msg }) => msg === 'connections refused')).toHaveLength(1)
  for (const { socket } of all) socket.destroy()
})
