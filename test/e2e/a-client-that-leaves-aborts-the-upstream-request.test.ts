import { beforeAll, beforeEach, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

let scene: Scene
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  gateway = await scene.start()
})

beforeEach(() => scene.backend.reset())

test('while it waits for the answer', async () => {
  scene.backend.respond = () => {}
  const connection = await gateway.open()
  connection.write('GET /waiting HTTP/1.1\r\nHost: localhost\r\n\r\n')
  const seen = await scene.backend.request('the request', ({ target }) => target === '/waiting')
  connection.destroy()
  await waitFor('the abort', () => seen.aborted)
  expect(await gateway.logged({ status: 499 })).toMatchObject({ code: 'GW_CLIENT_CLOSED' })
})

test('while the answer comes', async () => {
  scene.backend.respond = (_request, response) => {
    response.writeHead(200)
    response.write('the first of many')
  }
  const connection = await gateway.open()
  connection.write('GET /reading HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await waitFor('the beginning', () => connection.received.includes('first of many'))
  connection.destroy()
  await waitFor('the abort', () => scene.backend.last.aborted)
})

test('while it sends its body', async () => {
  const connection = await gateway.open()
  connection.write('POST /sending HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf')
  const seen = await scene.backend.request('the request', ({ target }) => target === '/sending')
  await waitFor('the first bytes', () => seen.bytes === 4)
  connection.destroy()
  await waitFor('the abort', () => seen.aborted)
  expect(seen.complete).toBe(false)
})

test('a chunked body that is cut off never looks complete to the backend', async () => {
  const connection = await gateway.open()
  connection.write('POST /chunked HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n')
  const seen = await scene.backend.request('the request', ({ target }) => target === '/chunked')
  await waitFor('the first bytes', () => seen.bytes === 4)
  connection.socket.end()
  await waitFor('the abort', () => seen.aborted)
  expect(seen.complete).toBe(false)
})
