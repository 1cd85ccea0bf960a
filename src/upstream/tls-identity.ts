import type { LookupFunction, OnReadOpts, Socket } from 'node:net'
import { isIP, connect as tcpConnect } from 'node:net'
import type { ConnectionOptions, DetailedPeerCertificate, PeerCertificate, SecureContext, TLSSocket } from 'node:tls'
import { checkServerIdentity, connect as tlsConnect } from 'node:tls'
import { GatewayError } from '../errors.ts'
import { shortenRecords } from '../tls-cert-utils/records.ts'
import { boundRenewals } from '../tls-cert-utils/renewals.ts'
import type { UpstreamChain, UpstreamRevocation } from './revocation.ts'

/** Everything that decides who we are to an upstream, and whom we trust there. */
export interface UpstreamTls {
  /** The canonical text of the whole identity: trust store, the fingerprints of our certificate and its chain, name, depth, protocols. Never a short hash. */
  readonly identity: string
  readonly context: SecureContext
  /** The name that is sent as SNI and that the upstream's certificate must carry; an IP address is checked against IP SANs and not sent. */
  readonly verifyName: string
  /** nginx's `proxy_ssl_verify_depth`: how many intermediates may stand between the upstream's certificate and the trust anchor. */
  readonly verifyDepth: number
  /** Only ever false where a setting that begins with `unsafe_` says so. */
  readonly verify: boolean
  /** The revocation lists for each connection's chain; undefined where none are used. */
  readonly revocation: UpstreamRevocation | undefined
}

/** A port, or a Unix socket. */
export type UpstreamAddress = { readonly host: string; readonly port: number } | { readonly path: string }

/** The addresses of an upstream that is named. */
export interface Addresses {
  readonly lookup: LookupFunction
  /** Called with each that was given up for the next. */
  readonly unreachable: (address: string) => void
}

type Connected = (error: Error | null, socket: Socket | null) => void

/**
 * Opens one connection to an upstream, with a TLS handshake where `tls` is given. With `onread` the socket writes its bytes into a reused buffer,
 * passes them to that, and emits no 'data'.
 * @returns the connecting socket, for callers that want to destroy it
 */
export type Connector = (done: Connected, onread?: OnReadOpts) => Socket

/**
 * Creates the connector of one pool. It keeps the TLS sessions, so they are resumed only within one full TLS identity: a session of one client
 * certificate must not carry the requests of another.
 */
export function createConnector(
  address: UpstreamAddress,
  tls: UpstreamTls | undefined,
  timeout: number,
  name?: Addresses,
): Connector {
  // Tries all addresses of a name, one after the other, whatever Node's defaults are.
  const destination = { ...address, ...(name && { lookup: name.lookup, autoSelectFamily: true }) }
  if (!tls) {
    return (done, onread) => {
      const socket = tcpConnect({ ...destination, noDelay: true, keepAlive: true, ...(onread && { onread }) })
      tellOfAttempts(socket, name)
      return settle(socket, 'connect', timeout, done)
    }
  }
  // The dot of a name that is looked up in no search domain is no part of a server name (RFC 6066 3); servers written in Go refuse it.
  const servername = isIP(tls.verifyName) === 0 ? tls.verifyName.replace(/\.$/, '') : ''
  let kept: KeptSession | undefined
  return (done, onread) => {
    const offered = kept && Date.now() < kept.until ? kept : undefined
    const options: ConnectionOptions & { onread?: OnReadOpts } = {
      ...destination,
      servername,
      secureContext: tls.context,
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: tls.verify,
      checkServerIdentity: (_host, certificate) => identityError(tls, certificate),
      ...(offered ? { session: offered.session } : {}),
      ...(onread && { onread }),
    }
    const socket = tlsConnect(options)
    tellOfAttempts(socket, name)
    socket.setNoDelay(true)
    shortenRecords(socket)
    socket.setKeepAlive(true, 60_000)
    return settle(socket, 'secureConnect', timeout, (error, connected) => {
      const chain = error ? undefined : chainBehind(socket, offered, tls.revocation)
      const refusal = error ?? tls.revocation?.refusalOf(chain)
      if (refusal) {
        // A refused peer's session must not be offered again: a resumed handshake skips the check of the name.
        kept = undefined
        socket.on('error', ignore).destroy()
        done(refusal, null)
        return
      }
      const until = offered && socket.isSessionReused() ? offered.until : endOfSessions(socket)
      rememberSessions(socket, (session) => {
        kept = { session, until, chain }
      })
      boundRenewals(socket, (reason) => socket.destroy(new GatewayError('GW_UPSTREAM_RESPONSE', reason)))
      done(null, connected)
    })
  }
}

/** Node emits these where a name has several addresses. */
function tellOfAttempts(socket: Socket, name: Addresses | undefined): void {
  if (!name) return
  socket.on('connectionAttemptTimeout', name.unreachable)
  socket.on('connectionAttemptFailed', name.unreachable)
}

/** How long sessions are resumed after a full handshake, in milliseconds: as long as those of our own clients by default. */
const SESSION_TIMEOUT = 300_000

/** A resumed handshake verifies no certificate, and brings a new session: without an end, one that has expired would be good for ever. */
function endOfSessions(socket: TLSSocket): number {
  const expiry = socket.getPeerX509Certificate()?.validToDate.getTime() ?? 0
  return Math.min(expiry, Date.now() + SESSION_TIMEOUT)
}

interface KeptSession {
  readonly session: Buffer
  /** When it is of no use any more, in milliseconds since 1970; those that come from it have the same end. */
  readonly until: number
  /** The chain of the full handshake; known where lists are used. */
  readonly chain: UpstreamChain | undefined
}

function chainBehind(
  socket: TLSSocket,
  offered: KeptSession | undefined,
  revocation: UpstreamRevocation | undefined,
): UpstreamChain | undefined {
  return socket.isSessionReused() ? offered?.chain : revocation?.chainOf(socket)
}

function rememberSessions(socket: TLSSocket, keep: (session: Buffer) => void): void {
  const current = socket.getProtocol() === 'TLSv1.2' ? socket.getSession() : undefined
  if (current) keep(current)
  socket.on('session', keep)
}

/** Everything that `checkServerIdentity` checks in one handshake: the name (DNS or IP SANs), then the depth with nginx's counting. */
function identityError(tls: UpstreamTls, certificate: PeerCertificate): Error | undefined {
  if (!tls.verify) return undefined
  const wrongName = checkServerIdentity(tls.verifyName, certificate)
  if (wrongName) return wrongName
  const depth = intermediates(certificate as DetailedPeerCertificate)
  if (depth <= tls.verifyDepth) return undefined
  return Object.assign(
    new Error(`certificate chain too long: ${depth} intermediates, tls_verify_depth allows ${tls.verifyDepth}`),
    {
      code: 'CERT_CHAIN_TOO_LONG',
    },
  )
}

/** How many certificates stand between the leaf and the trust anchor; the anchor is the one that issued itself. */
function intermediates(leaf: DetailedPeerCertificate): number {
  let count = -1
  let current: DetailedPeerCertificate | undefined = leaf
  const seen = new Set<string>()
  while (current?.issuerCertificate && current.issuerCertificate !== current && !seen.has(current.fingerprint256)) {
    seen.add(current.fingerprint256)
    current = current.issuerCertificate
    count += 1
  }
  return Math.max(count, 0)
}

function settle(socket: Socket, ready: 'connect' | 'secureConnect', timeout: number, done: Connected): Socket {
  const timer = setTimeout(() => {
    socket.destroy(
      new GatewayError(
        'GW_UPSTREAM_TIMEOUT',
        `no ${ready === 'connect' ? 'connection' : 'TLS handshake'} within ${timeout} ms`,
      ),
    )
  }, timeout)
  const failed = (error: Error) => {
    clearTimeout(timer)
    done(error, null)
  }
  socket.once('error', failed)
  // Node reports a peer that hangs up in the handshake as an error; this catches one that it does not report.
  socket.once('close', closed)
  function closed() {
    failed(Object.assign(new Error('the upstream closed the connection in the handshake'), { code: 'ECONNRESET' }))
  }
  socket.once(ready, () => {
    clearTimeout(timer)
    socket.off('error', failed)
    socket.off('close', closed)
    done(null, socket)
  })
  socket.once('error', () => socket.off('close', closed))
  return socket
}

function ignore(): void {}
