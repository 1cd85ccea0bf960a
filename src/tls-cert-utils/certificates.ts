import { type CertificateFacts, readCertificate } from './certificate.ts'
import { CertificateError } from './certificate-error.ts'
import { labelsInstead, type PemBlock, PemError, readPemBlocks } from './pem.ts'

/** Each takes a third of a millisecond to read, and nobody is served meanwhile. */
const MOST_CERTIFICATES = 10_000

/**
 * All certificates of a PEM text, in order, each one accepted by OpenSSL. Blocks of other kinds are skipped.
 * @throws {CertificateError} NO_CERTIFICATE, BAD_CERTIFICATE; the message counts the certificates from 1
 */
export function readCertificates(pem: string): CertificateFacts[] {
  const all = blocksOf(pem)
  const blocks = all.filter((block) => block.label === 'CERTIFICATE')
  if (blocks.length > MOST_CERTIFICATES) {
    throw new CertificateError('BAD_CERTIFICATE', `There are more than ${MOST_CERTIFICATES} certificates in it.`)
  }
  const certificates = blocks.map((block, index) => checked(block, index + 1))
  if (certificates.length === 0) {
    throw new CertificateError('NO_CERTIFICATE', `There is no PEM block of a certificate in it${labelsInstead(all)}.`)
  }
  return certificates
}

function checked(block: PemBlock, position: number): CertificateFacts {
  try {
    const certificate = readCertificate(block.der)
    if (certificate.raw.length !== block.der.length) throw new Error('something follows its end')
    void certificate.x509
    return certificate
  } catch {
    throw new CertificateError('BAD_CERTIFICATE', `Certificate ${position} is damaged: it cannot be read as X.509.`)
  }
}

function blocksOf(pem: string): PemBlock[] {
  try {
    return readPemBlocks(pem)
  } catch (error) {
    if (!(error instanceof PemError)) throw error
    throw new CertificateError('BAD_CERTIFICATE', `The certificates are not sound PEM: ${error.message}.`)
  }
}
