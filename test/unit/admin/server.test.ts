import { request as httpRequest, type IncomingMessage, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { buffer, text } from 'node:stream/consumers'
import { afterEach, expect, jest, test } from '@jest/globals'
import { type AdminOptions, createAdminServer } from '../../../src/admin/server.ts'

let server: Server | undefined

afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

const OPTIONS: AdminOptions = {
  metrics: { contentType: 'text/plain; version=0.0.4', text: async () => 'up 1\n' },
  ready: () => ({ ready: true, reasons: [] }),
}

async function started(options: Partial<AdminOptions> = {}, host = '127.0.0.1'): Promise<number> {
  const listening = createAdminServer({ ...OPTIONS, ...options })
  server = listening
  await new Promise<void>((resolve) => listening.listen(0, host, resolve))
  return (listening.address() as AddressInfo).port
}

interface Answer {
  readonly status: number | undefined
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

function ask(port: number, path: string, method = 'GET', headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ port, host: '127.0.0.1', path, method, headers }, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode, headers: response.headers, body }), reject)
    })
    sent.on('error', reject)
    sent.end()
  })
}

test('/healthz answers 200 while the process lives, ready or not', async () => {
  const port = await started({ ready: () => ({ ready: false, reasons: ['draining'] }) })
  expect(await ask(port, '/healthz')).toMatchObject({ status: 200, body: '{"status":"ok"}\n' })
  expect(await ask(port, '/healthz?x=1', 'HEAD')).toMatchObject({ status: 200, body: '' })
})

test('/readyz answers 503 with the reasons as soon as the gateway should get no more requests', async () => {
  let reasons: string[] = []
  const port = await started({ ready: () => ({ ready: reasons.length === 0, reasons }) })
  expect(await ask(port, '/readyz')).toMatchObject({ status: 200, body: '{"status":"ready","reasons":[]}\n' })
  reasons = ['draining']
  expect(await ask(port, '/readyz')).toMatchObject({
    status: 503,
    body: '{"status":"not ready","reasons":["draining"]}\n',
  })
})

test('/metrics answers in the registry’s own type', async () => {
  const { status, headers, body } = await ask(await started(), '/metrics')
  expect({ status, type: headers['content-type'], body }).toEqual({
    status: 200,
    type: 'text/plain; version=0.0.4',
    body: 'up 1\n',
  })
})

test('any other path is told which there are', async () => {
  const port = await started()
  for (const path of ['/', '/healthz/', '/constructor', '//metrics', '*']) {
    const { status, body } = await ask(port, path)
    expect(status).toBe(404)
    expect(Object.keys(JSON.parse(body).endpoints)).toEqual(['/healthz', '/readyz', '/metrics'])
  }
})

test.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])('%s is not allowed', async (method) => {
  expect(await ask(await started(), '/readyz', method)).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } })
})

test('on loopback a page that points its own name here learns nothing (DNS rebinding)', async () => {
  const port = await started()
  for (const host of ['evil.test', `evil.test:${port}`, 'localhost.evil.test', '127.0.0.1.evil.test', '[evil]']) {
    const { status, body } = await ask(port, '/metrics', 'GET', { host })
    expect({ host, status }).toEqual({ host, status: 403 })
    expect(body).not.toContain('up 1')
  }
  for (const host of ['localhost', `LOCALHOST:${port}`, '127.0.0.1', '[::1]:1']) {
    expect({ host, ...(await ask(port, '/metrics', 'GET', { host })) }).toMatchObject({ host, status: 200 })
  }
})

test('on other addresses any name may be used, as scrapers do', async () => {
  const port = await started({}, '0.0.0.0')
  expect(await ask(port, '/metrics', 'GET', { host: 'gateway.monitoring.svc' })).toMatchObject({ status: 200 })
})

test('a failure is a 500 that tells nothing; the process lives on', async () => {
  const failures: unknown[] = []
  const error = new Error('secret')
  const port = await started({
    metrics: { contentType: 'text/plain', text: () => Promise.reject(error) },
    failed: (caught) => failures.push(caught),
    ready: () => {
      throw error
    },
  })
  for (const path of ['/metrics', '/readyz']) {
    const { status, body } = await ask(port, path)
    expect(status).toBe(500)
    expect(body).not.toContain('secret')
  }
  expect(failures).toEqual([error, error])
  expect(await ask(port, '/healthz')).toMatchObject({ status: 200 })
})

test('bytes that are no HTTP and headers that are too large end the connection, not the process', async () => {
  const port = await started()
  for (const bytes of [
    '\x16\x03\x01garbage\r\n\r\n',
    `GET /healthz HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(10_000)}\r\n\r\n`,
  ]) {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 4/)
  }
  expect(await ask(port, '/healthz')).toMatchObject({ status: 200 })
})

function opened(port: number, bytes: string): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes, () => resolve(socket)))
    socket.on('error', () => {})
  })
}

/** Once those that are ending have ended. */
async function connections(): Promise<number> {
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
  return new Promise((resolve) => server?.getConnections((_error, count) => resolve(count)))
}

const closed = (socket: Socket) => new Promise<void>((resolve) => socket.resume().once('close', () => resolve()))

test('connections that only wait keep no probe out: whoever came first makes room', async () => {
  const port = await started()
  const first = await opened(port, 'GET /metrics HTTP/1.1\r\nHost: local')
  const gone = closed(first)
  const others = await Promise.all(
    Array.from({ length: 150 }, () => opened(port, 'GET /metrics HTTP/1.1\r\nHost: local')),
  )
  expect(await ask(port, '/healthz')).toMatchObject({ status: 200 })
  await gone
  for (const socket of others) socket.destroy()
})

test('nobody stays, however slow he reads', async () => {
  jest.useFakeTimers({
    doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask', 'performance', 'Date', 'setInterval'],
  })
  try {
    const metrics = { contentType: 'text/plain', text: async () => 'x'.repeat(20_000_000) }
    const port = await started({ metrics })
    const slow = (await opened(port, 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n')).pause()
    await ask(port, '/healthz')
    expect(await connections()).toBe(1)
    jest.advanceTimersByTime(10_000)
    expect(await connections()).toBe(0)
    slow.destroy()
  } finally {
    jest.useRealTimers()
  }
})

test('one connection asks for the metrics once, however often it asks; and a crowd no more often than they can be made', async () => {
  let made = 0
  const crowd = Promise.withResolvers<void>()
  const metrics = {
    contentType: 'text/plain',
    text: async () => {
      made += 1
      await crowd.promise
      return 'up 1\n'
    },
  }
  const port = await started({ metrics })
  const pipelined = 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(100)
  const sockets = await Promise.all(Array.from({ length: 20 }, () => opened(port, pipelined)))
  const answered = sockets.map((socket) => text(socket))
  await ask(port, '/healthz')
  crowd.resolve()
  const answers = await Promise.all(answered)
  for (const answer of answers) expect(answer).toMatch(/^HTTP\/1\.1 200 /)
  expect(answers.join('').split('up 1')).toHaveLength(21)
  expect(made).toBeLessThan(10)
})

test('a crowd that does not read gets the same bytes: megabytes of metrics are held once', async () => {
  const size = 8_000_000
  const asked = Promise.withResolvers<string>()
  const port = await started({ metrics: { contentType: 'text/plain', text: () => asked.promise } })
  const before = process.memoryUsage().arrayBuffers
  const opening = Array.from({ length: 50 }, () => opened(port, 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n'))
  const crowd = (await Promise.all(opening)).map((socket) => socket.pause())
  await ask(port, '/healthz')
  asked.resolve('x'.repeat(size))
  expect(await connections()).toBe(50)
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(25 * size)
  for (const socket of crowd) socket.destroy()
})

test('slow readers who come one after the other hold a few texts, and the oldest make room; who has left holds none', async () => {
  const size = 8_000_000
  let made: (() => void) | undefined
  const text = () => new Promise<string>((resolve) => (made = () => resolve('x'.repeat(size))))
  const port = await started({ metrics: { contentType: 'text/plain', text } })
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  const ask = async () => {
    made = undefined
    const socket = await opened(port, 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n')
    while (!made) await turn()
    return socket.pause()
  }
  for (let i = 0; i < 8; i++) {
    const socket = await ask()
    socket.destroy()
    while ((await connections()) > 0) await turn()
    made?.()
  }
  const slow: Socket[] = []
  for (let i = 0; i < 8; i++) {
    slow.push(await ask())
    made?.()
    await turn()
  }
  const lengths = await Promise.all(slow.map(async (socket) => (await buffer(socket)).length))
  expect(lengths.map((length) => length > size)).toEqual([false, false, false, false, true, true, true, true])
})
