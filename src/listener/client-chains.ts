/** By which issuers the certificates of a policy's clients were verified. */
import { hash, type X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { type CertificateFacts, readCertificate } from '../tls-cert-utils/certificate.ts'
import { readCertificates } from '../tls-cert-utils/certificates.ts'
import { findPath, isSoundPath, sentWith } from '../tls-cert-utils/chain.ts'
import { FORGIVEN_BY_OPTIONAL_NO_CA } from '../tls-cert-utils/verify-errors.ts'
import { type Shown, unverified } from './demand.ts'
import type { Intermediates } from './intermediates.ts'
import { type KnownChain, KnownClients } from './known-clients.ts'
import { seeSent } from './sent-certificates.ts'

/** Whom a policy trusts to certify clients. */
export interface TrustedAuthorities {
  /** PEM, one certificate each. */
  readonly ca: readonly string[]
  /** PEM, one certificate each: trusted like `ca`, but unknown to OpenSSL, which would announce them with those. */
  readonly unannounced: readonly string[]
  /** Whether any certificate of these is trusted without its root. */
  readonly partialChain: boolean
  readonly verifyDepth: number
}

/** What a client has shown, where that is known already, or its own certificate. */
export type PeerCertificate = Shown | X509Certificate

/** OpenSSL checks these last, so it reports them whatever else is wrong. */
export const FOUND_LAST: ReadonlySet<string> = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
  'CERT_NOT_YET_VALID',
  'CERT_HAS_EXPIRED',
  'ERROR_IN_CERT_NOT_BEFORE_FIELD',
  'ERROR_IN_CERT_NOT_AFTER_FIELD',
])

/** OpenSSL's errors for a missing issuer, which we may know. */
const ISSUER_UNKNOWN: ReadonlySet<string> = new Set([...FORGIVEN_BY_OPTIONAL_NO_CA, 'UNABLE_TO_GET_ISSUER_CERT'])

/** The error of a resumed session whose chain nobody knows any more. */
export const FORGOTTEN = 'SESSION_FORGOTTEN'

/**
 * What the clients of one policy have shown, and by which issuers that was verified: those that OpenSSL used, which it does not tell, or those that we
 * know beyond OpenSSL. Nothing here judges.
 */
export class ClientChains {
  /** The certificates of `ca`. */
  readonly authorities: readonly CertificateFacts[]
  readonly #options: TrustedAuthorities
  /** SHA-256 of the authorities that OpenSSL knows: thousands of connections are compared with them at once. */
  readonly #authorityDigests: ReadonlySet<string>
  readonly #trustedDigests: ReadonlySet<string>
  readonly #trusted: readonly CertificateFacts[]
  readonly #intermediates: Intermediates
  readonly #clients = new KnownClients()

  constructor(options: TrustedAuthorities, intermediates: Intermediates) {
    this.#options = options
    this.#intermediates = intermediates
    this.authorities = options.ca.flatMap((pem) => readCertificates(pem))
    this.#authorityDigests = digestsOf(this.authorities)
    this.#trusted = [...this.authorities, ...options.unannounced.flatMap((pem) => readCertificates(pem))]
    this.#trustedDigests = digestsOf(this.#trusted)
  }

  readonly isTrusted = ({ fingerprintSha256 }: CertificateFacts): boolean => this.#trustedDigests.has(fingerprintSha256)

  /** The client's own certificate in this handshake, or in the one that it resumes. To be asked as soon as the handshake is finished. */
  certificateOf(socket: TLSSocket): PeerCertificate | undefined {
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
    if (socket.isSessionReused()) return this.#seeResumed(certificate) ?? unverified(certificate, FORGOTTEN)
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
    for (const issuer of chain) if (!this.isTrusted(issuer)) this.#intermediates.add(issuer)
    this.#clients.keepChain(certificate, { chain, certain: undefined }, true)
    return shown
  }

  /** What whoever has that certificate (DER) showed in the session that he offers to go on with. */
  seeOffered(raw: Buffer): Shown {
    const certificate = this.#clients.certificate(hash('sha256', raw)) ?? readCertificate(raw)
    return this.#seeResumed(certificate) ?? unverified(certificate, 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY')
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
    if (shown.error !== undefined || this.isTrusted(anchorOf(shown))) return shown
    return this.#verifiedAgain(shown)
  }

  #verifiedAgain(shown: Shown): Shown {
    const again = this.seeSent([shown.certificate, ...shown.chain])
    return again.error === undefined ? again : shown
  }

  /** Whether a chain that another policy's authorities have verified ends at one that is trusted here too. */
  endsHere(shown: Shown, others: ClientChains): boolean {
    const anchor = anchorOf(shown)
    if (!anchor.selfIssued && !this.#options.partialChain) return false
    // It is unknown how our own verifier would judge a chain that it has not seen.
    const isOpenssls = others.#authorityDigests.has(anchor.fingerprintSha256)
    return (isOpenssls ? this.#authorityDigests : this.#trustedDigests).has(anchor.fingerprintSha256)
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

/** When the first of a chain ends, in milliseconds since the epoch. */
export function earliestEnd(certificate: CertificateFacts, chain: readonly CertificateFacts[]): number {
  return chain.reduce((earliest, { notAfter }) => Math.min(earliest, notAfter), certificate.notAfter)
}
