import type { X509Certificate } from 'node:crypto'
import { type CertificateFacts, readCertificate } from './certificate.ts'
import { useOf } from './certificate-use.ts'

/** A certificate and its issuers, as far as they could be found. */
export interface Path {
  /** The certificate first, its root last. */
  readonly chain: readonly [CertificateFacts, ...CertificateFacts[]]
  /** How many of them the peer has sent. */
  readonly sentCount: number
  /** Whether it ends in a certificate that is trusted. */
  readonly isAnchored: boolean
}

/** OpenSSL's own limit. */
const MAX_CHAIN = 102

/** ssl_verify_depth allows 64 intermediates. This bounds what one handshake can make us look at. */
const MOST_SENT = 66

/** The certificates that a peer sent along with its own, in any order (RFC 8446 4.4.2): a root may stand before intermediates. */
export function sentWith(
  leaf: X509Certificate,
  { most = MOST_SENT, read = ({ raw }: X509Certificate) => readCertificate(raw) } = {},
): CertificateFacts[] {
  const sent: CertificateFacts[] = []
  let next = leaf.issuerCertificate
  while (next && sent.length < most) {
    sent.push(read(next))
    next = next.issuerCertificate
  }
  return sent
}

/**
 * How many look-alikes of issuers, in all of one path, are told apart by their signatures. A check may take 6 ms (RSA with an exponent as long as its
 * modulus, curves of 571 bits), and at each step all that a peer sent may fit. Beyond that it is as for OpenSSL, which looks at names and dates.
 */
const MOST_COMPARED = 32

/**
 * The path that OpenSSL finds from a peer's certificates to the trust store. Issuers from the trust store are preferred, and once one of them is
 * taken, the rest must come from there too. Where several fit, the one whose key signed is taken: a peer may send look-alikes. With `partialChain`
 * any certificate of the trust store ends the path, not only a root (X509_V_FLAG_PARTIAL_CHAIN). Without `bySignature` the first that is valid now is
 * taken, as by OpenSSL.
 */
export function findPath(
  sent: readonly [CertificateFacts, ...CertificateFacts[]],
  trusted: readonly CertificateFacts[],
  time: number,
  { partialChain = false, bySignature = true } = {},
): Path {
  const isTrusted = ({ raw }: CertificateFacts) => trusted.some((each) => each.raw.equals(raw))
  const [leaf, ...others] = sent
  const chain: [CertificateFacts, ...CertificateFacts[]] = [leaf]
  let sentCount = 1
  let left = MOST_COMPARED
  const hasSigned: Signed = (certificate, issuer) => left-- > 0 && isSignedBy(certificate, issuer)
  for (let current = leaf; chain.length < MAX_CHAIN; ) {
    if (partialChain && isTrusted(current)) return { chain, sentCount, isAnchored: true }
    if (isSelfSigned(current)) {
      const isAnchored = chain.length > sentCount || isTrusted(current)
      return { chain, sentCount, isAnchored }
    }
    const known = issuerAmong(trusted, current, time, { bySignature })
    const isFromPeer = known === undefined && sentCount === chain.length
    const unused = isFromPeer ? others.filter((other) => !chain.includes(other)) : []
    const issuer = known ?? issuerAmong(unused, current, time, { bySignature, hasSigned })
    if (issuer === undefined) break
    chain.push(issuer)
    if (isFromPeer) sentCount++
    current = issuer
  }
  return { chain, sentCount, isAnchored: false }
}

/**
 * The PEM to show to peers: where a certificate is configured alone, its issuers are added as far as the trust store has them. OpenSSL would add
 * these itself, but in each handshake it looks for them and verifies what it finds; that is a twentieth of a handshake.
 */
export function withKnownIssuers(own: readonly CertificateFacts[], trusted: readonly CertificateFacts[]): string {
  const [leaf, ...configured] = own
  const shown = leaf && configured.length === 0 ? findPath([leaf], trusted, Date.now()).chain : own
  return shown.map(({ pem }) => pem).join('')
}

/** @param issuers in the order of verification. Whoever is told of them trusts the root already, or not at all. */
export function withoutRoot(issuers: readonly CertificateFacts[]): readonly CertificateFacts[] {
  return issuers.at(-1)?.selfIssued ? issuers.slice(0, -1) : issuers
}

/**
 * How many intermediates stand between a certificate and its root. nginx's `ssl_verify_depth` bounds this since OpenSSL 1.1: depth 1 accepts leaf,
 * intermediate, root.
 */
export function intermediatesOf({ chain }: Pick<Path, 'chain'>): number {
  return Math.max(0, chain.length - 2)
}

/**
 * Whether each certificate that the peer sent along signed the one before it. OpenSSL has verified a chain but does not say which one: a path of ours
 * that OpenSSL cannot have taken must not be judged in its place.
 */
export function isSoundPath({ chain, sentCount, isAnchored }: Path): boolean {
  return isAnchored && chain.slice(1, sentCount).every((issuer, i) => isSignedBy(chain[i] as CertificateFacts, issuer))
}

/** Compares names, key identifiers and readable extensions. Node's checkIssued also wants keyCertSign, which OpenSSL checks only later. */
function isIssuedBy(certificate: CertificateFacts, issuer: CertificateFacts, hasSigned: Signed = isSignedBy): boolean {
  if (certificate.x509.checkIssued(issuer.x509)) return true
  if (useOf(issuer).maySign) return false
  return certificate.rawIssuer.equals(issuer.rawSubject) && hasSigned(certificate, issuer)
}

export function isSelfSigned(certificate: CertificateFacts): boolean {
  return certificate.selfIssued && isIssuedBy(certificate, certificate)
}

/**
 * Remembers who signed what, which never changes: checking it again costs a returning client a tenth of its handshake. Only for certificates that are
 * remembered elsewhere.
 */
const signed = new WeakMap<CertificateFacts, WeakSet<CertificateFacts>>()

export function isSignedBy(certificate: CertificateFacts, issuer: CertificateFacts): boolean {
  if (signed.get(certificate)?.has(issuer)) return true
  if (!verifies(certificate, issuer)) return false
  const issuers = signed.get(certificate) ?? new WeakSet()
  signed.set(certificate, issuers.add(issuer))
  return true
}

function verifies(certificate: CertificateFacts, issuer: CertificateFacts): boolean {
  try {
    return certificate.x509.verify(issuer.x509.publicKey)
  } catch {
    return false
  }
}

/** Whether a certificate is signed by an issuer, as {@link isSignedBy} says it. */
type Signed = (certificate: CertificateFacts, issuer: CertificateFacts) => boolean

function issuerAmong(
  candidates: readonly CertificateFacts[],
  certificate: CertificateFacts,
  time: number,
  { bySignature, hasSigned = isSignedBy }: { bySignature: boolean; hasSigned?: Signed },
): CertificateFacts | undefined {
  const named = candidates.filter((candidate) => isIssuedBy(certificate, candidate, hasSigned))
  if (named.length <= 1) return named[0]
  const signers = bySignature ? named.filter((candidate) => hasSigned(certificate, candidate)) : []
  const issuers = signers.length > 0 ? signers : named
  const inTime = issuers.find(({ notBefore, notAfter }) => notBefore <= time && time < notAfter)
  return inTime ?? issuers.toSorted((a, b) => b.notAfter - a.notAfter)[0]
}
