import { beforeAll, beforeEach, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  gateway = await scene.start({
    listeners: [
      { listen: '127.0.0.1:0', client_max_body_size: '1k', servers: [scene.server({ ssl_verify_client: 'on' })] },
    ],
  })
})

beforeEach(() => scene.backend.reset())

const head = (lines: string) => `POST / HTTP/1.1\r\nHost: localhost\r\n${lines}\r\n`

test('the client is told to go on, and then gets its answer', async () => {
  const connection = await gateway.open({ as: scene.ada })
  connection.write(head('Content-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n'))
  const [interim] = await connection.answers(1)
  expect(interim?.status).toBe(100)
  const answers = await connection.write('hello').untilClosed()
  expect(answers.map(({ status }) => status)).toEqual([100, 200])
  expect(scene.backend.last.body.toString()).toBe('hello')
})

test('a client that does not wait is served all the same', async () => {
  const bytes = `${head('Content-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n')}hello`
  const answers = await gateway.talk(bytes, { as: scene.ada })
  expect(answers.at(-1)?.status).toBe(200)
})

test('a request that is refused is refused before its body is sent', async () => {
  const connection = await gateway.open()
  connection.write(head('Content-Length: 5\r\nExpect: 100-continue\r\n'))
  const [answer] = await connection.answers(1)
  expect(answer?.status).toBe(400)
  connection.destroy()
  expect(scene.backend.seen).toEqual([])
})

test('a body that is too large is refused before it is sent', async () => {
  const connection = await gateway.open({ as: scene.ada })
  connection.write(head('Content-Length: 5000\r\nExpect: 100-continue\r\n'))
  const [answer] = await connection.answers(1)
  expect(answer?.status).toBe(413)
  connection.destroy()
})

test('any other expectation gets 417', async () => {
  const [answer] = await gateway.talk(head('Content-Length: 0\r\nExpect: a-miracle\r\n'), { as: scene.ada })
  expect(answer?.status).toBe(417)
  expect(scene.backend.seen).toEqual([])
})
