import type { CertificateFacts } from './certificate.ts'
import {
  ANY_POLICY,
  CERTIFICATE_POLICIES,
  INHIBIT_ANY_POLICY,
  readCertificatePolicies,
  readExtensions,
} from './extensions.ts'

/**
 * Whether a verified chain was issued under one of these policies: the client's certificate names it, and every authority below the trust anchor
 * names it too, or anyPolicy. This is stricter than RFC 5280 6.1, never laxer: policy mappings do not help, and where anyPolicy is inhibited anywhere
 * it counts nowhere. node:tls does not have OpenSSL check policies, so nothing else does.
 * @param chain the client's certificate first, without the trust anchor
 * @param wanted object identifiers
 */
export function isUnderPolicy([leaf, ...authorities]: readonly CertificateFacts[], wanted: readonly string[]): boolean {
  const own = leaf ? policiesOf(leaf) : []
  return wanted.some(
    (policy) => own.includes(policy) && authorities.every((authority) => allows(authority, policy, authorities)),
  )
}

function allows(authority: CertificateFacts, policy: string, authorities: readonly CertificateFacts[]): boolean {
  const policies = policiesOf(authority)
  return policies.includes(policy) || (policies.includes(ANY_POLICY) && !authorities.some(inhibitsAnyPolicy))
}

function policiesOf(certificate: CertificateFacts): string[] {
  try {
    const extension = readExtensions(certificate.raw).find(({ oid }) => oid === CERTIFICATE_POLICIES)
    return extension ? readCertificatePolicies(extension.value) : []
  } catch {
    return []
  }
}

function inhibitsAnyPolicy(certificate: CertificateFacts): boolean {
  try {
    return readExtensions(certificate.raw).some(({ oid }) => oid === INHIBIT_ANY_POLICY)
  } catch {
    return true
  }
}
