import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import { verifyStrictly } from '../tls-cert-utils/verify-strictly.ts'
import { type Shown, unverified } from './demand.ts'

/** Verifies certificates that came by another way than TLS, as a handshake would. Whether the client has the key remains unproved. */
export function seeSent(
  sent: readonly [CertificateFacts, ...CertificateFacts[]],
  trusted: readonly CertificateFacts[],
  partialChain: boolean,
): Shown {
  const [certificate] = sent
  const { code, chain } = verifyStrictly({ sent, trusted, partialChain })
  if (code !== undefined) return unverified(certificate, code)
  return { certificate, chain: chain.slice(1), error: undefined }
}
