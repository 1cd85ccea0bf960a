import { hash, type X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { type CertificateFacts, readCertificate } from '../tls-cert-utils/certificate.ts'
import { readCertificates } from '../tls-cert-utils/certificates.ts'
import { findPath, isSoundPath, sentWith } from '../tls-cert-utils/chain.ts'
import { weaknessesOf } from '../tls-cert-utils/verify.ts'
import { FORGIVEN_BY_OPTIONAL_NO_CA } from '../tls-cert-utils/verify-errors.ts'
import type { Connection, Verification, VerifyMode } from '../types.ts'
import { accepts } from './admission.ts'
import { type DemandsInForce, type Failure, failed, type Shown, unverified } from './demand.ts'
import type { Intermediates } from './intermediates.ts'
import { type KnownChain, KnownClients } from './known-clients.ts'
import { type Requirement, tooDeep } from './requirements.ts'
import { seeSent } from './sent-certificates.ts'
import { TicketKeys, type TicketSecret } from './ticket-keys.ts'
import { type ServerCertificates, type TlsOptions, TlsServers } from './tls-servers.ts'

/** Everything that makes up a trust policy: two servers share one where all of this is the same, whatever certificates they show. */
export interface TrustPolicyOptions extends Omit<TlsOptions, 'requestCert' | 'authorities'> {
  readonly verify: VerifyMode
  /** PEM, one certificate each: trusted like `ca`, but unknown to OpenSSL, which would announce them with those. */
  readonly unannounced: readonly string[]
  /** Whether the handshake fails where `verify` is not satisfied. */
  readonly rejects: boolean
  /** What is required of a certificate besides being issued by one of `ca`; it does not change while the id is the same. */
  readonly requirement: Requirement
  /** Names the demands beyond OpenSSL's verification; it differs where the demands differ. Their data, such as lists, may change. */
  readonly demands: string
  readonly verifyDepth: number
}

export interface Judgement {
  readonly verification: Verification
  /** When it must be judged again, in milliseconds since the epoch; Infinity where time changes nothing. */
  readonly until: number
}

/** What all policies of a process share. */
export interface PolicySurroundings {
  readonly inForce: DemandsInForce
  readonly intermediates: Intermediates
  /** What ticket keys are derived from, and what separates sessions. */
  readonly ticketSecret: TicketSecret
  readonly sessionContext: string
}

/** What a client has shown, where that is known already, or its own certificate. */
export type PeerCertificate = Shown | X509Certificate

/** OpenSSL checks these last, so it reports them whatever else is wrong. */
const FOUND_LAST: ReadonlySet<string> = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
  'CERT_NOT_YET_VALID',
  'CERT_HAS_EXPIRED',
  'ERROR_IN_CERT_NOT_BEFORE_FIELD',
  'ERROR_IN_CERT_NOT_AFTER_FIELD',
])

/** OpenSSL's errors for a missing issuer, which we may know. */
const ISSUER_UNKNOWN: ReadonlySet<string> = new Set([...FORGIVEN_BY_OPTIONAL_NO_CA, 'UNABLE_TO_GET_ISSUER_CERT'])

const NONE: Verification = Object.freeze({ result: 'NONE' })
const SUCCESS: Verification = Object.freeze({ result: 'SUCCESS' })
const EXPIRED = failed('CERT_HAS_EXPIRED')
const ALWAYS = Number.POSITIVE_INFINITY

/**
 * One way to judge clients, with TLS servers and session ticket keys of its own. Node resumes a session across server names and reports it as
 * authorized although the other name trusts other CAs (the class of CVE-2025-23419). Tickets that no other policy can read make that impossible. The
 * servers never listen: they are given accepted sockets.
 */
export class TrustPolicy {
  readonly id: string
  readonly verify: VerifyMode
  readonly rejects: boolean
  readonly servers: TlsServers
  readonly #options: TrustPolicyOptions
  /** SHA-256 of the authorities that OpenSSL knows: thousands of connections are compared with them at once. */
  readonly #authorityDigests: ReadonlySet<string>
  readonly #trustedDigests: ReadonlySet<string>
  readonly #trusted: readonly CertificateFacts[]
  readonly #intermediates: Intermediates
  readonly #inForce: DemandsInForce
  readonly #clients = new KnownClients()

  constructor(
    options: TrustPolicyOptions,
    { inForce, intermediates, ticketSecret, sessionContext }: PolicySurroundings,
  ) {
    this.id = options.id
    this.verify = options.verify
    this.rejects = options.rejects
    this.#options = options
    this.#inForce = inForce
    this.#intermediates = intermediates
    const authorities = options.ca.flatMap((pem) => readCertificates(pem))
    this.#authorityDigests = digestsOf(authorities)
    this.#trusted = [...authorities, ...options.unannounced.flatMap((pem) => readCertificates(pem))]
    this.#trustedDigests = digestsOf(this.#trusted)
    const ticketKeys = new TicketKeys(ticketSecret, sessionContext, Math.max(1000, options.sessionTimeout))
    this.servers = new TlsServers({ ...options, authorities, requestCert: options.verify !== 'off' }, ticketKeys)
  }

  /** Begins the handshake on an accepted socket. @param ticket of a session of TLS 1.2 that the client offers */
  accept(socket: Socket, certificates: ServerCertificates, ticket: Buffer | undefined): void {
    // Whom it answers is told in HTTP, in a resumed session as well.
    const offered = ticket && this.rejects ? { ticket, isWelcome: this.#isWelcome } : undefined
    this.servers.accept(socket, certificates, this.#inForce.basis(), offered)
  }

  /** Whoever is not has a full handshake, where he can be told why: as his certificate has ended since, or his chain is forgotten. */
  readonly #isWelcome = (raw: Buffer): boolean => {
    const certificate = this.#clients.certificate(hash('sha256', raw)) ?? readCertificate(raw)
    const shown = this.#seeResumed(certificate) ?? unverified(certificate, 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY')
    return accepts(this.verify, this.judge(shown).verification)
  }

  readonly #isTrusted = ({ fingerprintSha256 }: CertificateFacts): boolean =>
    this.#trustedDigests.has(fingerprintSha256)

  /** Replaces the demands of all policies with this id. Open connections must be judged again then. */
  demand(demands: DemandsInForce): void {
    Object.assign(this.#inForce, demands)
  }

  /** The client's own certificate in this handshake, or in the one that it resumes. To be asked as soon as the handshake is finished. */
  certificateOf(socket: TLSSocket): PeerCertificate | undefined {
    if (this.verify === 'off') return undefined
    return this.#clients.recognized(socket) ?? socket.getPeerX509Certificate()
  }

  /** What the client showed with that certificate, if any. */
  see(socket: TLSSocket, peer: PeerCertificate | undefined): Shown | undefined {
    if (!peer) return undefined
    // An authority may have ended since the handshake.
    if ('chain' in peer) return this.renewed(peer)
    // A certificate is read once: clients come back.
    const known = this.#clients.certificate(plainFingerprint(peer))
    const certificate = known ?? readCertificate(peer.raw)
    const shown = this.#seeOne(socket, certificate, peer)
    if (!known && shown.error === undefined) this.#clients.keep(certificate)
    return shown
  }

  #seeOne(socket: TLSSocket, certificate: CertificateFacts, x509: X509Certificate): Shown {
    // The session itself holds OpenSSL's verdict.
    if (!socket.authorized) return this.#seeRefused(socket, certificate, x509)
    if (socket.isSessionReused()) return this.#seeResumed(certificate) ?? unverified(certificate, FORGOTTEN.code)
    const found = this.#chainOf(certificate, x509)
    if (!found) return unverified(certificate, 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY')
    this.#clients.keepChain(certificate, found, x509.issuerCertificate !== undefined)
    return { certificate, chain: found.chain, error: undefined }
  }

  /** Undefined where nobody knows its chain any more. */
  #seeResumed(certificate: CertificateFacts): Shown | undefined {
    const chain = this.#clients.chainOf(certificate) ?? this.#rebuiltChainOf(certificate)
    return chain && this.renewed({ certificate, chain, error: undefined })
  }

  /**
   * OpenSSL has proved that the client has its key, but refused its chain. Where that may be for lack of an issuer that is trusted here, the chain is
   * verified as if it had come by another way: strictly, so that no client is admitted whom OpenSSL would have refused had it known all issuers.
   */
  #seeRefused(socket: TLSSocket, certificate: CertificateFacts, x509: X509Certificate): Shown {
    const error = String(socket.authorizationError)
    const { unannounced, partialChain, verifyDepth } = this.#options
    const knowsMore = unannounced.length > 0 || partialChain
    const isResumed = socket.isSessionReused()
    // Strangers get here, and each look-alike of an issuer costs a signature check. A chain that may pass has no more certificates than this, besides
    // its root.
    const sentAlong = () => sentWith(x509, { most: verifyDepth + 2 })
    if (!ISSUER_UNKNOWN.has(error)) {
      if (FOUND_LAST.has(error)) return unverified(certificate, error)
      // OpenSSL has found a chain, and checks it against the lists whatever else is wrong.
      const found = isResumed ? this.#rebuiltChainOf(certificate) : this.#pathOf(certificate, sentAlong())?.issuers
      return found ? { certificate, chain: found, error } : unverified(certificate, error)
    }
    if (!knowsMore) return unverified(certificate, error)
    const known = isResumed ? this.#clients.chainOf(certificate) : undefined
    if (known) return { certificate, chain: known, error: undefined }
    const issuers = isResumed ? this.#intermediates.all : sentAlong()
    const shown = this.seeSent([certificate, ...issuers])
    if (shown.error !== undefined) return ISSUER_UNKNOWN.has(shown.error) ? unverified(certificate, error) : shown
    const { chain } = shown
    for (const issuer of chain) if (!this.#trustedDigests.has(issuer.fingerprintSha256)) this.#intermediates.add(issuer)
    this.#clients.keepChain(certificate, { chain, certain: undefined }, true)
    return shown
  }

  /** What a client sent by another way than TLS: no handshake has verified it, or that the client has its key. */
  seeSent(sent: readonly [CertificateFacts, ...CertificateFacts[]]): Shown {
    return seeSent(sent, this.#trusted, this.#options.partialChain)
  }

  /** What an authority has verified that is over since, as its renewed form verifies it where that is trusted as well; otherwise `shown` itself. */
  renewed(shown: Shown, now = Date.now()): Shown {
    const { certificate, chain, error } = shown
    if (error !== undefined || earliestEnd(certificate, chain) > now || certificate.notAfter <= now) return shown
    return this.#verifiedAgain(shown)
  }

  /** What an authority has verified that is not trusted here, as its renewed form verifies it where that one is; otherwise `shown` itself. */
  verifiedHere(shown: Shown): Shown {
    if (shown.error !== undefined || this.#trustedDigests.has(anchorOf(shown).fingerprintSha256)) return shown
    return this.#verifiedAgain(shown)
  }

  #verifiedAgain(shown: Shown): Shown {
    const again = this.seeSent([shown.certificate, ...shown.chain])
    return again.error === undefined ? again : shown
  }

  /**
   * Whether what was verified for a client of another policy also holds here, so that no new handshake is needed: certificates are asked for here
   * too, and its chain ends at an authority that is trusted here. Its signatures do not change.
   */
  holdsFor(shown: Shown | undefined, { verification }: Connection, other: TrustPolicy): boolean {
    const [own, others] = [this.#options, other.#options]
    const isSameTls = (['minVersion', 'maxVersion', 'ciphers'] as const).every((name) => own[name] === others[name])
    if (!isSameTls || (own.verify === 'off') !== (others.verify === 'off')) return false
    if (!shown) return verification.result === 'NONE' && this.verify !== 'on'
    if (shown.error !== undefined || verification.result !== 'SUCCESS') return false
    const anchor = anchorOf(shown)
    if (!anchor.selfIssued && !own.partialChain) return false
    // It is unknown how our own verifier would judge a chain that it has not seen.
    const isOpenssls = other.#authorityDigests.has(anchor.fingerprintSha256)
    if (!(isOpenssls ? this.#authorityDigests : this.#trustedDigests).has(anchor.fingerprintSha256)) return false
    // Not where a responder is asked from now on, for example: the client's next handshake waits for the answer, or finds it.
    return this.prepare(shown) === undefined
  }

  /** What must be awaited before a client can be judged; undefined for nothing, as nearly always. */
  prepare(shown: Shown | undefined): Promise<unknown> | undefined {
    if (!shown) return undefined
    const waits = this.#inForce.demands.flatMap((demand) => demand.prepare?.(shown) ?? [])
    return waits.length > 0 ? Promise.all(waits) : undefined
  }

  /** nginx's $ssl_client_verify for a client now; a missing certificate comes before anything that OpenSSL reports. */
  judge(shown: Shown | undefined, now = Date.now()): Judgement {
    if (!shown) return { verification: NONE, until: ALWAYS }
    const { verification, until } = this.#judgeTrust(shown, now)
    // optional_no_ca forgives only that the authority is unknown, not what else may be wrong.
    const decided = verification.result === 'FAILED' && !FORGIVEN_BY_OPTIONAL_NO_CA.has(verification.code)
    return { verification: decided ? verification : (this.#options.requirement(shown) ?? verification), until }
  }

  #judgeTrust(shown: Shown, now: number): Judgement {
    const { certificate, chain, error } = shown
    // optional_no_ca forgives it, until the certificate ends.
    const isUnverified = error === 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'
    if (error !== undefined && FOUND_LAST.has(error) && !isUnverified) {
      return { verification: failed(error), until: ALWAYS }
    }
    let until = earliestEnd(certificate, chain)
    if (until <= now) return { verification: EXPIRED, until: ALWAYS }
    if (isUnverified) return { verification: failureOf(error, shown), until }
    let failure = error === undefined ? tooDeep(shown, this.#options.verifyDepth, this.#isTrusted) : undefined
    for (const demand of this.#inForce.demands) {
      if (failure) break
      const opinion = demand(shown, now)
      failure = opinion.failure
      until = Math.min(until, opinion.until)
    }
    return { verification: failure ?? (error === undefined ? SUCCESS : failureOf(error, shown)), until }
  }

  /** The issuers that OpenSSL has just verified; undefined where our own path may differ from OpenSSL's. */
  #chainOf(certificate: CertificateFacts, x509: X509Certificate): KnownChain | undefined {
    // Only those that were verified are known: whoever has one certificate could send any number of others along.
    const read = (each: X509Certificate) =>
      this.#intermediates.find(plainFingerprint(each)) ?? readCertificate(each.raw)
    const sent = sentWith(x509, { read })
    const found = this.#pathOf(certificate, sent)
    for (const issuer of found?.fromPeer ?? []) this.#intermediates.add(issuer)
    if (!found) return undefined
    const certain = found.fromPeer.length === 0 ? this.#certainTime(certificate, found.issuers) : undefined
    return { chain: found.issuers, certain }
  }

  #certainTime(certificate: CertificateFacts, chain: Shown['chain'], now = Date.now()): KnownChain['certain'] {
    const nextBegin = (next: number, { notBefore }: CertificateFacts) =>
      notBefore > now ? Math.min(next, notBefore) : next
    return { from: now, until: this.#trusted.reduce(nextBegin, earliestEnd(certificate, chain)) }
  }

  #pathOf(
    certificate: CertificateFacts,
    sent: readonly CertificateFacts[],
  ): { issuers: Shown['chain']; fromPeer: Shown['chain'] } | undefined {
    const path = findPath([certificate, ...sent], this.#trusted, Date.now(), this.#options)
    if (!isSoundPath(path)) return undefined
    return { issuers: path.chain.slice(1), fromPeer: path.chain.slice(1, path.sentCount) }
  }

  #rebuiltChainOf(certificate: CertificateFacts): Shown['chain'] | undefined {
    return this.#pathOf(certificate, this.#intermediates.all)?.issuers
  }
}

/** As `CertificateFacts.fingerprintSha256`. */
function plainFingerprint({ fingerprint256 }: X509Certificate): string {
  return fingerprint256.replaceAll(':', '').toLowerCase()
}

function digestsOf(certificates: readonly CertificateFacts[]): ReadonlySet<string> {
  return new Set(certificates.map(({ fingerprintSha256 }) => fingerprintSha256))
}

function anchorOf({ certificate, chain }: Shown): CertificateFacts {
  return chain.at(-1) ?? certificate
}

function earliestEnd(certificate: CertificateFacts, chain: readonly CertificateFacts[]): number {
  return chain.reduce((earliest, { notAfter }) => Math.min(earliest, notAfter), certificate.notAfter)
}

const FORGOTTEN = failed('SESSION_FORGOTTEN', { reason: 'session is not known any more, a full handshake is needed' })

/** Hints for the log where OpenSSL's sentence says little; `inspect` says more. Without names, which a stranger could make long. */
const REMEDIES: Readonly<Record<string, string>> = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its issuer is neither sent along by the client nor in ssl_client_certificate',
  SELF_SIGNED_CERT_IN_CHAIN: 'its root is not in ssl_client_certificate',
  INVALID_PURPOSE: 'it, or an issuer of it, is not meant for TLS clients: see its extended key usage',
}

function failureOf(error: string, { certificate, chain }: Shown): Failure {
  if (error === FORGOTTEN.code) return FORGOTTEN
  // Node has no name for what OpenSSL finds too weak.
  const hint = error === 'UNSPECIFIED' ? weaknessesOf([certificate, ...chain]) : (REMEDIES[error] ?? '')
  return failed(error, hint ? { hint } : {})
}
