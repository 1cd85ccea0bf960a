import { constants } from 'node:crypto'
import type { Socket } from 'node:net'
import {
  createSecureContext,
  createServer,
  type SecureContextOptions,
  type SecureVersion,
  type Server,
  type TlsOptions as TlsServerOptions,
} from 'node:tls'
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import { withKnownIssuers } from '../tls-cert-utils/chain.ts'
import { certificateInTicket } from '../tls-cert-utils/session-ticket.ts'
import { trustingUnannounced } from '../tls-cert-utils/unannounced-trust.ts'
import type { TicketKeys } from './ticket-keys.ts'

/** The options that the TLS servers of one policy share. */
export interface TlsOptions {
  /** Sessions of another id are not resumed. */
  readonly id: string
  readonly requestCert: boolean
  /** PEM, one certificate each. Empty trusts nobody. It is never left out: Node would then trust the public CAs. */
  readonly ca: readonly string[]
  /** The certificates of `ca`. */
  readonly authorities: readonly CertificateFacts[]
  /** Whether the names of `ca` are sent to clients; those of other trusted authorities never are. */
  readonly announced: boolean
  /** Whether any certificate of `ca` is trusted without its root. */
  readonly partialChain: boolean
  readonly minVersion: SecureVersion
  readonly maxVersion: SecureVersion
  readonly ciphers: string
  readonly sessionTickets: boolean
  /** For how many milliseconds after the full handshake a session may be resumed. */
  readonly sessionTimeout: number
  readonly handshakeTimeout: number
  /** The OCSP answer to show with the server certificate of that DER; undefined where none is ever shown. */
  readonly stapleFor: StapleFor | undefined
}

export type StapleFor = (certificate: Buffer) => Buffer | undefined

export interface ServerKeyPair {
  /** Leaf first. */
  readonly certificates: readonly CertificateFacts[]
  readonly keyPem: string
}

/** A session of TLS 1.2 that a client would go on with. */
export interface OfferedSession {
  readonly ticket: Buffer
  /** Whether whoever has that certificate, in DER, may go on with a session. */
  isWelcome(certificate: Buffer): boolean
}

/** Certificates for one name with different types of keys: the client's signature algorithms choose one. */
export type ServerKeyPairs = readonly ServerKeyPair[]

/**
 * The TLS servers of one policy: one for each set of certificates, chosen by the server name before OpenSSL sees anything. An SNICallback would do
 * for names with one certificate. But node:tls takes only the first certificate of the context that it returns, and keeps the server's own
 * certificates for the other key types, which belong to another name. The servers share their ticket keys, so that a session can move from one name
 * to another.
 */
export class TlsServers {
  readonly #options: TlsOptions
  readonly #ticketKeys: TicketKeys
  readonly #servers = new Map<ServerKeyPairs, Server>()
  /** Those that resume nothing, for whoever could not be told in a resumed session of TLS 1.2 why he is refused. */
  readonly #forgetful = new Map<ServerKeyPairs, Server>()
  #keys: Buffer | undefined
  #made: (server: Server) => void = () => {}

  /** @throws what node:tls throws where the options or `fallback` cannot be used */
  constructor(options: TlsOptions, ticketKeys: TicketKeys, fallback: ServerKeyPairs) {
    this.#options = options
    this.#ticketKeys = ticketKeys
    this.#servers.set(fallback, createFor(options, fallback))
  }

  /** Calls back with each server, also with those made later. */
  each(made: (server: Server) => void): void {
    this.#made = made
    for (const server of this.#servers.values()) made(server)
  }

  /**
   * Begins the handshake on an accepted socket.
   * @param basis sessions that were made with another one are not resumed
   * @throws what node:tls throws where the certificates cannot be used
   */
  accept(socket: Socket, pairs: ServerKeyPairs, basis: string, offered?: OfferedSession): void {
    this.#renewKeys(basis)
    const shown = offered && this.#keys && certificateInTicket(offered.ticket, this.#keys)
    const server = shown && !offered.isWelcome(shown) ? this.#forgetfulFor(pairs) : this.#resumingFor(pairs)
    server.emit('connection', socket)
  }

  #renewKeys(basis: string): void {
    const keys = this.#ticketKeys.renewed(Date.now(), basis)
    if (!keys) return
    this.#keys = keys
    for (const each of this.#servers.values()) each.setTicketKeys(keys)
  }

  #resumingFor(pairs: ServerKeyPairs): Server {
    const known = this.#servers.get(pairs)
    if (known) return known
    const server = createFor(this.#options, pairs)
    if (this.#keys) server.setTicketKeys(this.#keys)
    return this.#keep(this.#servers, pairs, server)
  }

  #forgetfulFor(pairs: ServerKeyPairs): Server {
    const known = this.#forgetful.get(pairs)
    return known ?? this.#keep(this.#forgetful, pairs, createFor({ ...this.#options, sessionTickets: false }, pairs))
  }

  #keep(servers: Map<ServerKeyPairs, Server>, pairs: ServerKeyPairs, server: Server): Server {
    servers.set(pairs, server)
    this.#made(server)
    return server
  }
}

function createFor(options: TlsOptions, pairs: ServerKeyPairs): Server {
  const create = () =>
    createServer({
      ...secureContextOptions(options, pairs),
      ...(options.partialChain && { SNICallback: partialChains(options, pairs) }),
      requestCert: options.requestCert,
      // Only where the handshake goes on is it known what is wrong with a certificate. Who is admitted is decided afterwards.
      rejectUnauthorized: false,
      // As nginx: old clients offer only http/1.0, and a client that is offered nothing it knows must be refused (RFC 7301 3.2).
      ALPNProtocols: ['http/1.1', 'http/1.0'],
      handshakeTimeout: options.handshakeTimeout,
      sessionTimeout: Math.max(1, Math.round(options.sessionTimeout / 1000)),
    })
  const server = options.announced ? create() : trustingUnannounced(options.ca, create)
  if (options.stapleFor) staple(server, options.stapleFor)
  return server
}

/**
 * A server of node:tls ignores `allowPartialTrustChain`; only a context of its own can have it. That context is not used for clients without a server
 * name: then OpenSSL trusts only whole chains, and the policy verifies the others itself.
 */
function partialChains(options: TlsOptions, pairs: ServerKeyPairs): NonNullable<TlsServerOptions['SNICallback']> {
  const context = createSecureContext(secureContextOptions(options, pairs))
  return (_name, done) => done(null, context)
}

/** Only added where stapling is on: this listener costs each handshake a step. */
function staple(server: Server, stapleFor: StapleFor): void {
  type Done = (error: Error | null, response: Buffer | null) => void
  server.on('OCSPRequest', (certificate: Buffer, _issuer: Buffer, done: Done) => {
    done(null, stapleFor(certificate) ?? null)
  })
}

function secureContextOptions(options: TlsOptions, pairs: ServerKeyPairs): SecureContextOptions {
  const tickets = options.sessionTickets ? 0 : constants.SSL_OP_NO_TICKET
  // A client that prefers ChaCha20 has no AES in its processor: then its order counts and not ours.
  const secureOptions = constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_PRIORITIZE_CHACHA | tickets
  return {
    cert: pairs.map(({ certificates }) => withKnownIssuers(certificates, options.authorities)),
    key: pairs.map(({ keyPem }) => keyPem),
    ...(options.announced ? { ca: [...options.ca] } : {}),
    allowPartialTrustChain: options.partialChain,
    minVersion: options.minVersion,
    maxVersion: options.maxVersion,
    ciphers: options.ciphers,
    honorCipherOrder: true,
    secureOptions,
    sessionIdContext: options.id.slice(0, 32),
  }
}
