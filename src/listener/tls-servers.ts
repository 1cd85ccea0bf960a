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
}

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

/** What is shown to clients of one name. Each is one object for as long as some name shows just that, over reloads too: a TLS context belongs to it. */
export interface ServerCertificates {
  /** With different types of keys: the client's signature algorithms choose one. */
  readonly pairs: readonly ServerKeyPair[]
  /** The OCSP answer to show with the certificate of that DER; undefined where none is ever shown. */
  readonly stapleFor: ((certificate: Buffer) => Buffer | undefined) | undefined
}

/** A server, and the ticket keys that it was given last. */
interface Made {
  readonly server: Server
  keys: Buffer | undefined
}

/**
 * The TLS servers of one policy: one for each set of certificates, chosen by the server name before OpenSSL sees anything. An SNICallback would do
 * for names with one certificate. But node:tls takes only the first certificate of the context that it returns, and keeps the server's own
 * certificates for the other key types, which belong to another name. The servers share their ticket keys, so that a session can move from one name
 * to another, and outlives a certificate that is renewed.
 */
export class TlsServers {
  readonly #options: TlsOptions
  readonly #ticketKeys: TicketKeys
  readonly #servers = new Map<ServerCertificates, Made>()
  /** Those that resume nothing, for whoever could not be told in a resumed session of TLS 1.2 why he is refused. */
  readonly #forgetful = new Map<ServerCertificates, Made>()
  #keys: Buffer | undefined
  /** Called with each server before it is used. */
  onNew: ((server: Server) => void) | undefined

  constructor(options: TlsOptions, ticketKeys: TicketKeys) {
    this.#options = options
    this.#ticketKeys = ticketKeys
  }

  /** @throws what node:tls throws where the options or the certificates cannot be used */
  assertUsable(certificates: ServerCertificates): void {
    if (!this.#servers.has(certificates)) createFor(this.#options, certificates)
  }

  /** Forgets the servers of other certificates than these. */
  keepOnly(certificates: ReadonlySet<ServerCertificates>): void {
    for (const servers of [this.#servers, this.#forgetful])
      for (const each of servers.keys()) if (!certificates.has(each)) servers.delete(each)
  }

  /**
   * Begins the handshake on an accepted socket.
   * @param basis sessions that were made with another one are not resumed
   * @throws what node:tls throws where the certificates cannot be used
   */
  accept(socket: Socket, certificates: ServerCertificates, basis: string, offered?: OfferedSession): void {
    this.#keys = this.#ticketKeys.renewed(Date.now(), basis) ?? this.#keys
    const shown = offered && this.#keys && certificateInTicket(offered.ticket, this.#keys)
    const server =
      shown && !offered.isWelcome(shown) ? this.#forgetfulFor(certificates) : this.#resumingFor(certificates)
    server.emit('connection', socket)
  }

  /** Ten thousand servers are not given new keys at once, but each with its next client. */
  #resumingFor(certificates: ServerCertificates): Server {
    const made = this.#madeFor(this.#servers, certificates, this.#options)
    if (this.#keys && made.keys !== this.#keys) made.server.setTicketKeys(this.#keys)
    made.keys = this.#keys
    return made.server
  }

  #forgetfulFor(certificates: ServerCertificates): Server {
    return this.#madeFor(this.#forgetful, certificates, { ...this.#options, sessionTickets: false }).server
  }

  #madeFor(servers: Map<ServerCertificates, Made>, certificates: ServerCertificates, options: TlsOptions): Made {
    const known = servers.get(certificates)
    if (known) return known
    const made = { server: createFor(options, certificates), keys: undefined }
    servers.set(certificates, made)
    this.onNew?.(made.server)
    return made
  }
}

function createFor(options: TlsOptions, { pairs, stapleFor }: ServerCertificates): Server {
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
  if (stapleFor) staple(server, stapleFor)
  return server
}

/**
 * A server of node:tls ignores `allowPartialTrustChain`; only a context of its own can have it. That context is not used for clients without a server
 * name: then OpenSSL trusts only whole chains, and the policy verifies the others itself.
 */
function partialChains(
  options: TlsOptions,
  pairs: readonly ServerKeyPair[],
): NonNullable<TlsServerOptions['SNICallback']> {
  const context = createSecureContext(secureContextOptions(options, pairs))
  return (_name, done) => done(null, context)
}

/** Only added where stapling is on: this listener costs each handshake a step. */
function staple(server: Server, stapleFor: NonNullable<ServerCertificates['stapleFor']>): void {
  type Done = (error: Error | null, response: Buffer | null) => void
  server.on('OCSPRequest', (certificate: Buffer, _issuer: Buffer, done: Done) => {
    done(null, stapleFor(certificate) ?? null)
  })
}

function secureContextOptions(options: TlsOptions, pairs: readonly ServerKeyPair[]): SecureContextOptions {
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
