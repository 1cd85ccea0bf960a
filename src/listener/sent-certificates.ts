import type { X509Certificate } from 'node:crypto'
import { type CertificateFacts, readCertificate } from '../tls-cert-utils/certificate.ts'
import { verifyStrictly } from '../tls-cert-utils/verify-strictly.ts'
import { type Shown, unverified } from './demand.ts'

/** Certificates that came by another way than TLS, as if a handshake had verified them. That the client has the key, nobody has proved. */
export function seeSent(
  sent: readonly [CertificateFacts, ...CertificateFacts[]],
  trusted: readonly CertificateFacts[],
  partialChain: boolean,
): Shown {
  const [certificate, ...issuers] = sent
  const { code, chain } = verifyStrictly({ sent, trusted, partialChain })
  if (code !== undefined) return unverified(certificate, code)
  const verified = chain.slice(1)
  const own = verified.filter(({ raw }) => issuers.some((issuer) => issuer.raw.equals(raw)))
  return { certificate, chain: verified, sent: own, error: undefined }
}

/** ssl_verify_depth allows 64 intermediates; it bounds what one handshake can make us look at. */
const MOST_SENT = 66

/** The certificates that a client sent along. */
export function sentWith(
  leaf: X509Certificate,
  { most = MOST_SENT, read = ({ raw }: X509Certificate) => readCertificate(raw) } = {},
): CertificateFacts[] {
  const sent: CertificateFacts[] = []
  let next = leaf.issuerCertificate
  while (next && sent.length < most) {
    const facts = read(next)
    sent.push(facts)
    next = facts.selfIssued ? undefined : next.issuerCertificate
  }
  return sent
}
