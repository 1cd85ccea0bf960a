/** Which authority issued a certificate: found by signature, since two authorities can give their intermediates the same name. */
import type { CertificateFacts } from '../../tls-cert-utils/certificate.ts'
import { isSignedBy } from '../../tls-cert-utils/chain.ts'

/** No honest chain is longer. */
const LONGEST = 10

/**
 * Whether one of `wanted` signed the certificate, or an authority above it.
 * @param known the authorities that the path may lead through: those that the server trusts, and those of the client's chain
 * @param longest how long the path may be; 1 asks for the direct issuer
 */
export function isIssuedBy(
  certificate: CertificateFacts,
  wanted: readonly CertificateFacts[],
  known: readonly CertificateFacts[],
  longest = LONGEST,
): boolean {
  const authorities = [...wanted, ...known]
  let level = [certificate]
  for (let length = 0; length < longest && level.length > 0; length++) {
    const above = level.flatMap((each) => authorities.filter((authority) => hasIssued(authority, each)))
    if (above.some((authority) => wanted.some((each) => isSame(each, authority)))) return true
    level = above.filter(({ selfIssued }) => !selfIssued)
  }
  return false
}

function hasIssued(authority: CertificateFacts, certificate: CertificateFacts): boolean {
  return authority.rawSubject.equals(certificate.rawIssuer) && isSignedBy(certificate, authority)
}

/** A renewed authority has the same name and key, in a new certificate. */
function isSame(one: CertificateFacts, other: CertificateFacts): boolean {
  return one.publicKeySha256 === other.publicKeySha256 && one.rawSubject.equals(other.rawSubject)
}

/** The topmost authorities: those that none of the others has issued, one for each name. */
export function topmost(trusted: readonly CertificateFacts[]): CertificateFacts[] {
  const tops = trusted.filter(
    (each) => !trusted.some((other) => !other.rawSubject.equals(each.rawSubject) && hasIssued(other, each)),
  )
  return tops.filter((each, i) => tops.findIndex((other) => other.rawSubject.equals(each.rawSubject)) === i)
}
