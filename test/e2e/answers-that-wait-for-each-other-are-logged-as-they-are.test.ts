import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { beforeAll, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import type { RawConnection } from '../support/raw.ts'
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

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`

/** Sends a request that gets no answer: beside it, for half a second, answers that are ready wait for a turn or two. `answered` is told of every other request. */
async function longPoll(answered = (_path: string) => {}): Promise<RawConnection> {
  let waits = false
  /** As many bytes as the path ends with. */
  upstream.onBytes = (connection) => {
    const [, path = '', length] = /^GET (\S*?(\d*)) .*\r\n\r\n$/s.exec(connection.received) ?? []
    if (path === '') return
    connection.received = ''
    if (path === LONG_POLL) {
      waits = true
      return
    }
    connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n${'x'.repeat(Number(length))}`)
    answered(path)
  }
  const client = await gateway.open()
  client.write(get(LONG_POLL))
  await waitFor('its request at the upstream', () => waits)
  return client
}

test('each with its own bytes', async () => {
  const client = await gateway.open()
  const heads: number[] = []
  for (const length of [5000, 100, 3000]) {
    const other = await longPoll()
    client.write(get(`/${length}`))
    const { bytes_sent } = await gateway.logged({ path: `/${length}` })
    heads.push(Number(bytes_sent) - length)
    other.destroy()
  }
  expect(heads.map((bytes) => bytes > 100 && bytes < 500)).toEqual([true, true, true])
  client.destroy()
})

test('not as sent where the client was gone before', async () => {
  const COUNT = 50
  const leaving = new Map<string, () => void>()
  // Its reset reaches the gateway together with its answer.
  const other = await longPoll((path) => leaving.get(path)?.())
  const paths = Array.from({ length: COUNT }, (_, i) => `/left/${i}/100`)
  await Promise.all(
    paths.map(async (path) => {
      const transport = connect(gateway.port, '127.0.0.1').on('error', () => {})
      const client = connectTls({ socket: transport, servername: 'localhost', rejectUnauthorized: false })
      client.on('error', () => {}).once('secureConnect', () => client.write(get(path)))
      leaving.set(path, () => transport.resetAndDestroy())
      await gateway.logged({ path })
    }),
  )
  const lines = gateway.log.filter(({ path }) => paths.includes(String(path)))
  expect(lines).toHaveLength(COUNT)
  expect(lines.filter(({ status, bytes_sent }) => (status === 200) !== Number(bytes_sent) > 0)).toEqual([])
  expect(lines.find(({ status }) => status === 499)).toMatchObject({
    ...{ code: 'GW_CLIENT_CLOSED', bytes_sent: 0 },
    detail: 'the client closed the connection before its answer was written',
  })
  other.destroy()
})
