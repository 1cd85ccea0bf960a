// The limit of open files is shared out: whoever was let in is served, a reload finds room, and whoever was not let in is told of in the log.
import { execFileSync } from 'node:child_process'
import { connect } from 'node:net'
import { beforeAll, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import type { RawConnection } from '../support/raw.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

const LIMIT = 256
/** What of it is left beside the rest, halved: one connection to an upstream for each client. */
const ROOM = 64
const REQUEST = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'

let scene: Scene

beforeAll(async () => {
  scene = await makeScene()
})

/** Clients, until `count` are in. */
async function letIn(gateway: Gateway, count: number): Promise<RawConnection[]> {
  const clients: RawConnection[] = []
  await waitFor(`${count} clients`, async () => {
    const client = await gateway.open().catch(() => undefined)
    if (client) clients.push(client)
    return clients.length === count
  })
  return clients
}

/** Whether a client is turned away before TLS. */
function isTurnedAway(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {}).once('close', () => resolve(true))
    socket.setTimeout(20_000, () => {
      resolve(false)
      socket.destroy()
    })
    socket.resume()
  })
}

test.each([1, 2])(
  '%i processes: all who are in are served at once, the others are refused, a reload works',
  async (workers) => {
    const { backend } = scene
    const gateway = await scene.start({ workers }, { openFiles: LIMIT })
    const warning = gateway.log.find(({ setting }) => setting === 'listeners[0].max_connections')
    expect(warning).toMatchObject({ level: 'warn' })
    expect(JSON.stringify(warning)).toMatch(/limit of open files .*, 256: it accepts no more than 64, .*ulimit -n/)

    const clients = await letIn(gateway, ROOM * workers)
    const turnedAway = await Promise.all(Array.from({ length: 2 * workers }, () => isTurnedAway(gateway.port)))
    expect(turnedAway).toEqual(turnedAway.map(() => true))
    await gateway.logged({ msg: 'connections refused', reason: 'open_files' })

    // All of them are answered together.
    const held: (() => void)[] = []
    backend.respond = (_request, response) => {
      held.push(() => response.end('late'))
      if (held.length === clients.length) for (const answer of held) answer()
    }
    for (const client of clients) client.write(REQUEST)
    const statuses = await Promise.all(clients.map(async (client) => (await client.answers(1))[0]?.status))
    expect(statuses).toEqual(clients.map(() => 200))
    backend.reset()

    expect(await gateway.reload()).toMatchObject({ msg: 'reloaded' })
    expect((await gateway.getAdmin('/metrics')).text).toMatch(
      /^sallyport_connections_refused_total\{limit="open_files"\} [1-9]/m,
    )
    for (const client of clients) client.destroy()
    await waitFor('a free place', async () => (await gateway.get('/').catch(() => undefined))?.status === 200)
  },
)

test('that no descriptor is left is told, and passes', async () => {
  // By its address: a name cannot be looked up then, and that looks like any other that is not found.
  const url = `https://127.0.0.1:${scene.backend.port}`
  const routes = [{ name: 'everything', paths: ['/'] }]
  const services = [{ name: 'api', url, proxy_ssl_name: 'localhost', routes }]
  const gateway = await scene.start({ services }, { openFiles: LIMIT })
  const limitTo = (soft: number) => execFileSync('prlimit', [`--pid=${gateway.child.pid}`, `--nofile=${soft}:${LIMIT}`])
  const client = await gateway.open()
  limitTo(10)
  await gateway.logged({
    msg: 'too many open files: new connections are closed, and no file can be read',
    code: 'EMFILE',
  })
  // No upstream can be connected to; that is the gateway's fault and no upstream's.
  const [answer] = await client.write(REQUEST).answers(1)
  expect(answer?.status).toBe(503)
  expect(answer?.body).toContain('GW_OVERLOADED')
  expect(String((await gateway.reload()).msg)).toMatch(/^reload refused/)
  limitTo(LIMIT)
  expect((await gateway.get('/')).status).toBe(200)
  expect((await gateway.getAdmin('/metrics')).text).toMatch(/^sallyport_open_files_exhausted_total [1-9]/m)
  client.destroy()
})
