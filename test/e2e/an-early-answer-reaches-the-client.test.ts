import { beforeAll, beforeEach, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

let scene: Scene
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene({ readsBodies: false })
  gateway = await scene.start()
})

beforeEach(() => scene.backend.reset())

test('while it still sends', async () => {
  scene.backend.respond = (_request, response) => response.writeHead(409).end('enough')
  const connection = await gateway.open()
  connection.write('POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nthe first of many')
  const [answer] = await connection.answers(1)
  expect(answer).toMatchObject({ status: 409, body: 'enough' })
  connection.destroy()
})

test('and what it still sends is not taken for the next request', async () => {
  scene.backend.respond = (_request, response) => response.writeHead(409).end('enough')
  const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n'
  const connection = await gateway.open()
  connection.write(`POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${smuggled.length + 6}\r\n\r\n0`)
  await connection.answers(1)
  connection.write(`${smuggled}12345`)
  await waitFor('an end or silence', () => connection.isClosed || connection.received.length > 0)
  expect((await gateway.get('/after')).status).toBe(409)
  expect(scene.backend.seen.map(({ target }) => target)).not.toContain('/smuggled')
  connection.destroy()
})

test('the upstream connection with half a request is not used again', async () => {
  scene.backend.respond = (_request, response) => response.writeHead(409).end('enough')
  const connection = await gateway.open()
  connection.write('POST /half HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nhalf')
  await connection.answers(1)
  const half = scene.backend.last.connection
  expect((await gateway.get('/after')).status).toBe(409)
  expect(scene.backend.last.connection).not.toBe(half)
  connection.destroy()
})

test('a backend that answers and hangs up while the body still comes', async () => {
  scene.backend.respond = (request, response) => {
    response.writeHead(413, { connection: 'close' })
    request.resume()
    response.end('too much', () => request.socket.end())
  }
  const connection = await gateway.open()
  connection.write('POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n')
  connection.write('x'.repeat(300_000))
  const [answer] = await connection.answers(1)
  // A backend that hangs up on unread bytes makes its kernel reset the connection, which may overtake its answer.
  expect([413, 502]).toContain(answer?.status)
  expect((await gateway.get('/after')).status).toBe(413)
  connection.destroy()
})

test.each(['zz\r\nno chunk', '5\r\nmore than five'])(
  'it is the only one, whatever follows in the body: %j',
  async (rest) => {
    scene.backend.respond = (_request, response) => response.writeHead(409).end('enough')
    const connection = await gateway.open()
    connection.write('POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
    await connection.answers(1)
    connection.write(rest)
    expect((await connection.untilClosed()).map(({ status }) => status)).toEqual([409])
  },
)

test('a client that leaves with it, in the middle of its body, is no malformed request in the log', async () => {
  scene.backend.respond = (_request, response) => response.writeHead(409).end('enough')
  const connection = await gateway.open()
  connection.write('POST /left HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
  await connection.answers(1)
  const { connection_id } = await gateway.logged({ path: '/left' })
  connection.socket.end()
  expect((await connection.untilClosed()).map(({ status }) => status)).toEqual([409])
  expect(gateway.log.filter((line) => line.connection_id === connection_id)).toHaveLength(1)
})
