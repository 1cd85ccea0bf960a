import type { ServerResponse } from 'node:http'
import { beforeAll, expect, test } from '@jest/globals'
import { makeScene, type Scene } from '../support/scene.ts'
import { within } from '../support/wait.ts'

let scene: Scene
beforeAll(async () => {
  scene = await makeScene()
})

test('each event arrives before the next one is sent', async () => {
  let stream: ServerResponse | undefined
  scene.backend.respond = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('data: 1\n\n')
    stream = response
  }
  const gateway = await scene.start()
  const response = await gateway.begin('/')
  response.setEncoding('utf8')
  const events = response[Symbol.asyncIterator]()
  for (let i = 1; i <= 5; i++) {
    const { value } = await within(5, `event ${i}`, events.next())
    expect(value).toBe(`data: ${i}\n\n`)
    if (i < 5) stream?.write(`data: ${i + 1}\n\n`)
  }
  stream?.end()
  expect((await events.next()).done).toBe(true)
})

test('the head of an answer arrives before its body begins', async () => {
  scene.backend.respond = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.flushHeaders()
  }
  const gateway = await scene.start()
  const response = await gateway.begin('/')
  expect(response.statusCode).toBe(200)
  response.destroy()
})
