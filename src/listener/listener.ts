import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { type ErrorCode, GatewayError } from '../errors.ts'
import type { Connection } from '../types.ts'
import { describeConnection, type Peer } from './connection.ts'
import { awaitHello, type Hello } from './hello.ts'
import type { TrustPolicy } from './trust-policy.ts'

/** What a listener needs to know of the configuration in use; replaced as a whole on reload. */
export interface ListenerSettings {
  readonly policyFor: (serverName: string | undefined) => TrustPolicy
  readonly handshakeTimeout: number
  readonly headerTimeout: number
  readonly keepaliveTimeout: number
  /** After so many requests a connection is closed. */
  readonly keepaliveRequests: number
  /** Bytes of a request's head. */
  readonly maxHeaderSize: number
  readonly maxConnections: number
}

/** Where a listener hands on what it accepted. */
export interface ListenerHandler {
  request(request: IncomingMessage, response: ServerResponse, connection: Connection): void
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, connection: Connection): void
  /** Bytes that are no HTTP request, or came too slowly: what to send before the connection is closed; it is logged there. */
  malformed(error: GatewayError, connection: Connection): Buffer
  /** The same before there is a TLS connection. */
  plain(error: GatewayError, peer: Peer): Buffer
  opened(connection: Connection): void
  closed(connection: Connection): void
  handshakeFailed(peer: Peer, reason: string, code: string | undefined): void
}

/** A connection, and the answer that is being written on it. */
interface Live {
  readonly connection: Connection
  response: ServerResponse | undefined
  requests: number
  upgraded: boolean
}

/**
 * One address: accepted sockets are read up to their ClientHello, handed to the TLS server of the policy that their
 * server name belongs to, and come back as HTTP. The address stays bound over reloads; only the settings change.
 */
export class Listener {
  readonly #http: Server
  readonly #serveHttp: (socket: Socket) => void
  readonly #handler: ListenerHandler
  readonly #live = new WeakMap<object, Live>()
  /** Sockets in their handshake, by the client's address and port: a TLSSocket does not tell which socket it wraps. */
  readonly #handshakes = new Map<string, Peer>()
  readonly #sockets = new Set<Socket>()
  readonly #secure = new Set<TLSSocket>()
  readonly #wired = new WeakSet<TrustPolicy>()
  #settings: ListenerSettings

  constructor(settings: ListenerSettings, handler: ListenerHandler) {
    this.#handler = handler
    this.#settings = settings
    this.#http = createServer({
      keepAlive: true,
      noDelay: true,
      optimizeEmptyRequests: true,
      // Host is judged with the rest of the request's target, so that its refusal is logged and answered like any other.
      requireHostHeader: false,
      // A request may take as long as its body keeps coming: client_body_timeout watches the gaps.
      requestTimeout: 0,
      connectionsCheckingInterval: 1000,
      shouldUpgradeCallback: isWebSocket,
    })
    const [serveHttp] = this.#http.listeners('connection') as ((socket: Socket) => void)[]
    if (!serveHttp) throw new Error('node:http no longer serves the sockets that its server emits')
    this.#serveHttp = serveHttp.bind(this.#http)
    this.#http.removeAllListeners('connection').on('connection', (socket) => this.#accept(socket))
    this.#http.on('request', this.#request).on('checkContinue', this.#request).on('checkExpectation', this.#request)
    this.#http.on('upgrade', this.#upgrade).on('connect', this.#connect).on('clientError', this.#clientError)
    this.apply(settings)
  }

  /** Takes new settings for new connections; timeouts apply to the open ones too. */
  apply(settings: ListenerSettings): void {
    this.#settings = settings
    this.#http.headersTimeout = settings.headerTimeout
    this.#http.keepAliveTimeout = settings.keepaliveTimeout
    this.#http.maxConnections = settings.maxConnections
    // 0 shows every header to the count in readHead: a finite value here hides the rest but still frames by it (CVE-2026-58044).
    this.#http.maxHeadersCount = 0
    Object.assign(this.#http, { maxHeaderSize: settings.maxHeaderSize })
  }

  async listen(host: string, port: number): Promise<AddressInfo> {
    await new Promise<void>((resolve, reject) => {
      this.#http.once('error', reject)
      this.#http.listen({ host, port }, () => {
        this.#http.off('error', reject)
        resolve()
      })
    })
    return this.#http.address() as AddressInfo
  }

  get connections(): number {
    return this.#sockets.size
  }

  /** No new connections; those that carry no request are closed. Resolves when the last one has ended. */
  close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#http.close(() => resolve())
    })
    // node:http does not count a connection as idle on which no request was ever sent.
    this.#endIdle(() => true)
    return closed
  }

  /** After a reload: idle connections that were judged by a policy that is gone are closed; busy ones get 421 on their next request. */
  retire(policyIds: ReadonlySet<string>): void {
    this.#endIdle(({ policy }) => !policyIds.has(policy))
  }

  /** Cuts whatever is still open. */
  destroy(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  #endIdle(which: (connection: Connection) => boolean): void {
    for (const socket of this.#secure) {
      const live = this.#live.get(socket)
      if (!live || live.upgraded || !which(live.connection)) continue
      if (!live.response || live.response.writableFinished) socket.end()
    }
  }

  #accept(socket: Socket): void {
    const { remoteAddress, remotePort, localPort } = socket
    // A client that has gone again before it was accepted has no address any more.
    if (remoteAddress === undefined || remotePort === undefined || localPort === undefined) {
      socket.destroy()
      return
    }
    this.#sockets.add(socket)
    socket.on('error', ignore)
    socket.once('close', () => this.#sockets.delete(socket))
    const peer = { remoteAddress, remotePort, localPort, serverName: undefined }
    awaitHello(socket, this.#settings.handshakeTimeout, (hello) => this.#hand(socket, hello, peer))
  }

  #hand(socket: Socket, hello: Hello, peer: Peer): void {
    if (hello.status !== 'hello') {
      this.#refuseSocket(socket, hello, peer)
      return
    }
    const known: Peer = { ...peer, serverName: hello.serverName }
    const policy = this.#settings.policyFor(hello.serverName)
    if (!this.#wired.has(policy)) this.#wire(policy)
    const key = `${peer.remoteAddress} ${peer.remotePort}`
    this.#handshakes.set(key, known)
    socket.once('close', () => {
      if (this.#handshakes.get(key) !== known) return
      this.#handshakes.delete(key)
      this.#handler.handshakeFailed(known, 'the client closed the connection in the handshake', undefined)
    })
    policy.server.emit('connection', socket)
  }

  #refuseSocket(socket: Socket, hello: Exclude<Hello, { status: 'hello' }>, peer: Peer): void {
    if (hello.status === 'plain_http') {
      const answer = this.#handler.plain(new GatewayError('GW_PLAIN_HTTP', 'a plain HTTP request on a TLS port'), peer)
      endGently(socket, answer)
      return
    }
    this.#handler.handshakeFailed(peer, hello.reason, undefined)
    socket.destroy()
  }

  #wire(policy: TrustPolicy): void {
    this.#wired.add(policy)
    policy.server.on('secureConnection', (socket) => this.#secured(socket, policy))
    policy.server.on('tlsClientError', (error: Error & { code?: string }, socket) => {
      const peer = this.#takeHandshake(socket)
      if (peer) this.#handler.handshakeFailed(peer, error.message, error.code)
      socket.destroy()
    })
  }

  #takeHandshake(socket: TLSSocket): Peer | undefined {
    const key = `${socket.remoteAddress} ${socket.remotePort}`
    const peer = this.#handshakes.get(key)
    this.#handshakes.delete(key)
    return peer
  }

  #secured(socket: TLSSocket, policy: TrustPolicy): void {
    const peer = this.#takeHandshake(socket)
    if (!peer) {
      socket.destroy()
      return
    }
    let connection: Connection
    try {
      connection = describeConnection(socket, policy, peer)
    } catch (error) {
      // Fail closed: what cannot be read is not served, whatever OpenSSL made of it.
      this.#handler.handshakeFailed(
        peer,
        `the client certificate cannot be read: ${(error as Error).message}`,
        undefined,
      )
      socket.destroy()
      return
    }
    this.#live.set(socket, { connection, response: undefined, requests: 0, upgraded: false })
    this.#handler.opened(connection)
    this.#secure.add(socket)
    socket.once('close', () => {
      this.#secure.delete(socket)
      this.#handler.closed(connection)
    })
    this.#serveHttp(socket)
  }

  readonly #request = (request: IncomingMessage, response: ServerResponse): void => {
    const live = this.#live.get(request.socket)
    if (!live) {
      request.socket.destroy()
      return
    }
    live.response = response
    live.requests += 1
    // node:http's own maxRequestsPerSocket announces the end but then answers further requests with a bare 503.
    if (live.requests >= this.#settings.keepaliveRequests) response.shouldKeepAlive = false
    this.#handler.request(request, response, live.connection)
  }

  readonly #upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const live = this.#live.get(socket)
    if (!live) {
      socket.destroy()
      return
    }
    live.upgraded = true
    socket.on('error', ignore)
    this.#handler.upgrade(request, socket, head, live.connection)
  }

  readonly #connect = (_request: IncomingMessage, socket: Duplex): void => {
    const live = this.#live.get(socket)
    if (!live) {
      socket.destroy()
      return
    }
    socket.on('error', ignore)
    endGently(socket, this.#handler.malformed(new GatewayError('GW_METHOD_NOT_ALLOWED', 'CONNECT'), live.connection))
  }

  readonly #clientError = (error: Error & { code?: string; rawPacket?: Buffer }, socket: Duplex): void => {
    const live = this.#live.get(socket)
    const refusal = malformedRequest(error)
    const response = live?.response
    if (response?.writableEnded && !response.writableFinished) {
      // The request was refused by its head; what the parser did not like came behind it.
      response.once('close', () => socket.destroy())
      return
    }
    // Half an answer cannot be turned into a refusal: the client must see that it is incomplete.
    if (!live || !refusal || !socket.writable || (response?.headersSent && !response.writableFinished)) {
      socket.destroy()
      return
    }
    endGently(socket, this.#handler.malformed(refusal, live.connection))
  }
}

/** Only WebSocket is upgraded; for h2c and the rest the header is one hop's offer that we do not take (RFC 9110 7.8). */
function isWebSocket(request: IncomingMessage): boolean {
  return request.method === 'GET' && request.headers.upgrade?.toLowerCase() === 'websocket'
}

/** What node:http's parser refused, or undefined where the client just went away. */
function malformedRequest(
  error: Error & { code?: string; reason?: string; rawPacket?: Buffer },
): GatewayError | undefined {
  const code = error.code ?? ''
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new GatewayError('GW_REQUEST_TIMEOUT', 'the head of a request did not come in time')
  if (code === 'HPE_HEADER_OVERFLOW')
    return new GatewayError(overflowCode(error.rawPacket), 'the head of a request is too large')
  if (code.startsWith('HPE_')) return new GatewayError('GW_BAD_REQUEST', `${code}: ${error.reason ?? error.message}`)
  return undefined
}

/** nginx tells a request line that is too long (414) from headers that are too large (400, 431 here). */
function overflowCode(packet: Buffer | undefined): ErrorCode {
  const lineEnds = packet?.indexOf('\n') ?? 0
  return lineEnds === -1 ? 'GW_URI_TOO_LONG' : 'GW_HEADERS_TOO_LARGE'
}

/** How long a refused client may take to read why, in milliseconds. */
const LINGER = 2000

/**
 * Sends the last bytes of a connection. What the client still sends is read and dropped for a while: closing with unread
 * data resets the connection, and the reset would overtake the answer.
 */
function endGently(socket: Duplex, answer: Buffer): void {
  socket.on('error', ignore)
  socket.end(answer)
  socket.resume()
  const timer = setTimeout(() => socket.destroy(), LINGER)
  socket.once('close', () => clearTimeout(timer))
}

function ignore(): void {}
