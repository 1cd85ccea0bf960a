import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import { opensslReason } from '../tls-cert-utils/verify-errors.ts'
import type { Verification } from '../types.ts'

/** The issuers of a certificate, the nearest first; both empty where they were not verified. */
export interface VerifiedChain {
  /** As they were verified, the root last; in a {@link Shown} with an error as OpenSSL found them, whatever it found wrong. */
  readonly chain: readonly CertificateFacts[]
  /** Those of `chain` that the client sent. */
  readonly sent: readonly CertificateFacts[]
}

/** The certificate that a client showed, and what OpenSSL made of it in the full handshake. */
export interface Shown extends VerifiedChain {
  readonly certificate: CertificateFacts
  /** Node's `authorizationError`; undefined where the certificate was verified. */
  readonly error: string | undefined
}

export type Failure = Extract<Verification, { result: 'FAILED' }>

export interface Opinion {
  readonly failure: Failure | undefined
  /** When it may become another one by the passing of time, in milliseconds since the epoch; Infinity for never. */
  readonly until: number
}

/**
 * Something that a policy asks of a certificate beyond what OpenSSL verifies. It is asked in each handshake, in resumed ones too, and again
 * for open connections when the policy's demands are exchanged or `until` has come. The first one that fails decides.
 */
export interface Demand {
  (shown: Shown, now: number): Opinion
  /** What must be waited for before a handshake can be judged; undefined for nothing. */
  prepare?(shown: Shown): Promise<void> | undefined
}

/** What the policies of one id ask, whenever they were made. */
export interface DemandsInForce {
  demands: readonly Demand[]
  /** What their data come to, as lists of whom is revoked, by a text that differs where they do: a session is good for that alone which it was made under. */
  basis: () => string
}

export function failed(
  code: string,
  { reason = opensslReason(code), hint }: { reason?: string; hint?: string } = {},
): Failure {
  return Object.freeze({ result: 'FAILED', code, reason, ...(hint === undefined ? {} : { hint }) })
}

export function unverified(certificate: CertificateFacts, error: string): Shown {
  return { certificate, chain: [], sent: [], error }
}
