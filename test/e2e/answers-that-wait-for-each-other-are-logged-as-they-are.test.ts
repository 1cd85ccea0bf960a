import { beforeAll, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { type RawBackend, startRawBackend } from '../support/raw-backend.ts'
import { makeScene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

const LONG_POLL = '/long-poll'

let upstream: RawBackend
let gateway: Gateway

beforeAll(async () => {
  const scene = await makeScene()
  upstream = await startRawBackend(scene.inside.server('localhost'))
  gateway = await scene.start({
    listeners: [{ listen: '127.0.0.1:0', servers: [scene.server()] }],
    services: [{ name: 'api', url: upstream.url, routes: [{ name: 'all', paths: ['/'] }] }],
  })
})

test('each with its own bytes', async () => {
  let waits = false
  /** As many bytes as the path says, and none for the long poll: beside it, answers that are ready wait for a turn or two. */
  upstream.onBytes = (connection) => {
    const [, path] = /^GET (\S+) .*\r\n\r\n$/s.exec(connection.received) ?? []
    if (path === undefined) return
    connection.received = ''
    if (path === LONG_POLL) waits = true
    else
      connection.write(
        `HTTP/1.1 200 OK\r\nContent-Length: ${path.slice(1)}\r\n\r\n${'x'.repeat(Number(path.slice(1)))}`,
      )
  }
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`
  const other = await gateway.open()
  other.write(get(LONG_POLL))
  await waitFor('its request at the upstream', () => waits)
  const client = await gateway.open()
  const heads: number[] = []
  for (const length of [5000, 100, 3000]) {
    client.write(get(`/${length}`))
    const { bytes_sent } = await gateway.logged({ path: `/${length}` })
    heads.push(Number(bytes_sent) - length)
  }
  expect(heads.map((bytes) => bytes > 100 && bytes < 500)).toEqual([true, true, true])
  client.destroy()
  other.destroy()
})
