import { createHash } from 'node:crypto'
import type { CertificateFacts } from './certificate.ts'
import { readCertificates } from './certificates.ts'

/** The authorities that may have issued a peer's certificate. */
export interface TrustStore {
  readonly certificates: readonly CertificateFacts[]
  /** For node:tls `ca`: never empty, because Node trusts its public roots where `ca` is undefined, '' or missing. */
  readonly pems: string[]
  /** SHA-256 over the sorted fingerprints, lower-case hex: equal for equal sets, whatever their order or spelling. */
  readonly digest: string
}

/**
 * Reads a bundle of CA certificates. Every block must be sound: Node itself accepts garbage without an error and stops at the first damaged block. A
 * store that quietly trusts less (or, when empty, every public CA) is worse than none.
 * @throws {CertificateError} NO_CERTIFICATE, BAD_CERTIFICATE
 */
export function readTrustStore(pem: string): TrustStore {
  const certificates = withoutDoubles(readCertificates(pem))
  const fingerprints = certificates.map((certificate) => certificate.fingerprintSha256).sort()
  return {
    certificates,
    pems: certificates.map((certificate) => certificate.pem),
    digest: createHash('sha256').update(fingerprints.join('\n')).digest('hex'),
  }
}

function withoutDoubles(certificates: readonly CertificateFacts[]): CertificateFacts[] {
  return [...new Map(certificates.map((certificate) => [certificate.fingerprintSha256, certificate])).values()]
}
