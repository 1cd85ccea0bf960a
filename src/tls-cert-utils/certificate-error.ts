/** What can be wrong with a configured certificate, key or revocation list. */
export type CertificateErrorCode =
  | 'NO_CERTIFICATE'
  | 'BAD_CERTIFICATE'
  | 'NO_KEY'
  | 'BAD_KEY'
  | 'KEY_ENCRYPTED'
  | 'WRONG_PASSPHRASE'
  | 'KEY_MISMATCH'
  | 'NO_CRL'
  | 'BAD_CRL'

/** The message says what is wrong and what to do, and never holds a part of the input. */
export class CertificateError extends Error {
  readonly code: CertificateErrorCode

  constructor(code: CertificateErrorCode, message: string) {
    super(message)
    this.name = 'CertificateError'
    this.code = code
  }
}
