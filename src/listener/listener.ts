import { type AddressInfo, Server as NetServer } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { GatewayError } from '../errors.ts'
import type { HttpRequest } from '../http-messages.ts'
import type { Slots } from '../process/open-files.ts'
import type { Refused } from '../refusals.ts'
import { type BindAddress, bind } from '../sockets/bind.ts'
import { cutOff } from '../sockets/cut-off.ts'
import { endGently } from '../sockets/end-gently.ts'
import type { Connection, Verification } from '../types.ts'
import { accepts } from './admission.ts'
import { rejectHandshake } from './alerts.ts'
import type { ClientRequest, ClientResponse } from './client-messages.ts'
import { describeConnection, type Peer } from './connection.ts'
import type { LimitName } from './connection-limits.ts'
import type { Shown } from './demand.ts'
import { Doorway, type DoorwaySettings } from './doorway.ts'
import { type Handshake, type HandshakeSettings, Handshakes } from './handshakes.ts'
import { applyLimits, createHttpServer, type HttpServer, takeConnections } from './http-server.ts'
import { ClientConnections } from './http1/client-connections.ts'
import type { SocketResponse } from './http1/socket-response.ts'
import { LiveConnection, type LiveConnectionHandler } from './live-connection.ts'
import { malformedRequest } from './malformed-request.ts'
import type { Ended } from './objection.ts'
import { feedParser } from './parser-feed.ts'
import { type Grounds, type PoliciesByName, Sweeper } from './sweeper.ts'

/** The settings of a listener, from the configuration in use; replaced as a whole on reload. */
export interface ListenerSettings extends DoorwaySettings, HandshakeSettings, PoliciesByName, Grounds {
  readonly headerTimeout: number
  readonly keepaliveTimeout: number
  readonly bodyTimeout: number
  /** How long an idle connection stays for one more request once the listener closes. */
  readonly lastRequestTime: number
  /** After so many requests a connection is closed. */
  readonly keepaliveRequests: number
  /** Bytes of a request's head. */
  readonly maxHeaderSize: number
  readonly maxTarget: number
}

/** Receives what a listener accepts. */
export interface ListenerHandler extends LiveConnectionHandler {
  upgrade(request: HttpRequest, socket: Duplex, head: Buffer, connection: Connection): void
  /** Like `malformed`, before there is a TLS connection. */
  plain(error: GatewayError, peer: Peer, accept: string | undefined): Buffer
  opened(connection: Connection): void
  closed(connection: Connection): void
  /** The connection was ended because its client may no longer use it. */
  ended: Ended
  handshakeFailed(peer: Peer, reason: string, code: string | undefined): void
  /** The connection was closed because of the client's certificate, or for lack of one: the server does not answer such clients. */
  rejected(peer: Peer, verification: Verification): void
  /** Connections were closed before anything was read from them. */
  turnedAway(refused: Refused<LimitName>): void
}

/** How long a connection whose handshake finished while the listener was closing gets at least for its only request, in milliseconds. */
const LATE_REQUEST_TIME = 2000

/**
 * Listens on one address. Accepted sockets are read up to their ClientHello, passed to the TLS server of the policy for their server name, and come
 * back as HTTP. The address stays bound over reloads; only the settings change.
 */
export class Listener {
  readonly #http: HttpServer
  readonly #handler: ListenerHandler
  readonly #live = new Map<object, LiveConnection>()
  readonly #handshakes: Handshakes
  readonly #doorway: Doorway
  readonly #sweeper: Sweeper
  readonly #clients: ClientConnections
  #settings: ListenerSettings
  #persistence = ''
  #closing = false

  /** @param slots for the connections of all listeners together */
  constructor(settings: ListenerSettings, handler: ListenerHandler, slots: Slots) {
    this.#handler = handler
    this.#settings = settings
    this.#sweeper = new Sweeper(this.#live, handler, (connection, carried) =>
      this.#settings.objection?.(connection, carried),
    )
    this.#handshakes = new Handshakes({
      secured: (socket, handshake) => this.#secured(socket, handshake),
      failed: (peer, reason, code) => handler.handshakeFailed(peer, reason, code),
      exhausting: (socket, reason) => this.#sweeper.cut(socket, reason),
      plain: (error, peer, accept) => handler.plain(error, peer, accept),
    })
    this.#doorway = new Doorway(settings, slots, {
      begin: (socket, peer, timeout) => this.#handshakes.begin(socket, peer, this.#settings, timeout),
      invalidProxyHeader: (peer, reason) => handler.handshakeFailed(peer, reason, undefined),
      turnedAway: (refused) => handler.turnedAway(refused),
    })
    this.#http = createHttpServer((request) => this.#live.get(request.socket)?.mayUpgrade(request) === true)
    const serve = takeConnections(this.#http, (socket) => this.#doorway.accept(socket))
    this.#clients = new ClientConnections(settings, {
      request: this.#serve,
      handOver: (socket) => {
        serve(socket)
        const live = this.#live.get(socket)
        if (live) feedParser(socket, live)
      },
      hasAsked: (socket) => this.#live.get(socket)?.hasAsked === true,
      endlessLine: (socket) =>
        this.#live.get(socket)?.refuse(new GatewayError('GW_URI_TOO_LONG', 'the line of a request has no end')),
      late: (socket) => this.#live.get(socket)?.refuse(new GatewayError('GW_REQUEST_TIMEOUT', 'no request in time')),
    })
    this.#http.on('request', this.#request).on('checkContinue', this.#request).on('checkExpectation', this.#request)
    this.#http.on('upgrade', this.#upgrade).on('connect', this.#connect).on('clientError', this.#clientError)
    // Without a listener, node:http would destroy an idle connection, without the end that TLS demands. What still comes is dropped.
    this.#http.on('timeout', (socket) => endGently(socket.removeAllListeners('data')))
    this.apply(settings)
  }

  /** Applies new settings to new connections; timeouts apply to open ones too. */
  apply(settings: ListenerSettings): void {
    this.#settings = settings
    this.#doorway.apply(settings)
    this.#clients.settings = settings
    this.#persistence = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(settings.keepaliveTimeout / 1000)}\r\n`
    applyLimits(this.#http, settings)
  }

  /** @returns the address; the path for a Unix socket */
  async listen(wanted: BindAddress): Promise<AddressInfo | string> {
    this.#doorway.isOverUnix = 'path' in wanted
    const address = await bind(this.#http, wanted)
    this.#sweeper.start()
    this.#clients.start()
    return address
  }

  get connections(): number {
    return this.#doorway.sockets.size
  }

  /**
   * Accepts no new connections. Open ones end with the answer that is being written, or with one more request that comes soon. Resolves when the last
   * one has ended.
   */
  close(): Promise<void> {
    this.#closing = true
    const closed = new Promise<void>((resolve) => {
      // Not node:http's own, which destroys idle connections: a request that is arriving just then would be lost.
      NetServer.prototype.close.call(this.#http, () => {
        this.#http.close() // Which also ends its interval.
        this.#sweeper.stop()
        this.#clients.stop()
        resolve()
      })
    })
    for (const live of this.#live.values()) live.close(this.#settings.lastRequestTime)
    return closed
  }

  /** After a reload: ends connections that were judged by any other policy than these, and judges the others again. */
  judgeAgain(policyIds: ReadonlySet<string>, welcome = this.#settings.welcome): Promise<void> {
    return this.#sweeper.judgeAgain({ ...this.#settings, policyIds }, welcome)
  }

  /** Cuts whatever is still open; its requests are logged with this reason. */
  destroy(reason: string): void {
    for (const { socket } of this.#live.values()) cutOff(socket, reason, 'GW_OVERLOADED')
    for (const socket of this.#doorway.sockets) socket.destroy()
  }

  #secured(socket: TLSSocket, handshake: Handshake): void {
    this.#orRefuse(socket, handshake, () => {
      const shown = handshake.policy.see(socket, handshake.certificate)
      const wait = handshake.policy.prepare(shown)
      if (!wait) {
        this.#admit(socket, handshake, shown, true)
        return
      }
      const { transport } = handshake
      const sent = transport.bytesWritten
      handshake.heldTickets = []
      const admit = () => this.#admit(socket, handshake, shown, transport.bytesWritten === sent)
      void wait.then(() => this.#orRefuse(socket, handshake, admit))
    })
  }

  /** @param isUnanswered whether nothing has been sent since the client's last message */
  #admit(socket: TLSSocket, handshake: Handshake, shown: Shown | undefined, isUnanswered: boolean): void {
    if (socket.destroyed) return
    const { peer, policy } = handshake
    const { verification, until } = policy.judge(shown)
    if (policy.rejects && !accepts(policy.verify, verification)) {
      this.#handler.rejected(peer, verification)
      rejectHandshake(socket, verification, { ...handshake, isUnanswered })
      return
    }
    const { heldTickets = [] } = handshake
    Object.assign(handshake, { trafficSecret: undefined, certificate: undefined, heldTickets: undefined })
    const connection = describeConnection(socket, { policy: policy.id, peer, shown, verification })
    this.#open(new LiveConnection(socket, { policy, shown, connection, until }, this.#handler))
    for (const send of heldTickets) send()
  }

  #orRefuse(socket: TLSSocket, { peer }: Handshake, step: () => void): void {
    try {
      step()
    } catch (error) {
      // Fails closed: a client with an unreadable certificate is not served, whatever OpenSSL thinks of it.
      const reason = `the client certificate cannot be read: ${(error as Error).message}`
      this.#handler.handshakeFailed(peer, reason, undefined)
      socket.destroy()
    }
  }

  #open(live: LiveConnection): void {
    const { socket, connection } = live
    this.#live.set(socket, live)
    this.#sweeper.opened(live)
    this.#handler.opened(connection)
    socket.once('close', () => {
      this.#live.delete(socket)
      this.#handler.closed(connection)
    })
    this.#clients.serve(socket)
    if (this.#closing) live.close(Math.max(LATE_REQUEST_TIME, this.#settings.lastRequestTime))
  }

  readonly #request = (request: ClientRequest, response: ClientResponse): void => {
    request.handedOut = true
    this.#serve(response)
  }

  readonly #serve = (response: ClientResponse | SocketResponse): void => {
    const { socket } = response.req
    const live = this.#live.get(socket)
    if (!live) {
      socket.destroy()
      return
    }
    // 0 means for ever to node:http; here it means not at all.
    if (this.#closing || this.#settings.keepaliveTimeout === 0) response.shouldKeepAlive = false
    response.persistence = this.#persistence
    live.serve(response, this.#settings.keepaliveRequests)
  }

  readonly #upgrade = (request: ClientRequest, socket: Duplex, head: Buffer): void => {
    socket.removeAllListeners('data')
    const live = this.#live.get(socket)
    if (live?.upgrade(request)) this.#handler.upgrade(request, socket, head, live.connection)
    else socket.destroy()
  }

  readonly #connect = (_request: ClientRequest, socket: Duplex): void => {
    // Node no longer watches the socket, so nothing else handles its errors.
    socket.on('error', ignore).removeAllListeners('data')
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

function ignore(): void {}
