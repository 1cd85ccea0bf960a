import type { ServerResponse } from 'node:http'
import { Agent } from 'node:https'
import { beforeAll, beforeEach, expect, test } from '@jest/globals'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor, within } from '../support/wait.ts'

let scene: Scene
beforeAll(async () => {
  scene = await makeScene()
})
beforeEach(() => scene.backend.reset())

test('readiness fails first, while requests are still served; then the listener closes', async () => {
  const gateway = await scene.start({ shutdown: { delay: '1500ms', timeout: '10s' } })
  const { port } = gateway
  gateway.child.process.kill('SIGTERM')
  await waitFor('readiness to fail', async () => (await gateway.getAdmin('/readyz')).status === 503)
  expect((await gateway.getAdmin('/healthz')).status).toBe(200)
  expect((await gateway.get('/')).status).toBe(200)
  expect((await within(10, 'the end', gateway.child.exited)).status).toBe(0)
  await expect(gateway.get('/', {})).rejects.toThrow(/ECONNREFUSED/)
  expect(port).toBeGreaterThan(0)
})

test('a request in flight finishes, and then the gateway ends with status 0', async () => {
  let answer: ServerResponse | undefined
  scene.backend.respond = (_request, response, { target }) => {
    if (target === '/slow') answer = response
    response.write('first ')
    if (target !== '/slow') response.end()
  }
  const gateway = await scene.start()
  const waiting = gateway.get('/slow')
  await scene.backend.request('the request', () => true)
  gateway.child.process.kill('SIGTERM')
  await waitFor('the listener to close', () =>
    gateway.get('/').then(
      () => false,
      () => true,
    ),
  )
  expect(gateway.child.running).toBe(true)
  answer?.end('last')
  expect(await waiting).toMatchObject({ status: 200, text: 'first last' })
  expect(await within(5, 'the end', gateway.child.exited)).toMatchObject({ status: 0, signal: null })
})

test('idle connections do not hold it up', async () => {
  const gateway = await scene.start()
  const agent = new Agent({ keepAlive: true })
  await gateway.get('/', { agent })
  const idle = await gateway.open()
  expect(await within(5, 'the end', gateway.stop())).toMatchObject({ status: 0 })
  await idle.closed
  agent.destroy()
})

test('a request that never ends is cut off after the timeout', async () => {
  scene.backend.respond = (_request, response) => response.write('endless')
  const gateway = await scene.start({ shutdown: { delay: '0s', timeout: '1s' } })
  const waiting = gateway.get('/').then(
    () => 'whole',
    () => 'cut off',
  )
  await scene.backend.request('the request', () => true)
  const { status } = await within(10, 'the end', gateway.stop())
  expect(status).not.toBeNull()
  expect(await waiting).toBe('cut off')
})

test('SIGINT does the same', async () => {
  const gateway = await scene.start()
  expect(await within(5, 'the end', gateway.stop('SIGINT'))).toMatchObject({ status: 0 })
})

test('a reload while it drains does not make it ready again', async () => {
  const gateway = await scene.start({ shutdown: { delay: '1s', timeout: '5s' } })
  gateway.child.process.kill('SIGTERM')
  await waitFor('readiness to fail', async () => (await gateway.getAdmin('/readyz')).status === 503)
  gateway.child.process.kill('SIGHUP')
  const statuses = new Set<number>()
  while (gateway.child.running) {
    const answer = await gateway.getAdmin('/readyz').catch(() => undefined)
    if (answer) statuses.add(answer.status)
  }
  expect([...statuses]).toEqual([503])
  expect((await gateway.child.exited).status).toBe(0)
})
