import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { HttpPlugin, type HttpPluginOptions } from '../../../../src/auth/plugins/http-plugin.ts'
import { temporaryFolder } from '../../../support/folder.ts'
import { authority } from '../../../support/pki.ts'
import { waitFor } from '../../../support/wait.ts'

const inside = authority('inside')
const front = inside.server('localhost')
const socketPath = join(temporaryFolder(), 'plugin.sock')
const call = { context: { method: 'GET' }, payload: { code: 'ü' }, auth_context: { method_names: [] } }
const yes = { status: true, response_data: { user_id: 'u' } }

let servers: Server[]
let answer: RequestListener
let asked: { readonly request: IncomingMessage; readonly body: string }[]
let urls: { readonly plain: URL; readonly tls: URL }

beforeAll(async () => {
  const listener: RequestListener = (request, response) => {
    const chunks: Buffer[] = []
    request
      .on('data', (chunk) => chunks.push(chunk))
      .on('end', () => {
        asked.push({ request, body: Buffer.concat(chunks).toString() })
        answer(request, response)
      })
  }
  const [plain, overSocket] = [createServer(listener), createServer(listener)]
  const tls = createTlsServer({ cert: front.chain, key: front.key }, listener)
  servers = [plain, overSocket, tls]
  await Promise.all([plain, tls].map((server) => new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))))
  await new Promise<void>((ready) => overSocket.listen(socketPath, ready))
  const portOf = (server: Server) => (server.address() as AddressInfo).port
  urls = {
    plain: new URL(`http://127.0.0.1:${portOf(plain)}/say?who=1`),
    tls: new URL(`https://localhost:${portOf(tls)}/say`),
  }
})
afterAll(() => {
  for (const server of servers) {
    server.closeAllConnections()
    server.close()
  }
})
beforeEach(() => {
  asked = []
  answer = (_request, response) => void response.end(JSON.stringify(yes))
})

async function ask(options: Partial<HttpPluginOptions> = {}) {
  const plugin = new HttpPlugin({
    address: { kind: 'url', url: urls.plain },
    timeout: 2000,
    maxPending: 10,
    ...options,
  })
  try {
    return await plugin.ask(call)
  } finally {
    plugin.close()
  }
}

describe('a program', () => {
  test.each([
    ['at a URL', () => ({}), '/say?who=1'],
    ['on a socket', () => ({ address: { kind: 'unix', socketPath } as const }), '/authenticate'],
    ['over TLS', () => ({ address: { kind: 'url', url: urls.tls } as const, ca: [inside.certificate] }), '/say'],
  ])('%s gets the three arguments as JSON, and its answer counts', async (_, options, path) => {
    expect(await ask(options())).toEqual({ kind: 'returned', value: yes, set: {} })
    const [{ request, body } = { request: undefined, body: '' }] = asked
    expect([request?.method, request?.url, JSON.parse(body)]).toEqual(['POST', path, call])
    expect(request?.headers).toMatchObject({ 'content-type': 'application/json' })
  })

  test('whose certificate another authority has issued learns nothing', async () => {
    const address = { kind: 'url', url: urls.tls } as const
    for (const ca of [undefined, [authority('other').certificate]]) {
      await expect(ask({ address, ca })).rejects.toMatchObject({ code: 'GW_UNDECIDED' })
    }
    expect(asked).toEqual([])
  })

  test('whose certificate has another name learns nothing', async () => {
    const elsewhere = inside.server('elsewhere.test')
    const server = createTlsServer({ cert: elsewhere.chain, key: elsewhere.key }, (_request, response) =>
      response.end(JSON.stringify(yes)),
    )
    servers.push(server)
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
    const url = new URL(`https://localhost:${(server.address() as AddressInfo).port}/say`)
    await expect(ask({ address: { kind: 'url', url }, ca: [inside.certificate] })).rejects.toThrow(/GW_UNDECIDED/)
  })
})

test.each<[string, number, string, object]>([
  ['401', 401, JSON.stringify(yes), { kind: 'unauthorized' }],
  ['no JSON', 200, '<html>', { kind: 'unusable' }],
  ['no status', 200, '{"user_id":"u"}', { kind: 'unusable' }],
  ['a status that is no yes or no', 200, '{"status":"true"}', { kind: 'unusable' }],
  ['null', 200, 'null', { kind: 'unusable' }],
])('%s lets nobody in', async (_, status, body, expected) => {
  answer = (_request, response) => void response.writeHead(status).end(body)
  expect(await ask()).toMatchObject(expected)
})

test.each<[string, RequestListener]>([
  ['an error', (_request, response) => void response.writeHead(500).end(JSON.stringify(yes))],
  ['a redirection', (_request, response) => void response.writeHead(307, { location: urls.plain.href }).end()],
  ['a megabyte', (_request, response) => void response.end(JSON.stringify({ ...yes, more: 'x'.repeat(2 ** 20) }))],
  [
    'a half',
    (_request, response) => void response.writeHead(200, { 'content-length': 99 }).end('{', () => response.destroy()),
  ],
  ['the end of the connection', (request) => void request.socket.destroy()],
  ['silence', () => {}],
])('%s decides nothing', async (_, broken) => {
  answer = broken
  await expect(ask({ timeout: 300 })).rejects.toMatchObject({ code: 'GW_UNDECIDED' })
})

test('no more are asked at once than may be, and afterwards the next ones', async () => {
  const held: (() => void)[] = []
  answer = (_request, response) => void held.push(() => response.end(JSON.stringify(yes)))
  const address = { kind: 'url', url: urls.plain } as const
  const plugin = new HttpPlugin({ address, timeout: 5000, maxPending: 2 })
  const first = [plugin.ask(call), plugin.ask(call)]
  await waitFor('both questions', () => held.length === 2)
  await expect(plugin.ask(call)).rejects.toMatchObject({ code: 'GW_OVERLOADED' })
  for (const release of held.splice(0)) release()
  await Promise.all(first)
  const next = plugin.ask(call)
  await waitFor('the next question', () => held.length === 1)
  held[0]?.()
  expect(await next).toMatchObject({ kind: 'returned' })
  plugin.close()
})

test('one that is closed gets the answers that it waits for, also later, and keeps no connection', async () => {
  const held: (() => void)[] = []
  answer = (_request, response) => void held.push(() => response.end(JSON.stringify(yes)))
  const plugin = new HttpPlugin({ address: { kind: 'url', url: urls.plain }, timeout: 5000, maxPending: 2 })
  for (const round of [1, 2]) {
    const waiting = [plugin.ask(call), plugin.ask(call)]
    await waitFor('both questions', () => held.length === 2)
    if (round === 1) plugin.close()
    for (const release of held.splice(0)) release()
    expect(await Promise.all(waiting)).toMatchObject([{ kind: 'returned' }, { kind: 'returned' }])
    await waitFor('the end of the connections', () => asked.every(({ request }) => request.socket.destroyed))
  }
})
