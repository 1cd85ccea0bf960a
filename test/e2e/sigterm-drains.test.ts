import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { Agent } from 'node:https'
import { join } from 'node:path'
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { temporaryFile, temporaryFolder } from '../support/folder.ts'
import { freePort } from '../support/free-port.ts'
import { type Gateway, spawnGateway } from '../support/gateway.ts'
import { openRaw, type RawConnection } from '../support/raw.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { pause, waitFor, within } from '../support/wait.ts'

let scene: Scene
beforeAll(async () => {
  scene = await makeScene()
})
beforeEach(() => scene.backend.reset())

test('readiness fails first, while requests are still served; then the listener closes', async () => {
  const gateway = await scene.start({ shutdown: { delay: '3s', timeout: '10s' } })
  const { port } = gateway
  gateway.child.process.kill('SIGTERM')
  await waitFor('readiness to fail', async () => (await gateway.getAdmin('/readyz')).status === 503)
  expect((await gateway.getAdmin('/healthz')).status).toBe(200)
  expect((await gateway.get('/')).status).toBe(200)
  expect((await within(15, 'the end', gateway.child.exited)).status).toBe(0)
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
  expect(await within(15, 'the end', gateway.child.exited)).toMatchObject({ status: 0, signal: null })
})

test('idle connections do not hold it up', async () => {
  const gateway = await scene.start()
  const agent = new Agent({ keepAlive: true })
  await gateway.get('/', { agent })
  const idle = await gateway.open()
  expect(await within(15, 'the end', gateway.stop())).toMatchObject({ status: 0 })
  await idle.closed
  agent.destroy()
})

test('a request that is under way to a kept connection is answered, and its answer says that it was the last', async () => {
  const gateway = await scene.start()
  const client = await gateway.open()
  const request = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'
  await client.write(request).answers(1)
  gateway.child.process.kill('SIGTERM')
  await gateway.logged({ msg: 'draining' })
  const [first, last] = await client.write(request).untilClosed()
  expect(first?.headers).not.toContainEqual(['connection', 'close'])
  expect(last).toMatchObject({ status: 200 })
  expect(last?.headers).toContainEqual(['connection', 'close'])
  expect(await within(15, 'the end', gateway.child.exited)).toMatchObject({ status: 0 })
})

test.each([1, 2])(
  'a request that never ends is cut off after the timeout, with status 1 (workers: %d)',
  async (workers) => {
    scene.backend.respond = (_request, response) => response.write('endless')
    const gateway = await scene.start({ workers, shutdown: { delay: '0s', timeout: '1s' } })
    const waiting = gateway.get('/').then(
      () => 'whole',
      () => 'cut off',
    )
    await scene.backend.request('the request', () => true)
    const { status } = await within(10, 'the end', gateway.stop())
    expect(status).toBe(1)
    expect(await waiting).toBe('cut off')
  },
)

describe.each([1, 2])('a request that is cut off after the timeout (workers: %d)', (workers) => {
  test.each([
    ['has an answer that began', true, { status: 200, termination: 'gateway' }],
    ['has no answer', false, { status: 503 }],
  ])('is logged, and not as one whose client has left, where it %s', async (_case, begins, fields) => {
    scene.backend.respond = (_request, response) => begins && response.write('endless')
    const gateway = await scene.start({ workers, shutdown: { timeout: '1s' } })
    const waiting = gateway.get('/').catch(() => 'cut off')
    await scene.backend.request('the request', () => true)
    await within(10, 'the end', gateway.stop())
    expect(await waiting).toBe('cut off')
    expect(await gateway.logged({ msg: 'request' })).toMatchObject({
      ...{ code: 'GW_OVERLOADED', detail: 'shutdown.timeout is over' },
      ...fields,
    })
  })
})

// Without a listener the signal would end it by itself, but not as process 1 of a container, to whom the kernel gives no such signal.
test.each([1, 2])('one that comes during the start is obeyed then, and nothing was cut off (%i)', async (workers) => {
  const begun = join(temporaryFolder(), 'begun')
  // The gateway is not ready before its plugin is.
  const module = temporaryFile(
    'plugin.mjs',
    `import { writeFileSync } from 'node:fs'
    writeFileSync(${JSON.stringify(begun)}, '')
    setInterval(() => {}, 1000)
    await new Promise(() => {})`,
  )
  const gateway = spawnGateway({ config: scene.config({ workers, method_plugins: [{ name: 'slow', module }] }) })
  await waitFor('the plugin to start', () => existsSync(begun))
  gateway.child.process.kill('SIGTERM')
  expect(await within(15, 'the end', gateway.child.exited)).toMatchObject({ status: 0, signal: null })
})

test.each(['SIGINT', 'SIGQUIT'] as const)('%s does the same', async (signal) => {
  const gateway = await scene.start()
  expect(await within(15, 'the end', gateway.stop(signal))).toMatchObject({ status: 0 })
})

test('a reload while it drains does not make it ready again', async () => {
  const gateway = await scene.start({ shutdown: { delay: '2s', timeout: '5s' } })
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

test('workers that drain are not replaced, and nothing says so', async () => {
  let answer: ServerResponse | undefined
  scene.backend.respond = (_request, response) => {
    answer = response
  }
  const gateway = await scene.start({ workers: 2 })
  const waiting = gateway.get('/')
  await scene.backend.request('the request', () => true)
  gateway.child.process.kill('SIGTERM')
  await waitFor('readiness to fail', async () => (await gateway.getAdmin('/readyz')).status === 503)
  gateway.child.process.kill('SIGUSR2')
  // The next signal is heard after this one.
  gateway.child.process.kill('SIGUSR1')
  await waitFor('the next signal to be heard', () => gateway.log.some(({ msg }) => msg?.startsWith('SIGUSR1')))
  answer?.end()
  expect(await waiting).toMatchObject({ status: 200 })
  expect(await within(15, 'the end', gateway.child.exited)).toMatchObject({ status: 0 })
  expect(gateway.log.map(({ msg }) => msg)).not.toContain('all workers were replaced')
})

describe('a kept connection with a request in flight', () => {
  const bytes = 'GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n'

  async function inFlight(gateway: Gateway, port = gateway.port): Promise<[RawConnection, ServerResponse]> {
    let answer: ServerResponse | undefined
    scene.backend.respond = (_request, response) => {
      answer = response
    }
    const client = await openRaw(port)
    client.write(bytes)
    return [client, await waitFor('the request', () => answer)]
  }

  test('says close where its answer had not begun, and ends with it', async () => {
    const gateway = await scene.start()
    const [client, answer] = await inFlight(gateway)
    gateway.child.process.kill('SIGTERM')
    await gateway.logged({ msg: 'draining' })
    await pause(200)
    answer.end('whole')
    const [received] = await within(15, 'the end of the connection', client.untilClosed())
    expect(received).toMatchObject({ status: 200, body: 'whole' })
    expect(received?.headers).toContainEqual(['connection', 'close'])
    expect(await within(15, 'the end', gateway.child.exited)).toMatchObject({ status: 0 })
  })

  test('ends after its answer where that had begun', async () => {
    const gateway = await scene.start()
    const [client, answer] = await inFlight(gateway)
    answer.writeHead(200, { 'content-length': 10 }).write('first')
    await waitFor('the beginning', () => client.received.endsWith('first'))
    gateway.child.process.kill('SIGTERM')
    await gateway.logged({ msg: 'draining' })
    await pause(200)
    answer.end(' last')
    expect(await within(15, 'the end', gateway.child.exited)).toMatchObject({ status: 0 })
    expect((await client.untilClosed())[0]).toMatchObject({ status: 200, body: 'first last' })
  })

  test('the same where a reload takes its listener away, and a slow head does not keep such a connection', async () => {
    const [kept, removed] = [await freePort(), await freePort()]
    const config = (...ports: number[]) =>
      scene.config({ listeners: ports.map((port) => ({ listen: `127.0.0.1:${port}`, servers: [scene.server()] })) })
    const gateway = await scene.start(config(kept, removed))
    const [client, answer] = await inFlight(gateway, removed)
    const slow = await openRaw(removed)
    slow.write('GET / HTTP/1.1\r\n')
    await gateway.reload(config(kept))
    answer.end('whole')
    expect((await within(15, 'the end of the connection', client.untilClosed()))[0]).toMatchObject({ body: 'whole' })
    await within(15, 'the end of the slow connection', slow.closed)
  })
})

test('a reload that is under way ends before the drain begins', async () => {
  const [before, after] = [await freePort(), await freePort()]
  const config = (port: number) =>
    // The name has to be looked up first, so that the reload takes a while.
    scene.config({ listeners: [{ listen: `localhost:${port}`, servers: [scene.server()] }] })
  const gateway = await scene.start(config(before))
  writeFileSync(gateway.configFile as string, JSON.stringify(config(after)))
  gateway.child.process.kill('SIGHUP')
  gateway.child.process.kill('SIGTERM')
  expect(await within(15, 'the end', gateway.child.exited)).toMatchObject({ status: 0 })
  const messages = gateway.log.map(({ msg }) => msg)
  expect(messages.slice(messages.indexOf('draining'))).toEqual(['draining', 'stopped'])
})

test('a reload that waits for a plugin holds up no stop, and takes nothing into use any more', async () => {
  const [before, after] = [await freePort(), await freePort()]
  const started = temporaryFile('started', '')
  const slow = `(await import('node:fs')).writeFileSync(${JSON.stringify(started)}, 'yes'); await new Promise((done) => setTimeout(done, 60_000))`
  const config = (port: number) =>
    scene.config({ listeners: [{ listen: `127.0.0.1:${port}`, servers: [scene.server()] }] })
  const gateway = await scene.start(config(before))
  const module = temporaryFile('slow.mjs', `${slow}\nexport const authenticate = () => {}`)
  const plugged = { ...config(after), method_plugins: [{ name: 'slow', module, timeout: '30s' }] }
  writeFileSync(gateway.configFile as string, JSON.stringify(plugged))
  gateway.child.process.kill('SIGHUP')
  await waitFor('the plugin to start', () => readFileSync(started, 'utf8') === 'yes')
  gateway.child.process.kill('SIGTERM')
  expect(await within(15, 'the end', gateway.child.exited)).toMatchObject({ status: 0 })
  expect(gateway.log.map(({ msg }) => msg)).not.toContain('reloaded')
})
