import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import { verifyStrictly } from '../tls-cert-utils/verify-strictly.ts'
import { type Shown, unverified } from './demand.ts'

/** Verifies certificates that came by another way than TLS, as a handshake would. Whether the client has the key remains unproved. */
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
