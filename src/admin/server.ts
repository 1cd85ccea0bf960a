/** The admin listener: health, readiness and metrics over plain HTTP. It is read-only and shows nothing secret. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { isIP, type Socket } from 'node:net'

export interface Readiness {
  readonly ready: boolean
  /** Why it is not ready, or a warning; shown to every client. */
  readonly reasons: readonly string[]
}

export interface AdminOptions {
  /** As src/metrics/metrics.ts makes them. */
  readonly metrics: { readonly contentType: string; text(): Promise<string> }
  readonly ready: () => Readiness
  /** Called with an unforeseen error; the client only learns that there was one. */
  readonly failed?: (error: unknown) => void
}

/** Does not listen yet: the caller chooses the address, and closes the server. */
export function createAdminServer(options: AdminOptions): Server {
  const scrape = oneAtATime(async () => Buffer.from(await options.metrics.text()))
  const reads = boundTexts()
  const server = createServer(LIMITS, (request, response) => {
    answer(server, { ...options, scrape, reads }, request, response).catch((error: unknown) => {
      options.failed?.(error)
      if (response.headersSent) response.destroy()
      else send(response, 500, { message: 'the gateway failed to answer; its log says why' })
    })
  })
  // node:http hands out all the requests that come together: one client could ask for the metrics thousands of times at a stretch.
  server.maxRequestsPerSocket = 1
  return server.on('connection', makeRoom())
}

/** Bytes. Probes and scrapers need no more. */
const LIMITS = { maxHeaderSize: 8 * 1024 }
/** Milliseconds from its beginning to its end, whoever is slow. */
const LONGEST_CONNECTION = 10_000
const MAX_CONNECTIONS = 64

/** Whoever has been here longest makes room: a crowd that only waits must keep no probe out, or the gateway would be taken for dead. */
function makeRoom(): (socket: Socket) => void {
  const open = new Set<Socket>()
  return (socket) => {
    const timer = setTimeout(() => socket.destroy(), LONGEST_CONNECTION)
    socket.once('close', () => {
      clearTimeout(timer)
      open.delete(socket)
    })
    const [oldest] = open
    if (oldest && open.size >= MAX_CONNECTIONS) {
      open.delete(oldest)
      oldest.destroy()
    }
    open.add(socket)
  }
}

/**
 * Texts of metrics that are read at a time. Clients that read slowly, one after the other, must not hold one each: those who read the oldest make room.
 * What the system's buffers take counts as read.
 */
const MOST_TEXTS = 4

type Reads = (text: Buffer, response: ServerResponse) => void

function boundTexts(): Reads {
  const readers = new Map<Buffer, Set<ServerResponse>>()
  return (text, response) => {
    const together = readers.get(text) ?? new Set()
    readers.set(text, together.add(response))
    response.once('close', () => {
      together.delete(response)
      if (together.size === 0) readers.delete(text)
    })
    const [oldest] = readers.values()
    if (oldest && readers.size > MOST_TEXTS) for (const slow of oldest) slow.destroy()
  }
}

/** Those who ask meanwhile get the same answer and the same bytes, so that a crowd costs no more than one: of thousands of routes they are megabytes. */
function oneAtATime(make: () => Promise<Buffer>): () => Promise<Buffer> {
  let current: Promise<Buffer> | undefined
  return () => {
    current ??= make().finally(() => {
      current = undefined
    })
    return current
  }
}

const ENDPOINTS: Readonly<Record<string, string>> = {
  '/healthz': 'whether the process lives',
  '/readyz': 'whether it should get requests, and why not',
  '/metrics': "metrics in Prometheus's text format",
}

async function answer(
  server: Server,
  { metrics, ready, scrape, reads }: AdminOptions & { readonly scrape: () => Promise<Buffer>; readonly reads: Reads },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (!mayAsk(server, request.headers.host)) {
    return send(response, 403, {
      message: 'the Host of this request is not a name of this listener; use localhost or its address',
    })
  }
  const path = (request.url ?? '').split('?', 1)[0] as string
  if (!Object.hasOwn(ENDPOINTS, path)) return send(response, 404, { message: 'not found', endpoints: ENDPOINTS })
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD')
    return send(response, 405, { message: 'this endpoint is only read' })
  }
  if (path === '/healthz') return send(response, 200, { status: 'ok' })
  if (path === '/metrics') {
    const text = await scrape()
    // Whoever has left meanwhile would never be done with it.
    if (response.destroyed) return
    reads(text, response)
    return sendBytes(response, 200, metrics.contentType, text)
  }
  const { ready: isReady, reasons } = ready()
  return send(response, isReady ? 200 : 503, { status: isReady ? 'ready' : 'not ready', reasons })
}

/**
 * Protects a loopback listener against DNS rebinding: a page in a browser on this machine can point its own domain name to 127.0.0.1 and could then
 * read the answers. Its Host is that domain name, so only an address or `localhost` is accepted.
 */
function mayAsk(server: Server, host: string | undefined): boolean {
  const address = server.address()
  // Browsers cannot reach a Unix socket, and always send Host.
  if (host === undefined || address === null || typeof address === 'string' || !isLoopback(address.address)) return true
  const name = host.replace(/:\d*$/, '').toLowerCase()
  const bare = name.startsWith('[') && name.endsWith(']') ? name.slice(1, -1) : name
  return isIP(bare) !== 0 || name === 'localhost'
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.') || address.startsWith('::ffff:127.')
}

function send(response: ServerResponse, status: number, body: object): void {
  sendBytes(response, status, 'application/json', Buffer.from(`${JSON.stringify(body)}\n`))
}

function sendBytes(response: ServerResponse, status: number, type: string, body: Buffer): void {
  response.writeHead(status, {
    'Content-Type': type,
    'Content-Length': body.length,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    // Of itself node:http says so behind the last request of a connection, and leaves it open.
    Connection: 'close',
  })
  response.end(body)
}
