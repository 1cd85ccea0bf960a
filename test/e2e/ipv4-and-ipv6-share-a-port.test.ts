import { beforeAll, expect, test } from '@jest/globals'
import { ask } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
beforeAll(async () => {
  scene = await makeScene()
})

const BOTH = ['127.0.0.1', '::1']

test.each([1, 2])("nginx's pair, 0.0.0.0 and [::] on one port, is two listeners (workers: %i)", async (workers) => {
  const port = await freePort()
  const servers = [scene.server()]
  const listeners = [
    { listen: `[::]:${port}`, servers },
    { listen: `0.0.0.0:${port}`, servers },
  ]
  const gateway = await scene.start({ listeners, workers })
  for (const address of BOTH) {
    const answer = await ask(port, '/', { address, as: scene.ada })
    expect(answer.status).toBe(200)
    expect(await gateway.line(answer)).toMatchObject({ remote_addr: address, verify: 'SUCCESS' })
  }
})

test('[::] alone takes IPv4 too, whose clients are called by their addresses as everywhere', async () => {
  const gateway = await scene.start({ listeners: [{ listen: '[::]:0', servers: [scene.server()] }] })
  for (const address of BOTH) {
    expect(await gateway.line(await ask(gateway.port, '/', { address }))).toMatchObject({ remote_addr: address })
    expect(scene.backend.last.header('X-Real-IP')).toEqual([address])
  }
})
