import { AsyncLocalStorage } from 'node:async_hooks'
import type { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import type { Server, TLSSocket } from 'node:tls'
import { endGently } from '../end-gently.ts'
import { GatewayError } from '../errors.ts'
import { boundRenewals } from '../tls-cert-utils/renewals.ts'
import { Arrivals } from './arrivals.ts'
import type { Peer } from './connection.ts'
import { awaitHello, type Hello } from './hello.ts'
import { type Begun, Pace } from './pace.ts'
import type { TrustPolicy } from './trust-policy.ts'

/** A socket in its handshake. */
export interface Handshake {
  readonly peer: Peer
  readonly policy: TrustPolicy
  /** What TLS runs on. */
  readonly transport: Socket
  /** Of TLS 1.3, where the policy rejects: what the server's first record after the handshake is encrypted with. */
  trafficSecret: Buffer | undefined
  /** What the client showed, until it is judged. */
  certificate: X509Certificate | undefined
  begun: Begun | undefined
  /** Why it was closed before it was taken in; undefined where the client left. */
  failure: string | undefined
}

export interface HandshakeHandler {
  secured(socket: TLSSocket, handshake: Handshake): void
  failed(peer: Peer, reason: string, code: string | undefined): void
  /** The client has the keys renewed again and again. */
  exhausting(socket: TLSSocket, reason: string): void
  /** What to send to a client that speaks plain HTTP; it is logged there. */
  plain(error: GatewayError, peer: Peer, accept: string | undefined): Buffer
}

/** The handshake of the socket whose event is being handled. */
const current = new AsyncLocalStorage<Handshake & { readonly handler: HandshakeHandler }>()
/** Listeners whose servers are alike share their policies. */
const wired = new WeakSet<TrustPolicy>()

const CLOSED = 'the client closed the connection in the handshake'

/** Of all listeners: they share the event loop. */
const pace = new Pace()
const arrivals = new Arrivals()

/** A fatal alert, unrecognized_name (RFC 8446 6.2), as a record of its own: nothing is encrypted before the ServerHello. */
const UNRECOGNIZED_NAME = Buffer.from([21, 3, 3, 0, 2, 2, 112])

/**
 * From an accepted socket to a finished handshake: the ClientHello is read first, and its server name decides by which policy's TLS
 * server the rest is done. Which socket a TLSSocket wraps is not told, so that each handshake is an asynchronous context of its own.
 */
export class Handshakes {
  readonly #handler: HandshakeHandler

  constructor(handler: HandshakeHandler) {
    this.#handler = handler
  }

  /** @param policyFor undefined where nobody may come under that name. @param timeout of the ClientHello, in milliseconds */
  begin(
    socket: Socket,
    peer: Peer,
    { policyFor, timeout }: { policyFor: (serverName: string | undefined) => TrustPolicy | undefined; timeout: number },
  ): void {
    awaitHello(socket, timeout, (hello) => {
      if (hello.status !== 'hello') {
        this.#refuse(socket, hello, peer)
        return
      }
      const known: Peer = { ...peer, serverName: hello.serverName }
      const policy = policyFor(hello.serverName)
      const handshake: Handshake | undefined = policy && {
        peer: known,
        policy,
        transport: socket,
        trafficSecret: undefined,
        certificate: undefined,
        begun: undefined,
        failure: undefined,
      }
      if (handshake) pace.begin((begun) => this.#hand(handshake, begun, hello.sessionTicket))
      else this.#reject(socket, known)
    })
  }

  #hand(handshake: Handshake, begun: Begun, ticket: Buffer | undefined): void {
    const { policy, transport: socket } = handshake
    if (socket.destroyed) {
      pace.over(begun)
      this.#handler.failed(handshake.peer, CLOSED, undefined)
      return
    }
    handshake.begun = begun
    if (!wired.has(policy)) wire(policy)
    const context = Object.assign(handshake, { handler: this.#handler })
    // The end of a socket is no event of the TLSSocket's own context, although that one's end follows from it.
    socket.once('close', () => {
      pace.over(begun)
      current.enterWith(context)
    })
    // The TLSSocket takes it over: a client that is gone in its handshake would otherwise be waited for until the time is over.
    socket.allowHalfOpen = false
    try {
      current.run(context, () => policy.accept(socket, handshake.peer.serverName, ticket))
    } catch (error) {
      this.#handler.failed(handshake.peer, `no handshake can be made: ${(error as Error).message}`, undefined)
      socket.destroy()
    }
  }

  #refuse(socket: Socket, hello: Exclude<Hello, { status: 'hello' }>, peer: Peer): void {
    if (hello.status === 'plain_http') {
      const refusal = new GatewayError('GW_PLAIN_HTTP', 'a plain HTTP request on a TLS port')
      endGently(socket, this.#handler.plain(refusal, peer, hello.accept))
      return
    }
    this.#handler.failed(peer, hello.reason, undefined)
    socket.destroy()
  }

  #reject(socket: Socket, peer: Peer): void {
    this.#handler.failed(peer, 'its server name is refused (ssl_reject_handshake)', undefined)
    endGently(socket, UNRECOGNIZED_NAME)
  }
}

function wire(policy: TrustPolicy): void {
  wired.add(policy)
  policy.servers.each((server) => wireServer(server, policy))
}

function wireServer(server: Server, policy: TrustPolicy): void {
  server.on('secureConnection', (socket) => {
    const handshake = current.getStore()
    // Another policy would mean that the facts of two handshakes were mixed up: nobody is let in on that.
    if (handshake?.policy !== policy) {
      socket.destroy()
      return
    }
    if (handshake.begun) pace.over(handshake.begun)
    boundRenewals(socket, (reason) => {
      handshake.failure = reason
      handshake.handler.exhausting(socket, reason)
    })
    // The end of the client's side comes as an event then, and what is being written is not cut off by it.
    socket.allowHalfOpen = true
    // At once: what OpenSSL could not read of a certificate waits in its queue of errors, and node:tls would take it for a failure of the next read. Asking empties it.
    handshake.certificate = policy.certificateOf(socket)
    // Whom it may reject gets an alert, which must be the first that follows the client's last message.
    if (policy.rejects) handshake.handler.secured(socket, handshake)
    else arrivals.add(() => current.run(handshake, takeIn, socket, handshake))
    // Nobody else hears its errors until it is served.
    socket.on('error', ignore)
  })
  server.on('tlsClientError', (error: Error & { code?: string; reason?: string }, socket) => {
    const handshake = current.getStore()
    socket.destroy()
    if (!handshake) return
    const { handler, peer } = handshake
    if (error.code === 'ECONNRESET') handler.failed(peer, CLOSED, undefined)
    // OpenSSL's message has a thread, a file and a line of its source around the reason.
    else handler.failed(peer, error.reason ?? error.message, error.code)
  })
  if (policy.rejects) keepTrafficSecrets(server)
}

function takeIn(socket: TLSSocket, handshake: Handshake & { readonly handler: HandshakeHandler }): void {
  if (socket.destroyed) handshake.handler.failed(handshake.peer, handshake.failure ?? CLOSED, undefined)
  else handshake.handler.secured(socket, handshake)
}

function ignore(): void {}

const TRAFFIC_SECRET = /^SERVER_TRAFFIC_SECRET_0 [0-9a-f]+ ([0-9a-f]+)\s*$/

/** For the alert of a client that is refused; nobody else gets to see them. */
function keepTrafficSecrets(server: Server): void {
  server.on('keylog', (line) => {
    const [, secret] = TRAFFIC_SECRET.exec(line.toString('latin1')) ?? []
    const handshake = current.getStore()
    if (secret !== undefined && handshake) handshake.trafficSecret = Buffer.from(secret, 'hex')
  })
}
