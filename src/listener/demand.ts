import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import { opensslReason } from '../tls-cert-utils/verify-errors.ts'
import type { Verification } from '../types.ts'

/** The certificate that a client showed, and OpenSSL's verdict on it in the full handshake. */
export interface Shown {
  readonly certificate: CertificateFacts
  /**
   * Its issuers in the order of verification, the root last; empty where they were not verified. Beside an error, as OpenSSL found them, whatever it
   * found wrong.
   */
  readonly chain: readonly CertificateFacts[]
  /** Node's `authorizationError`; undefined where the certificate was verified. */
  readonly error: string | undefined
}

export type Failure = Extract<Verification, { result: 'FAILED' }>

export interface Opinion {
  readonly failure: Failure | undefined
  /** When the opinion may change as time passes, in milliseconds since the epoch; Infinity for never. */
  readonly until: number
}

/**
 * Something that a policy demands of a certificate beyond OpenSSL's verification. It is checked in each handshake, also in resumed ones, and again
 * for open connections when the policy's demands are replaced or `until` has come. The first one that fails decides.
 */
export interface Demand {
  (shown: Shown, now: number): Opinion
  /** What must be awaited before a handshake can be judged; undefined for nothing. */
  prepare?(shown: Shown): Promise<void> | undefined
}

/** The demands of all policies with one id, whenever these were made. */
export interface DemandsInForce {
  demands: readonly Demand[]
  /**
   * A text that differs where the demands' data differ, such as revocation lists: a session can be resumed only with the text under which it was
   * made.
   */
  basis: () => string
}

export function failed(
  code: string,
  { reason = opensslReason(code), hint }: { reason?: string; hint?: string } = {},
): Failure {
  return Object.freeze({ result: 'FAILED', code, reason, ...(hint === undefined ? {} : { hint }) })
}

export function unverified(certificate: CertificateFacts, error: string): Shown {
  return { certificate, chain: [], error }
}
