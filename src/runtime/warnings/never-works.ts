/** Finds what a configuration asks for although it can never work, so that a start can warn of it before clients notice. */
import { isIP } from 'node:net'
import type { CertificateFacts } from '../../tls-cert-utils/certificate.ts'
import { useOf } from '../../tls-cert-utils/certificate-use.ts'

/** Whether a certificate holds a server name. */
export function covers({ x509, alternativeNames }: CertificateFacts, name: string): boolean {
  // nginx's `_` and `www.example.*` are no names that a certificate could hold.
  if (name === '_' || name.endsWith('.*')) return true
  if (name.startsWith('*.'))
    return alternativeNames.some(({ type, value }) => type === 'dns' && value.toLowerCase() === name)
  return (isIP(name) === 0 ? x509.checkHost(name) : x509.checkIP(name)) !== undefined
}

/** Authorities in a trust store that are expired or not yet valid, as sentences; where another form of one counts, that is no harm. */
export function deadAuthorities(authorities: readonly CertificateFacts[], now: number): string[] {
  const isValid = ({ notBefore, notAfter }: CertificateFacts) => notBefore <= now && now <= notAfter
  const dead = authorities.filter((authority) => !isValid(authority))
  return dead.flatMap((authority) => {
    const { subject, notBefore, notAfter } = authority
    const isReplaced = authorities.some((other) => isValid(other) && isSameAuthority(other, authority))
    if (notAfter < now) {
      const meaning = isReplaced
        ? 'its renewed form beside it counts, and this one can be removed'
        : 'nobody whom it certified is believed; replace it'
      return [`the authority ${subject} expired on ${iso(notAfter)}: ${meaning}`]
    }
    if (isReplaced) return []
    return [
      `the authority ${subject} is not valid before ${iso(notBefore)}: until then nobody whom it certified is believed`,
    ]
  })
}

/** Whose certificate was renewed with its key. */
function isSameAuthority(one: CertificateFacts, other: CertificateFacts): boolean {
  return one.rawSubject.equals(other.rawSubject) && one.publicKeySha256 === other.publicKeySha256
}

/** Says so where a certificate that is presented to APIs is not meant for that. */
export function notForClients(certificate: CertificateFacts): string | undefined {
  if (useOf(certificate).mayBeClient) return undefined
  return `${certificate.subject} is not meant for TLS clients (extended key usage clientAuth, key usage digitalSignature): an API that demands a certificate will refuse it; have one issued that is`
}

/** The same of one that is shown to clients. */
export function notForServers(certificate: CertificateFacts): string | undefined {
  if (useOf(certificate).mayBeServer) return undefined
  return `${certificate.subject} is not meant for TLS servers (extended key usage serverAuth, key usage digitalSignature): clients will refuse it; have one issued that is`
}

/** Authorities in a trust store that OpenSSL's security level 2, which is the default, refuses as a part of any chain (SSL_CTX_set_security_level(3)). */
export function weakAuthorities(authorities: readonly CertificateFacts[], ciphers: string): string[] {
  if (/@SECLEVEL=[01]/.test(ciphers)) return []
  return authorities.flatMap((authority) => {
    const { isAuthority, hasWeakKey, hasWeakSignature, describesCurve } = useOf(authority)
    if (!isAuthority) return []
    const { subject, selfIssued } = authority
    // A root's own signature is not looked at.
    const weakness = hasWeakKey
      ? 'has too short a key (RSA below 2,048 bits)'
      : describesCurve
        ? 'has a key that describes a curve and names none'
        : hasWeakSignature && !selfIssued && 'is signed with too weak a digest (SHA-1 or MD5)'
    return weakness ? [`the authority ${subject} ${weakness}: nobody whom it certified is believed; replace it`] : []
  })
}

/**
 * Authorities in a trust store without a root in it, as sentences. Unless partial chains are allowed, OpenSSL accepts only a root as the end of a
 * chain.
 */
export function rootlessAuthorities(authorities: readonly CertificateFacts[]): string[] {
  return rootless(authorities).map((authority) => {
    const { subject, issuer } = authority
    return useOf(authority).isAuthority
      ? `the issuer of ${subject}, ${issuer}, is not there: nobody whom ${subject} certified is let in, unless he sends it and it leads to another authority here; add it, or set allow_partial_chain`
      : `${subject} is no authority (basicConstraints CA:TRUE) and lets nobody in; name the authority that certified it, ${issuer}`
  })
}

/** The same of the authorities of APIs, as sentences. Often the API's own certificate is named, which other programs trust then. */
export function rootlessAuthoritiesOfApis(authorities: readonly CertificateFacts[]): string[] {
  return rootless(authorities).map((certificate) =>
    useOf(certificate).isAuthority
      ? `the issuer of ${certificate.subject}, ${certificate.issuer}, is not there: no API whom ${certificate.subject} certified is trusted; add it`
      : `${certificate.subject} is no authority (basicConstraints CA:TRUE), so that no API is trusted for it; name the authority that certified it, ${certificate.issuer}`,
  )
}

function rootless(authorities: readonly CertificateFacts[]): CertificateFacts[] {
  const subjects = new Set(authorities.map(({ subject }) => subject))
  const roots = authorities.filter(({ selfIssued }) => selfIssued)
  // Of a root and what another authority made of it, OpenSSL takes the form that is valid for longer.
  const isRoot = (one: CertificateFacts) =>
    roots.some((root) => isSameAuthority(root, one) && root.notAfter >= one.notAfter)
  return authorities.filter((one) => !one.selfIssued && !subjects.has(one.issuer) && !isRoot(one))
}

/** A certificate that is followed by another than its issuer, where clients need not look for it (RFC 5246 7.4.2). As a sentence. */
export function misplacedIssuer(chain: readonly CertificateFacts[]): string | undefined {
  const at = chain.findIndex((each, i) => {
    const next = chain[i + 1]
    if (next === undefined || each.selfIssued) return false
    // Of an authority that several have certified, each form may follow.
    return !each.x509.checkIssued(next.x509) && !(i > 0 && isSameAuthority(each, next))
  })
  const [certificate, next] = [chain[at], chain[at + 1]]
  if (!certificate || !next) return undefined
  return `${certificate.subject} is followed by ${next.subject}, which did not issue it: some clients will not trust it; put the certificate of ${certificate.issuer} between them`
}

/** An intermediate that is known here and is not sent with what it issued, as openssl's `x509` writes a certificate: alone. As a sentence. */
export function missingIssuer(
  chain: readonly CertificateFacts[],
  intermediates: ReadonlyMap<string, CertificateFacts>,
): string | undefined {
  const last = chain.at(-1)
  const issuer = last && !last.selfIssued ? intermediates.get(last.issuer) : undefined
  if (!issuer || !last?.x509.verify(issuer.x509.publicKey)) return undefined
  return `${issuer.subject}, which issued ${last.subject} and is no root, does not follow it: whoever knows only the root will not trust it; append the certificate of ${issuer.subject}`
}

function iso(time: number): string {
  return Number.isFinite(time) ? new Date(time).toISOString() : 'an unreadable date'
}
