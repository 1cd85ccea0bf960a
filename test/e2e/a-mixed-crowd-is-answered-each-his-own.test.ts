import type { ServerResponse } from 'node:http'
import { beforeAll, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import type { Issued } from '../support/pki.ts'
import { type RawAnswer, type RawConnection, takeAnswer } from '../support/raw.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor, within } from '../support/wait.ts'

/** With a header that says nothing, but that makes node:http serve the connection. */
const BY_NODE = { headers: 'Keep-Alive: timeout=60\r\n' }
/** How often each client does what it does. */
const ROUNDS = 15

/** What the log must say of a request. */
interface Expected {
  readonly status: readonly number[]
  readonly sent?: number
  /** Of the answer that its client has got. */
  readonly id?: string | undefined
}

let scene: Scene
let gateway: Gateway
/** By path. */
const requests = new Map<string, Expected>()
/** What a client does in the moment when its answer leaves the upstream, by path. */
const onAnswer = new Map<string, () => void>()

beforeAll(async () => {
  scene = await makeScene()
  scene.backend.respond = (request, response, seen) => {
    const path = request.url as string
    response.setHeader('X-Path', path).setHeader('X-DN', seen.header('DN').join())
    if (path.startsWith('/upload')) request.on('end', () => response.end(seen.body))
    // Some are ready in this turn of the event loop, and others in one of the next.
    else later(path.length % 3, () => answer(path, response))
  }
  gateway = await scene.start({
    services: [
      {
        ...{ name: 'api', url: scene.backend.url },
        routes: [
          { name: 'all', paths: ['/'] },
          { name: 'members', paths: ['/members'], ssl_verify_client: 'on' },
          { name: 'eve', paths: ['/eve'], ssl_verify_client: 'on', ssl_verify_allow: [{ subject: { CN: 'eve' } }] },
        ],
      },
    ],
  })
})

function later(turns: number, then: () => void): void {
  if (turns === 0) then()
  else setImmediate(later, turns - 1, then)
}

function answer(path: string, response: ServerResponse): void {
  const [, kind] = path.split('/')
  if (kind === 'never') return
  if (kind === 'chunks') writePieces(bodyOf(path), response)
  else if (kind === 'nothing' || kind === 'unchanged') response.writeHead(kind === 'nothing' ? 204 : 304).end()
  else response.setHeader('Content-Length', bodyOf(path).length).end(bodyOf(path))
  onAnswer.get(path)?.()
}

function writePieces(body: string, response: ServerResponse): void {
  if (body.length <= 1000) response.end(body)
  else {
    response.write(body.slice(0, 1000))
    setImmediate(writePieces, body.slice(1000), response)
  }
}

/** Nothing but the path, again and again. */
function bodyOf(path: string): string {
  const length = { large: 100_000, chunks: 4500 }[path.split('/')[1] as string] ?? 3000
  return `${path} `.repeat(length / path.length)
}

class Client {
  readonly name: string
  readonly certificate: Issued | undefined
  #count = 0
  #connection: RawConnection | undefined
  #unread = ''
  #wake = () => {}

  constructor(name: string, certificate: Issued | undefined) {
    this.name = name
    this.certificate = certificate
  }

  newPath(kind: string): string {
    this.#count += 1
    return `/${kind}/${this.name}/${this.#count}`
  }

  /** The connection that it has, or another one. */
  async connection(): Promise<RawConnection> {
    if (this.#connection && !this.#connection.isClosed) return this.#connection
    const opened = await gateway.open(this.certificate && { as: this.certificate })
    this.#connection = opened
    this.#unread = ''
    opened.socket.on('data', (chunk: Buffer) => {
      this.#unread += chunk.toString('latin1')
      this.#wake()
    })
    void opened.closed.then(() => this.#wake())
    return opened
  }

  /** The next answer; undefined where the connection has ended before. Nothing else may have come. */
  async read(method = 'GET'): Promise<(RawAnswer & { readonly size: number }) | undefined> {
    for (;;) {
      const before = this.#unread
      const taken = takeAnswer(before, false, method)
      if (taken) {
        this.#unread = taken.rest
        return { ...taken.answer, size: before.length - taken.rest.length }
      }
      if (this.#connection?.isClosed) {
        expect(before).toBe('')
        return undefined
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** Reads the answer to a request that was written, which must be as it would be if the client were alone. */
  async getsOwn(path: string, { method = 'GET', status = 200, body = bodyOf(path), before = 0 } = {}): Promise<void> {
    const own = await this.read(method)
    if (!own) throw new Error(`no answer to ${path}`)
    const headers = new Map(own.headers)
    const subject = this.certificate ? `CN=${this.name}` : ''
    const isRefused = status >= 400
    expect([path, own.status, headers.get('x-path'), headers.get('x-dn')]).toEqual(
      isRefused ? [path, status, undefined, undefined] : [path, status, path, subject],
    )
    if (!isRefused) expect(own.body === (method === 'HEAD' || status > 200 ? '' : body)).toBe(true)
    requests.set(path, { status: [status], sent: before + own.size, id: headers.get('x-request-id') })
    if (headers.get('connection') === 'close') expect(await this.read()).toBeUndefined()
  }

  /** Writes a request. */
  async asks(path: string, { method = 'GET', headers = '', body = '' } = {}): Promise<RawConnection> {
    return (await this.connection()).write(head(path, method, headers) + body)
  }

  leave(): void {
    this.#connection?.destroy()
  }
}

function head(path: string, method = 'GET', headers = ''): string {
  return `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`
}

type Act = (client: Client) => Promise<void>

const gets =
  (
    kind: string,
    expected: { readonly method?: string; readonly status?: number; readonly headers?: string } = {},
  ): Act =>
  async (client) => {
    const path = client.newPath(kind)
    await client.asks(path, expected)
    await client.getsOwn(path, expected)
  }

const uploads =
  (size: number): Act =>
  async (client) => {
    const path = client.newPath('upload')
    const body = path.padEnd(size, path)
    const half = body.length >> 1
    const headers = `Content-Length: ${body.length}\r\n`
    const connection = await client.asks(path, { method: 'POST', headers, body: body.slice(0, half) })
    connection.write(body.slice(half))
    await client.getsOwn(path, { body })
  }

const waitsForTheWord: Act = async (client) => {
  const path = client.newPath('upload')
  const connection = await client.asks(path, {
    method: 'PUT',
    headers: 'Content-Length: 500\r\nExpect: 100-continue\r\n',
  })
  const interim = await client.read()
  expect(interim?.status).toBe(100)
  connection.write(path.padEnd(500))
  await client.getsOwn(path, { body: path.padEnd(500), before: interim?.size ?? 0 })
}

const asksFourAtOnce: Act = async (client) => {
  const paths = ['text', 'chunks', 'nothing', 'large'].map((kind) => client.newPath(kind))
  const connection = await client.connection()
  connection.write(paths.map((path) => head(path)).join(''))
  for (const path of paths) await client.getsOwn(path, { status: path.startsWith('/nothing') ? 204 : 200 })
}

const asksOnce: Act = async (client) => {
  const path = client.newPath('text')
  const connection = await client.asks(path, { headers: 'Connection: close\r\n' })
  await client.getsOwn(path)
  expect(connection.isClosed).toBe(true)
}

const leavesWhileItWaits: Act = async (client) => {
  const path = client.newPath('never')
  requests.set(path, { status: [499], sent: 0 })
  const connection = await client.asks(path)
  await scene.backend.request(path, ({ target }) => target === path)
  connection.destroy()
  await connection.closed
}

const leavesWhenItIsAnswered: Act = async (client) => {
  const path = client.newPath('text')
  requests.set(path, { status: [200, 499] })
  const connection = await client.connection()
  onAnswer.set(path, () => connection.destroy())
  connection.write(head(path))
  await connection.closed
}

/** It gets its answer, or the log says that it has got none. */
const endsItsSide =
  (when: 'at once' | 'when it is answered', { headers } = { headers: '' }): Act =>
  async (client) => {
    const path = client.newPath('text')
    const connection = await client.connection()
    requests.set(path, { status: [499], sent: 0 })
    if (when === 'when it is answered') onAnswer.set(path, () => connection.socket.end())
    connection.write(head(path, 'GET', headers))
    if (when === 'at once') connection.socket.end()
    await connection.closed
    if (connection.received !== '') await client.getsOwn(path)
  }

const CROWD: readonly (readonly [count: number, name: string, act: Act])[] = [
  [4, 'getter', gets('text')],
  [2, 'getter-by-node', gets('text', BY_NODE)],
  [2, 'asker-of-heads', gets('text', { method: 'HEAD' })],
  [2, 'getter-of-nothing', gets('nothing', { status: 204 })],
  [2, 'cache', gets('unchanged', { status: 304 })],
  [2, 'poster', uploads(800)],
  [2, 'uploader', uploads(60_000)],
  [2, 'nobody', gets('members', { status: 400 })],
  [2, 'mallory', gets('eve', { status: 403 })],
  [2, 'downloader', gets('large')],
  [1, 'downloader-by-node', gets('large', BY_NODE)],
  [2, 'streamer', gets('chunks')],
  [1, 'streamer-by-node', gets('chunks', BY_NODE)],
  [2, 'asker-of-four', asksFourAtOnce],
  [2, 'asker-once', asksOnce],
  [2, 'polite', waitsForTheWord],
  [1, 'impatient', leavesWhileItWaits],
  [1, 'late', leavesWhenItIsAnswered],
  [2, 'half', endsItsSide('at once')],
  [1, 'half-by-node', endsItsSide('at once', BY_NODE)],
  [1, 'half-late', endsItsSide('when it is answered')],
  [1, 'half-late-by-node', endsItsSide('when it is answered', BY_NODE)],
]

test('complete and in order, and each request has one line in the log that says what its client has got', async () => {
  // As long as this one waits, whoever is answered may wait for others too.
  const polling = new Client('polling', undefined)
  const never = polling.newPath('never')
  requests.set(never, { status: [499], sent: 0 })
  await polling.asks(never)
  const crowd = CROWD.flatMap(([count, name, act]) =>
    Array.from({ length: count }, (_, i) => {
      const own = `${name}-${i}`
      return { act, client: new Client(own, name === 'nobody' ? undefined : scene.clients.client(own)) }
    }),
  )
  await Promise.all(crowd.map(({ client }) => client.connection()))
  await Promise.all(
    crowd.map(async ({ client, act }) => {
      for (let i = 0; i < ROUNDS; i++) await within(60, `${client.name}, ${i}`, act(client))
      client.leave()
    }),
  )
  polling.leave()
  const lines = await waitFor('a line for each request', () => {
    const logged = gateway.log.filter(({ msg }) => msg === 'request')
    return logged.length >= requests.size && logged
  })
  expect(lines.map(({ path }) => path).sort()).toEqual([...requests.keys()].sort())
  expect(lines.filter((line) => !isAsExpected(line))).toEqual([])
  await waitFor('nothing to be open', async () => {
    const { text } = await gateway.getAdmin('/metrics')
    return ['connections_open', 'http_requests_in_flight'].every((name) => text.includes(`\nsallyport_${name} 0\n`))
  })
})

function isAsExpected({ path, status, bytes_sent, request_id }: Readonly<Record<string, unknown>>): boolean {
  const expected = requests.get(String(path))
  if (!expected?.status.includes(Number(status))) return false
  return bytes_sent === (expected.sent ?? bytes_sent) && request_id === (expected.id ?? request_id)
}
