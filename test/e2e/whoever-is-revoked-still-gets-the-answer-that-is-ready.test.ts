import { beforeAll, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import type { Issued } from '../support/pki.ts'
import type { RawConnection } from '../support/raw.ts'
import { type GatewayConfig, listenerOf, makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

/** So many that at any time some of their answers wait to be written with others. */
const CLIENTS = 100
const ROUNDS = 3

let scene: Scene
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  scene.backend.respond = (request, response) => {
    if (request.url !== '/long-poll') response.end(request.url)
  }
  gateway = await scene.start(withRevoked([]))
})

function withRevoked(revoked: readonly Issued[]): GatewayConfig {
  return scene.config(listenerOf(scene.server({ ssl_crl: scene.clients.crl(revoked) })))
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`

/** Asks again as soon as it is answered, until it is refused or its connection ends. */
async function insist(client: RawConnection, name: string): Promise<void> {
  let asked = 0
  const next = () => client.write(get(`/${name}/${++asked}`))
  client.socket.on('data', (chunk: Buffer) => {
    if (chunk.toString('latin1').endsWith(`/${name}/${asked}`)) next()
  })
  next()
  await client.closed
}

test('every request that is logged as answered was answered', async () => {
  const ada = await gateway.open({ as: scene.ada })
  // As long as this one is owed an answer, those that are ready wait for a turn or two.
  ada.write(get('/long-poll'))
  await scene.backend.request('the long poll', ({ target }) => target === '/long-poll')
  const revoked: Issued[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const bob = scene.clients.client(`bob${round}`)
    revoked.push(bob)
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => gateway.open({ as: bob })))
    const ends = clients.map((client, i) => insist(client, `${round}-${i}`))
    await waitFor('all of them to be busy', () => clients.every(({ received }) => received.split('HTTP').length > 3))
    expect((await gateway.reload(withRevoked(revoked))).msg).toBe('reloaded')
    await Promise.all(ends)
    const answered = gateway.log.filter(({ path, status }) => status === 200 && String(path).startsWith(`/${round}-`))
    const received = clients.map((client) => client.received).join('')
    expect(answered.filter(({ path }) => !received.includes(`\r\n\r\n${path}`))).toEqual([])
  }
  ada.destroy()
})
