import { AsyncLocalStorage } from 'node:async_hooks'
import type { Socket } from 'node:net'
import type { Server, TLSSocket } from 'node:tls'
import { GatewayError } from '../errors.ts'
import { endGently } from '../sockets/end-gently.ts'
import { shortenRecords } from '../tls-cert-utils/records.ts'
import { boundRenewals } from '../tls-cert-utils/renewals.ts'
import { Arrivals } from './arrivals.ts'
import type { PeerCertificate } from './client-chains.ts'
import type { Peer } from './connection.ts'
import { awaitHello, type Hello } from './hello.ts'
import { type Begun, Pace } from './pace.ts'
import type { ServerCertificates } from './tls-servers.ts'
import type { TrustPolicy } from './trust-policy.ts'

/** A socket in its handshake. */
export interface Handshake {
  readonly peer: Peer
  readonly policy: TrustPolicy
  /** The socket under TLS. */
  readonly transport: Socket
  /** TLS 1.3, where the policy rejects in the handshake: the secret that encrypts the server's first record after the handshake. */
  trafficSecret: Buffer | undefined
  /** Sends the session tickets of TLS 1.3. Undefined where they need not wait for a verdict. */
  heldTickets: (() => void)[] | undefined
  /** What the client showed, until it is judged. */
  certificate: PeerCertificate | undefined
  begun: Begun | undefined
  /** Why it was closed before it was admitted; undefined where the client left. */
  failure: string | undefined
}

export interface HandshakeHandler {
  secured(socket: TLSSocket, handshake: Handshake): void
  failed(peer: Peer, reason: string, code: string | undefined): void
  /** The client causes key renewals again and again. */
  exhausting(socket: TLSSocket, reason: string): void
  /** Logs a client that speaks plain HTTP, and returns what to send to it. */
  plain(error: GatewayError, peer: Peer, accept: string | undefined): Buffer
}

/** What a handshake is made with, by its server name; undefined stands for clients without one. */
export interface HandshakeSettings {
  /** Undefined where handshakes with that name are rejected. */
  readonly policyFor: (serverName: string | undefined) => TrustPolicy | undefined
  readonly certificatesFor: (serverName: string | undefined) => ServerCertificates
}

/** The handshake of the socket whose event is being handled. */
const current = new AsyncLocalStorage<Handshake & { readonly handler: HandshakeHandler }>()
/** Listeners that trust alike share their policies. */
const wired = new WeakSet<TrustPolicy>()

const CLOSED = 'the client closed the connection in the handshake'

/** One for all listeners: they share the event loop. */
const pace = new Pace()
const arrivals = new Arrivals()

/** A fatal alert, unrecognized_name (RFC 8446 6.2), as a whole record: before the ServerHello nothing is encrypted. */
const UNRECOGNIZED_NAME = Buffer.from([21, 3, 3, 0, 2, 2, 112])

/**
 * From an accepted socket to a finished handshake. The ClientHello is read first, and its server name chooses the policy whose TLS server does the
 * rest. A TLSSocket does not say which socket it wraps, so each handshake runs in an asynchronous context of its own.
 */
export class Handshakes {
  readonly #handler: HandshakeHandler

  constructor(handler: HandshakeHandler) {
    this.#handler = handler
  }

  /** @param timeout for the ClientHello, in milliseconds */
  begin(socket: Socket, peer: Peer, { policyFor, certificatesFor }: HandshakeSettings, timeout: number): void {
    awaitHello(socket, timeout, (hello) => {
      if (hello.status !== 'hello') {
        this.#refuse(socket, hello, peer)
        return
      }
      const { serverName, sessionTicket: ticket } = hello
      const known: Peer = { ...peer, serverName }
      const policy = policyFor(serverName)
      const handshake: Handshake | undefined = policy && {
        peer: known,
        policy,
        transport: socket,
        trafficSecret: undefined,
        heldTickets: undefined,
        certificate: undefined,
        begun: undefined,
        failure: undefined,
      }
      if (!handshake) {
        this.#reject(socket, known)
        return
      }
      const certificates = certificatesFor(serverName)
      pace.begin((begun) => this.#hand(handshake, begun, { certificates, ticket }))
    })
  }

  #hand(
    handshake: Handshake,
    begun: Begun,
    { certificates, ticket }: { certificates: ServerCertificates; ticket: Buffer | undefined },
  ): void {
    const { policy, transport: socket } = handshake
    if (socket.destroyed) {
      pace.over(begun)
      this.#handler.failed(handshake.peer, CLOSED, undefined)
      return
    }
    handshake.begun = begun
    if (!wired.has(policy)) wire(policy)
    const context = Object.assign(handshake, { handler: this.#handler })
    // The end of the socket does not happen in the TLSSocket's context, although the TLSSocket ends because of it.
    socket.once('close', () => {
      pace.over(begun)
      current.enterWith(context)
    })
    // From here on the TLSSocket controls it: otherwise a client that leaves during its handshake would be waited for until the timeout.
    socket.allowHalfOpen = false
    try {
      current.run(context, () => policy.accept(socket, certificates, ticket))
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
  policy.servers.onNew = (server) => wireServer(server, policy)
}

function wireServer(server: Server, policy: TrustPolicy): void {
  server.on('secureConnection', (socket) => {
    const handshake = current.getStore()
    // Another policy would mean that two handshakes were mixed up: then nobody is admitted.
    if (handshake?.policy !== policy) {
      socket.destroy()
      return
    }
    if (handshake.begun) pace.over(handshake.begun)
    boundRenewals(socket, (reason) => {
      handshake.failure = reason
      handshake.handler.exhausting(socket, reason)
    })
    // Then the end of the client's side is an event, and does not cut off what is being written.
    socket.allowHalfOpen = true
    shortenRecords(socket)
    // Read at once. If OpenSSL could not parse something in the certificate, an error stays in its queue, and node:tls would take it for a failure of
    // the next read. The policy empties the queue.
    handshake.certificate = policy.certificateOf(socket)
    // A client that may be rejected gets an alert, which must be the first record after the client's last message.
    if (policy.rejects) handshake.handler.secured(socket, handshake)
    else arrivals.add(() => current.run(handshake, takeIn, socket, handshake))
    // Nothing else handles its errors until it is served.
    socket.on('error', ignore)
  })
  server.on('tlsClientError', (error: Error & { code?: string; reason?: string }, socket) => {
    const handshake = current.getStore()
    socket.destroy()
    if (!handshake) return
    const { handler, peer } = handshake
    if (error.code === 'ECONNRESET') handler.failed(peer, CLOSED, undefined)
    else handler.failed(peer, reasonOf(error), error.code)
  })
  if (policy.rejects) {
    keepTrafficSecrets(server)
    holdTickets(server)
  }
}

function takeIn(socket: TLSSocket, handshake: Handshake & { readonly handler: HandshakeHandler }): void {
  if (socket.destroyed) handshake.handler.failed(handshake.peer, handshake.failure ?? CLOSED, undefined)
  else handshake.handler.secured(socket, handshake)
}

/** Alerts that come from the client are about our certificate: `unknown ca` alone sends people to look for the fault in the client's. */
const ABOUT_OURS = /_ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_(EXPIRED|REVOKED|UNKNOWN))$/

function reasonOf({ message, code = '', reason }: Error & { code?: string; reason?: string }): string {
  // OpenSSL's message wraps the reason in a thread, a file and a line of its source.
  const told = reason ?? message
  return ABOUT_OURS.test(code) ? `${told}: the client does not accept the certificate of this server` : told
}

function ignore(): void {}

const TRAFFIC_SECRET = /^SERVER_TRAFFIC_SECRET_0 [0-9a-f]+ ([0-9a-f]+)\s*$/

/** Needed for the alert to a refused client; nothing else sees the secrets. */
function keepTrafficSecrets(server: Server): void {
  server.on('keylog', (line) => {
    const [, secret] = TRAFFIC_SECRET.exec(line.toString('latin1')) ?? []
    const handshake = current.getStore()
    if (secret !== undefined && handshake) handshake.trafficSecret = Buffer.from(secret, 'hex')
  })
}

/**
 * While something has to be waited for: node:tls sends nothing more on a connection until a listener of `newSession` has called back, so that an alert can
 * still be the first record after the handshake. TLS 1.2 has sent its last one by then, or makes its session before the handshake is finished.
 */
function holdTickets(server: Server): void {
  server.on('newSession', (_id, _session, send) => {
    const held = current.getStore()?.heldTickets
    if (held) held.push(send)
    else send()
  })
}
