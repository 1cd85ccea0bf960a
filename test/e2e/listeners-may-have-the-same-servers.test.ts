import { expect, test } from '@jest/globals'
import { ask } from '../support/client.ts'
import { makeScene } from '../support/scene.ts'

test('two listeners with the same servers serve both', async () => {
  const scene = await makeScene()
  const servers = [scene.server({ ssl_verify_client: 'on' })]
  const gateway = await scene.start({
    listeners: [
      { listen: '127.0.0.1:0', servers },
      { listen: '127.0.0.2:0', servers },
    ],
  })
  const ports = gateway.log.filter(({ kind }) => kind === 'https').map(({ port }) => port as number)
  expect(ports).toHaveLength(2)
  for (const [i, port] of ports.entries()) {
    for (const tls of ['TLSv1.2', 'TLSv1.3'] as const) {
      const address = `127.0.0.${i + 1}`
      expect((await ask(port, '/', { as: scene.ada, tls, address })).status).toBe(200)
    }
  }
})
