import { Agent, createServer, get, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, expect, test } from '@jest/globals'
import { type ErrorCode, GatewayError } from '../../src/errors.ts'
import { ClientRequest, ClientResponse } from '../../src/listener/client-messages.ts'
import { createAccessLog } from '../../src/log/access-log.ts'
import { createMetrics } from '../../src/metrics/metrics.ts'
import { createRecorder } from '../../src/recorder.ts'
import type { RequestRecord } from '../../src/types.ts'
import { fakeConnection } from '../support/fake-connection.ts'

const lines: Record<string, unknown>[] = []
const metrics = createMetrics()
const begin = createRecorder({ accessLog: createAccessLog((line) => lines.push(JSON.parse(line))), metrics })
const agent = new Agent({ keepAlive: true, maxSockets: 1 })
let server: Server | undefined

afterEach(() => {
  lines.length = 0
  agent.destroy()
  server?.closeAllConnections()
  server?.close()
})

async function serving(answer: (record: RequestRecord, response: ClientResponse) => void): Promise<number> {
  const connection = fakeConnection()
  const messages = { IncomingMessage: ClientRequest, ServerResponse: ClientResponse, requireHostHeader: false }
  const started = createServer(messages, (request, response) => answer(begin('id', request, connection), response))
  server = started
  await new Promise<void>((resolve) => started.listen(0, '127.0.0.1', resolve))
  return (started.address() as AddressInfo).port
}

function fetched(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ port, host: '127.0.0.1', agent }, (response) => text(response).then(resolve, reject)).on('error', reject)
  })
}

test('each request of a connection is counted with its own bytes, headers included', async () => {
  const port = await serving((record, response) => {
    response.end('x'.repeat(1000), () => record.finish(response.statusCode))
  })
  for (let i = 0; i < 3; i++) await fetched(port)
  expect(lines).toHaveLength(3)
  for (const { bytes_sent: sent, bytes_received: received } of lines) {
    expect(sent).toBeGreaterThan(1000)
    expect(sent).toBeLessThan(1300)
    expect(received).toBeGreaterThan(20)
    expect(received).toBeLessThan(300)
  }
})

test('a request is in flight until it is finished, and finished once', async () => {
  const seen: number[] = []
  const port = await serving((record, response) => {
    seen.push(metrics.requestsInFlight.value)
    record.finish(200)
    record.finish(500)
    response.end('x')
  })
  await fetched(port)
  expect(seen).toEqual([1])
  expect(metrics.requestsInFlight.value).toBe(0)
  expect(lines).toMatchObject([{ status: 200 }])
})

test.each<[ErrorCode, number, Record<string, unknown>]>([
  ['GW_CLIENT_CLOSED', 0, { status: 499 }],
  ['GW_CLIENT_CLOSED', 400, { status: 499 }],
  ['GW_CLIENT_CLOSED', 200, { status: 200, termination: 'client' }],
  ['GW_UPSTREAM_RESET', 200, { status: 200, termination: 'upstream', code: 'GW_UPSTREAM_RESET' }],
  ['GW_UPSTREAM_TIMEOUT', 504, { status: 504, code: 'GW_UPSTREAM_TIMEOUT' }],
  ['GW_UPSTREAM_TIMEOUT', 0, { status: 504 }],
])('%s after status %d on the wire is logged so', async (code, status, logged) => {
  const port = await serving((record, response) => {
    record.route = { name: 'r', service: { name: 's', forward: async () => {}, upgrade: async () => {} } }
    record.service = 's'
    record.error = new GatewayError(code, 'why')
    record.finish(status)
    response.end()
  })
  await fetched(port)
  expect(lines).toMatchObject([{ ...logged, detail: 'why' }])
  expect('termination' in (lines[0] ?? {})).toBe('termination' in logged)
  const scraped = await metrics.text()
  expect(scraped).toContain(`sallyport_http_requests_total{route="r",service="s",code="${logged.status}"}`)
  expect(scraped).toContain(`sallyport_refusals_total{code="${code}"}`)
})
