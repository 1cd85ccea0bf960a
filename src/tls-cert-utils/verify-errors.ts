/**
 * Node's names for OpenSSL's verification errors (its deps/ncrypto X509Pointer::ErrorCode) and OpenSSL 3.0's sentences
 * (crypto/x509/x509_txt.c), which nginx puts behind `FAILED:`. Everything that Node has no name for is UNSPECIFIED;
 * KEYUSAGE_NO_CRL_SIGN is ours to find, so it has OpenSSL's own name.
 */
const REASONS: Readonly<Record<string, string>> = {
  UNSPECIFIED: 'unspecified certificate verification error',
  UNABLE_TO_GET_ISSUER_CERT: 'unable to get issuer certificate',
  UNABLE_TO_GET_CRL: 'unable to get certificate CRL',
  UNABLE_TO_DECRYPT_CERT_SIGNATURE: "unable to decrypt certificate's signature",
  UNABLE_TO_DECRYPT_CRL_SIGNATURE: "unable to decrypt CRL's signature",
  UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY: 'unable to decode issuer public key',
  CERT_SIGNATURE_FAILURE: 'certificate signature failure',
  CRL_SIGNATURE_FAILURE: 'CRL signature failure',
  CERT_NOT_YET_VALID: 'certificate is not yet valid',
  CERT_HAS_EXPIRED: 'certificate has expired',
  CRL_NOT_YET_VALID: 'CRL is not yet valid',
  CRL_HAS_EXPIRED: 'CRL has expired',
  ERROR_IN_CERT_NOT_BEFORE_FIELD: "format error in certificate's notBefore field",
  ERROR_IN_CERT_NOT_AFTER_FIELD: "format error in certificate's notAfter field",
  ERROR_IN_CRL_LAST_UPDATE_FIELD: "format error in CRL's lastUpdate field",
  ERROR_IN_CRL_NEXT_UPDATE_FIELD: "format error in CRL's nextUpdate field",
  OUT_OF_MEM: 'out of memory',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'self-signed certificate',
  SELF_SIGNED_CERT_IN_CHAIN: 'self-signed certificate in certificate chain',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'unable to get local issuer certificate',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'unable to verify the first certificate',
  CERT_CHAIN_TOO_LONG: 'certificate chain too long',
  CERT_REVOKED: 'certificate revoked',
  INVALID_CA: 'invalid CA certificate',
  PATH_LENGTH_EXCEEDED: 'path length constraint exceeded',
  INVALID_PURPOSE: 'unsuitable certificate purpose',
  CERT_UNTRUSTED: 'certificate not trusted',
  CERT_REJECTED: 'certificate rejected',
  KEYUSAGE_NO_CRL_SIGN: 'key usage does not include CRL signing',
  HOSTNAME_MISMATCH: 'hostname mismatch',
}

/** Every code that has a sentence of its own. */
export const VERIFY_ERROR_CODES: readonly string[] = Object.keys(REASONS)

/** The five errors that nginx's `optional_no_ca` forgives (ngx_ssl_verify_error_optional): they all mean "from no CA that I know". */
export const FORGIVEN_BY_OPTIONAL_NO_CA: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_UNTRUSTED',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])

/** OpenSSL's own numbers (X509_V_ERR_*) of those five, as HAProxy tells them. */
export const X509_ERROR_NUMBERS: ReadonlyMap<string, number> = new Map([
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 18],
  ['SELF_SIGNED_CERT_IN_CHAIN', 19],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 20],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 21],
  ['CERT_UNTRUSTED', 27],
])

/**
 * OpenSSL's sentence for a code of Node's `authorizationError`; a code that is not known becomes words.
 * @param code as `CERT_HAS_EXPIRED`
 */
export function opensslReason(code: string): string {
  return Object.hasOwn(REASONS, code) ? (REASONS[code] as string) : code.toLowerCase().replaceAll('_', ' ')
}
