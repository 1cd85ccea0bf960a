/** An HTTPS backend that demands the gateway's certificate, remembers what it saw byte for byte, and answers as the test scripts it. */
import { createServer as createPlain, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { whenFileEnds } from './cleanup.ts'
import type { Authority, Issued } from './pki.ts'
import { waitFor } from './wait.ts'

/** One request as the backend saw it. */
export class Seen {
  readonly method: string
  readonly target: string
  readonly rawHeaders: readonly string[]
  /** The subject of the certificate that the gateway showed, in Node's form; empty without one. */
  readonly gatewaySubject: string
  /** The TLS server name that the gateway asked for. */
  readonly servername: string | false | null
  /** A number for the connection: requests with the same number came over the same one. */
  readonly connection: number
  /** Bytes of the body so far. */
  bytes = 0
  /** The body's first megabyte. */
  body = Buffer.alloc(0)
  trailers: readonly string[] = []
  /** The request came whole. */
  complete = false
  /** The request or the answer was cut off. */
  aborted = false

  constructor(request: IncomingMessage, connection: number) {
    const socket = request.socket as TLSSocket
    this.method = request.method ?? ''
    this.target = request.url ?? ''
    this.rawHeaders = request.rawHeaders
    this.connection = connection
    this.gatewaySubject = socket.encrypted ? (socket.getPeerX509Certificate()?.subject ?? '') : ''
    this.servername = socket.encrypted ? socket.servername : null
  }

  /** All values of a header, under exactly this name, letter case apart. */
  header(name: string): string[] {
    return this.headers.filter(([key]) => key.toLowerCase() === name.toLowerCase()).map(([, value]) => value)
  }

  get headers(): [name: string, value: string][] {
    const pairs: [string, string][] = []
    for (let i = 0; i < this.rawHeaders.length; i += 2)
      pairs.push([this.rawHeaders[i] ?? '', this.rawHeaders[i + 1] ?? ''])
    return pairs
  }
}

export type Respond = (request: IncomingMessage, response: ServerResponse, seen: Seen) => void
export type Upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer, seen: Seen) => void

export interface BackendOptions {
  /** Absent for plain HTTP. */
  readonly certificate?: Issued
  /** Whose certificates the gateway must show. Where absent it is asked for one, and may show any or none. */
  readonly clients?: Authority
  readonly host?: string
  /** Set false where the test reads the body itself, or does not. */
  readonly readsBodies?: boolean
}

export class Backend {
  readonly port: number
  readonly url: string
  readonly server: Server
  readonly seen: Seen[] = []
  respond: Respond = echo
  upgrade: Upgrade = (_request, socket) => socket.destroy()

  constructor(server: Server, scheme: string) {
    this.server = server
    this.port = (server.address() as AddressInfo).port
    this.url = `${scheme}://localhost:${this.port}`
  }

  get last(): Seen {
    const seen = this.seen.at(-1)
    if (seen === undefined) throw new Error('the backend has seen no request')
    return seen
  }

  /** Waits for the first request that fits. */
  request(what: string, fits: (seen: Seen) => boolean): Promise<Seen> {
    return waitFor(what, () => this.seen.find(fits))
  }

  /** Forgets what was seen, and answers by echo again. */
  reset(): void {
    this.seen.length = 0
    this.respond = echo
  }

  async close(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }
}

export async function startBackend({
  certificate,
  clients,
  host = '127.0.0.1',
  readsBodies = true,
}: BackendOptions): Promise<Backend> {
  const server = certificate
    ? createServer({
        cert: certificate.chain,
        key: certificate.key,
        requestCert: true,
        rejectUnauthorized: clients !== undefined,
        ...(clients && { ca: clients.certificate }),
      })
    : createPlain()
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  const backend = new Backend(server, certificate ? 'https' : 'http')
  const numbers = new WeakMap<object, number>()
  let connections = 0
  const see = (request: IncomingMessage): Seen => {
    const number = numbers.get(request.socket) ?? ++connections
    numbers.set(request.socket, number)
    const seen = new Seen(request, number)
    backend.seen.push(seen)
    return seen
  }
  server.on('request', (request, response) => {
    const seen = see(request)
    record(request, response, seen, readsBodies)
    backend.respond(request, response, seen)
  })
  server.on('upgrade', (request, socket, head) => backend.upgrade(request, socket, head, see(request)))
  server.on('tlsClientError', () => {})
  whenFileEnds(() => backend.close())
  return backend
}

function record(request: IncomingMessage, response: ServerResponse, seen: Seen, readsBodies: boolean): void {
  response.on('close', () => {
    seen.aborted ||= !response.writableFinished
  })
  response.on('error', () => {})
  request.on('error', () => {
    seen.aborted = true
  })
  if (!readsBodies) return
  request.on('data', (chunk: Buffer) => {
    seen.bytes += chunk.length
    if (seen.body.length < 1_000_000) seen.body = Buffer.concat([seen.body, chunk])
  })
  request.on('end', () => {
    seen.complete = true
    seen.trailers = request.rawTrailers
  })
}

/** What was asked, as JSON, once the body is there. */
const echo: Respond = (request, response, seen) => {
  request.on('end', () => {
    const { method, target, headers, gatewaySubject, bytes } = seen
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ method, target, headers, gatewaySubject, bytes }))
  })
}
