import { type AddressInfo, createServer, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { json } from '../support/client.ts'
import type { Gateway } from '../support/gateway.ts'
import { sClient } from '../support/openssl.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor, within } from '../support/wait.ts'

let scene: Scene
let gateway: Gateway
const silent = createServer((socket) => held.push(socket.on('error', () => {})))
const held: Socket[] = []

beforeAll(async () => {
  scene = await makeScene()
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  const { port } = silent.address() as AddressInfo
  const { url } = scene.backend
  gateway = await scene.start({
    listeners: [
      {
        listen: '127.0.0.1:0',
        client_header_timeout: '1s',
        client_body_timeout: '1s',
        handshake_timeout: '3s',
        keepalive_timeout: '1s',
        servers: [scene.server()],
      },
    ],
    services: [
      { name: 'slow', url, retries: 0, read_timeout: 500, routes: [{ name: 'slow', paths: ['/slow'] }] },
      {
        name: 'silent',
        url: `https://localhost:${port}`,
        retries: 0,
        connect_timeout: 500,
        routes: [{ name: 'silent', paths: ['/silent'] }],
      },
    ],
  })
})

afterAll(() => {
  for (const socket of held) socket.destroy()
  silent.close()
})

describe('the upstream', () => {
  test('on whose WebSocket nothing passes: it ends after read_timeout', async () => {
    scene.backend.upgrade = (_request, socket) =>
      void socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    const client = await gateway.open()
    client.write('GET /slow/ HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    await waitFor('the upgrade', () => client.received.includes(' 101 '))
    await within(10, 'the end', client.closed)
  })

  test('that never answers: 504 after read_timeout', async () => {
    scene.backend.respond = () => {}
    const answer = await gateway.get('/slow/')
    expect(answer.status).toBe(504)
    expect(json(answer)).toMatchObject({ code: 'GW_UPSTREAM_TIMEOUT', message: 'Gateway Time-out' })
    await waitFor('the abort at the upstream', () => scene.backend.last.aborted)
  })
  test('that never finishes the TLS handshake: 504 after connect_timeout', async () => {
    const answer = await gateway.get('/silent/')
    expect(answer.status).toBe(504)
    expect(await gateway.line(answer)).toMatchObject({ code: 'GW_UPSTREAM_TIMEOUT', service: 'silent' })
  })
  test('that stops in the middle of its answer: the client sees that it was cut off', async () => {
    scene.backend.respond = (_request, response) => {
      response.writeHead(200)
      response.write('the first of many')
    }
    await expect(gateway.get('/slow/')).rejects.toThrow(/aborted|hang up|ECONNRESET/)
  })
})

describe('the client', () => {
  test('that never ends its header: 408', async () => {
    const connection = await gateway.open()
    const answers = await connection.write('GET / HTTP/1.1\r\nHost: localhost\r\nX: ').untilClosed()
    expect(answers).toMatchObject([{ status: 408 }])
    expect(JSON.parse(answers[0]?.body ?? '')).toMatchObject({ code: 'GW_REQUEST_TIMEOUT' })
  })
  test('that trickles its header: 408 all the same', async () => {
    const connection = await gateway.open()
    connection.write('GET / HTTP/1.1\r\nHost: localhost\r\n')
    const trickle = setInterval(() => connection.write('X: y\r\n'), 200)
    const answers = await connection.untilClosed().finally(() => clearInterval(trickle))
    expect(answers[0]?.status).toBe(408)
  })
  test('that stops in the middle of its body: 408', async () => {
    scene.backend.reset()
    const connection = await gateway.open()
    const answers = await connection
      .write('POST /slow/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf')
      .untilClosed()
    expect([408, 504]).toContain(answers[0]?.status)
  })
  test.each(['Content-Length: 10', 'Connection: keep-alive\r\nContent-Length: 10', 'Transfer-Encoding: chunked'])(
    'that stops within a body that was answered before its end is closed: %j',
    async (framing) => {
      const connection = await gateway.open()
      const answers = await connection
        .write(`POST /nowhere HTTP/1.1\r\nHost: localhost\r\n${framing}\r\n\r\n5\r\nh`)
        .untilClosed()
      expect(answers.map(({ status }) => status)).toEqual([404])
    },
  )
  test('that says nothing after the handshake is closed', async () => {
    const connection = await gateway.open()
    await connection.untilClosed()
  })
  test('that does not shake hands is closed, and the log has a line', async () => {
    const connection = await gateway.open({ plain: true })
    await connection.untilClosed()
    expect(await gateway.logged({ msg: 'handshake failed' })).toHaveProperty('remote_addr', '127.0.0.1')
  })
  test('that keeps an idle connection loses it after keepalive_timeout', async () => {
    scene.backend.reset()
    const connection = await gateway.open()
    await connection.write('GET /slow/ HTTP/1.1\r\nHost: localhost\r\n\r\n').answers(1)
    await connection.untilClosed()
    expect(connection.received.match(/HTTP\/1\.1/g)).toHaveLength(1)
  })
  test.each([
    ['tls1_2', 'GET /slow/ HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    ['tls1_3', 'GET /slow/ HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    // Served by node:http.
    ['tls1_3', 'POST /slow/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ] as const)('whose connection was idle over %s gets the end that TLS demands: %j', async (tls, request) => {
    scene.backend.reset()
    const { answers, output } = await sClient({ port: gateway.port, tls, servername: 'localhost', request })
    expect(answers[0]?.status).toBe(200)
    // What s_client says to a close_notify. Without one it reports an error.
    expect(output).toMatch(/closed\n$/)
  })
})
