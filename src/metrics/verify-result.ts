/** How clients' certificates were judged, in few enough words for a label of metrics. */

export const CLIENT_VERIFY_RESULTS = [
  'success',
  'none',
  'expired',
  'not_yet_valid',
  'revoked',
  'untrusted',
  'purpose',
  'crl_missing',
  'crl_expired',
  'crl_not_yet_valid',
  'other',
] as const

export type ClientVerifyResult = (typeof CLIENT_VERIFY_RESULTS)[number]

const VERIFY_RESULTS: ReadonlyMap<string, ClientVerifyResult> = new Map<string, ClientVerifyResult>([
  ['CERT_HAS_EXPIRED', 'expired'],
  ['CERT_NOT_YET_VALID', 'not_yet_valid'],
  ['CERT_REVOKED', 'revoked'],
  ['INVALID_PURPOSE', 'purpose'],
  ['UNABLE_TO_GET_CRL', 'crl_missing'],
  ['CRL_HAS_EXPIRED', 'crl_expired'],
  ['CRL_NOT_YET_VALID', 'crl_not_yet_valid'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'untrusted'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'untrusted'],
  ['UNABLE_TO_GET_ISSUER_CERT', 'untrusted'],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'untrusted'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'untrusted'],
  ['CERT_UNTRUSTED', 'untrusted'],
])

/** The label for a failed verification, by Node's code for it. */
export function verifyResult(code: string): ClientVerifyResult {
  return VERIFY_RESULTS.get(code) ?? 'other'
}
