import type { ServerResponse } from 'node:http'
import { Agent } from 'node:https'
import { beforeAll, expect, test } from '@jest/globals'
import { Load } from '../support/load.ts'
import { makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
beforeAll(async () => {
  scene = await makeScene()
})

test('a request in flight finishes with the configuration that it began with', async () => {
  let answer: ServerResponse | undefined
  scene.backend.respond = (_request, response) => {
    answer = response
  }
  const gateway = await scene.start()
  const waiting = gateway.get('/slow')
  await scene.backend.request('the request', ({ target }) => target === '/slow')
  await gateway.reload(
    scene.config({ services: [{ name: 'api', url: scene.backend.url, routes: [{ name: 'n', paths: ['/new'] }] }] }),
  )
  expect((await gateway.get('/slow')).status).toBe(404)
  answer?.end('still here')
  expect(await waiting).toMatchObject({ status: 200, text: 'still here' })
})

test('the next request on an open connection already meets the new configuration', async () => {
  scene.backend.reset()
  const gateway = await scene.start()
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const first = await gateway.begin('/old', { agent })
  const { socket } = first
  first.resume()
  await new Promise((resolve) => first.once('end', resolve))
  await gateway.reload(
    scene.config({ services: [{ name: 'api', url: scene.backend.url, routes: [{ name: 'n', paths: ['/new'] }] }] }),
  )
  const second = await gateway.begin('/old', { agent })
  expect(second.socket).toBe(socket)
  expect(second.statusCode).toBe(404)
  second.resume()
  agent.destroy()
})

test('not one of many requests fails while the gateway reloads again and again, on new connections and on kept ones', async () => {
  scene.backend.reset()
  const gateway = await scene.start()
  const load = new Load(gateway, scene.ada)
  for (let i = 0; i < 5; i++) {
    await gateway.reload(scene.config({ identity_headers: { VERIFIED: 'verify', [`X-${i}`]: 'subject_dn' } }))
    await load.goesOn()
  }
  await load.stop()
  expect(load.failures).toEqual([])
})
