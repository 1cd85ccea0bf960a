import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { endGently } from '../end-gently.ts'
import { GatewayError } from '../errors.ts'
import type { Connection } from '../types.ts'
import { describeConnection, type Peer } from './connection.ts'
import { awaitHello, type Hello } from './hello.ts'
import { Live, type LiveHandler } from './live.ts'
import { malformedRequest } from './malformed-request.ts'
import { type Ended, Sweeper, type Welcome } from './sweeper.ts'
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
  /** Asked again for open connections after a reload. */
  readonly welcome?: Welcome
}

/** Where a listener hands on what it accepted. */
export interface ListenerHandler extends LiveHandler {
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, connection: Connection): void
  /** As `malformed`, before there is a TLS connection. */
  plain(error: GatewayError, peer: Peer): Buffer
  opened(connection: Connection): void
  closed(connection: Connection): void
  /** It was ended since whoever it belongs to may not use it any more. */
  ended: Ended
  handshakeFailed(peer: Peer, reason: string, code: string | undefined): void
}

/** A socket in its handshake. */
interface Handshake {
  readonly peer: Peer
  readonly policy: TrustPolicy
}

/** How long a connection whose handshake ended while the listener closed may take to send its only request. */
const LATE_REQUEST_TIME = 2000

/**
 * One address: accepted sockets are read up to their ClientHello, handed to the TLS server of the policy that their
 * server name belongs to, and come back as HTTP. The address stays bound over reloads; only the settings change.
 */
export class Listener {
  readonly #http: Server
  readonly #serveHttp: (socket: Socket) => void
  readonly #handler: ListenerHandler
  readonly #live = new Map<object, Live>()
  /** By both ends' addresses and ports: a TLSSocket does not tell which socket it wraps. */
  readonly #handshakes = new Map<string, Handshake>()
  readonly #sockets = new Set<Socket>()
  readonly #wired = new WeakSet<TrustPolicy>()
  readonly #sweeper: Sweeper
  #settings: ListenerSettings
  #closing = false

  constructor(settings: ListenerSettings, handler: ListenerHandler) {
    this.#handler = handler
    this.#settings = settings
    this.#sweeper = new Sweeper(this.#live, (connection, reason) => handler.ended(connection, reason))
    this.#http = createServer({
      keepAlive: true,
      noDelay: true,
      optimizeEmptyRequests: true,
      // Host is judged with the rest of the request's target, so that its refusal is logged and answered like any other.
      requireHostHeader: false,
      // A request may take as long as its body keeps coming: client_body_timeout watches the gaps.
      requestTimeout: 0,
      connectionsCheckingInterval: 1000,
      shouldUpgradeCallback: (request) => this.#live.get(request.socket)?.mayUpgrade(isWebSocket(request)) === true,
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
    this.#sweeper.start()
    return this.#http.address() as AddressInfo
  }

  get connections(): number {
    return this.#sockets.size
  }

  /** No new connections; those that are open end with the answer that is being written. Resolves when the last one has ended. */
  close(): Promise<void> {
    this.#closing = true
    const closed = new Promise<void>((resolve) => {
      this.#http.close(() => {
        this.#sweeper.stop()
        resolve()
      })
    })
    for (const live of this.#live.values()) live.close()
    return closed
  }

  /** After a reload: what was judged by other policies than these ends, and the others are judged again. */
  judgeAgain(policyIds: ReadonlySet<string>): Promise<void> {
    this.#sweeper.retire(policyIds)
    return this.#sweeper.judgeAgain(this.#settings.welcome)
  }

  /** Cuts whatever is still open. */
  destroy(): void {
    for (const socket of this.#sockets) socket.destroy()
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
    const key = endsOf(socket)
    const handshake = { peer: known, policy }
    this.#handshakes.set(key, handshake)
    socket.once('close', () => {
      if (this.#handshakes.get(key) !== handshake) return
      this.#handshakes.delete(key)
      this.#handler.handshakeFailed(known, 'the client closed the connection in the handshake', undefined)
    })
    policy.accept(socket)
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
      const handshake = this.#takeHandshake(socket)
      if (handshake) this.#handler.handshakeFailed(handshake.peer, error.message, error.code)
      socket.destroy()
    })
  }

  #takeHandshake(socket: TLSSocket): Handshake | undefined {
    const key = endsOf(socket)
    const handshake = this.#handshakes.get(key)
    this.#handshakes.delete(key)
    return handshake
  }

  #secured(socket: TLSSocket, policy: TrustPolicy): void {
    const handshake = this.#takeHandshake(socket)
    // Another policy would mean that the facts of two handshakes were mixed up: nobody is let in on that.
    if (handshake?.policy !== policy) {
      socket.destroy()
      return
    }
    const { peer } = handshake
    try {
      const shown = policy.see(socket)
      const { verification, until } = policy.judge(shown)
      const connection = describeConnection(socket, { policy: policy.id, peer, shown, verification })
      this.#open(new Live(socket, { policy, shown, connection, until }, this.#handler))
    } catch (error) {
      // Fail closed: what cannot be read is not served, whatever OpenSSL made of it.
      this.#handler.handshakeFailed(
        peer,
        `the client certificate cannot be read: ${(error as Error).message}`,
        undefined,
      )
      socket.destroy()
    }
  }

  #open(live: Live): void {
    const { socket, connection } = live
    this.#live.set(socket, live)
    this.#handler.opened(connection)
    socket.once('close', () => {
      this.#live.delete(socket)
      this.#handler.closed(connection)
    })
    this.#serveHttp(socket)
    // node:http has stopped to watch the time that a head may take.
    if (this.#closing) setTimeout(() => live.close(), LATE_REQUEST_TIME).unref()
  }

  readonly #request = (request: IncomingMessage, response: ServerResponse): void => {
    const live = this.#live.get(request.socket)
    if (!live) {
      request.socket.destroy()
      return
    }
    // 0 means for ever to node:http, and not at all to us.
    if (this.#closing || this.#settings.keepaliveTimeout === 0) response.shouldKeepAlive = false
    live.serve(response, this.#settings.keepaliveRequests)
  }

  readonly #upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const live = this.#live.get(socket)
    if (live?.upgrade()) this.#handler.upgrade(request, socket, head, live.connection)
    else socket.destroy()
  }

  readonly #connect = (_request: IncomingMessage, socket: Duplex): void => {
    // Node has let go of the socket, so nobody else hears its errors.
    socket.on('error', ignore)
    const live = this.#live.get(socket)
    if (live) live.refuse(new GatewayError('GW_METHOD_NOT_ALLOWED', 'CONNECT'))
    else socket.destroy()
  }

  readonly #clientError = (error: Error & { code?: string; rawPacket?: Buffer }, socket: Duplex): void => {
    const live = this.#live.get(socket)
    const refusal = malformedRequest(error)
    if (live && refusal) live.refuse(refusal)
    else socket.destroy()
  }
}

/** Both ends of a TCP connection. One of them alone is not unique where a listener has several addresses. */
function endsOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`
}

/** Only WebSocket is upgraded; for h2c and the rest the header is one hop's offer that we do not take (RFC 9110 7.8). */
function isWebSocket(request: IncomingMessage): boolean {
  return request.method === 'GET' && request.headers.upgrade?.toLowerCase() === 'websocket'
}

function ignore(): void {}
