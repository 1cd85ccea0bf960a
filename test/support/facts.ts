/** What the product reads of a certificate that the tests made. */
import { type CertificateFacts, readCertificate } from '../../src/tls-cert-utils/certificate.ts'
import type { Issued } from './pki.ts'

export function factsOf({ der }: Issued): CertificateFacts {
  return readCertificate(der)
}
