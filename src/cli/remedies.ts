/** How to mend a certificate that is refused: the sentences behind "mend" of `inspect`. */
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import type { ChainVerdict, Finding } from '../tls-cert-utils/verify.ts'

export interface Circumstances extends Pick<ChainVerdict, 'chain'> {
  /** What the client sends. */
  readonly sent: readonly CertificateFacts[]
  /** The authorities of the server. */
  readonly trusted: readonly CertificateFacts[]
}

type Remedy = (finding: Finding, certificate: CertificateFacts, circumstances: Circumstances) => string

const REMEDIES: Readonly<Record<string, Remedy>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: (_finding, certificate, { trusted }) =>
    `it signed itself: have it issued by ${oneOf(trusted)}, or add ${named(certificate)} to ssl_client_certificate if you trust it`,
  SELF_SIGNED_CERT_IN_CHAIN: (_finding, root, { trusted }) =>
    trusted.some(({ rawSubject }) => rawSubject.equals(root.rawSubject))
      ? `ssl_client_certificate has another ${named(root)}, with another key: if the authority was renewed, add the one of the chain file`
      : `issued by ${named(root)}, which is in the chain file but not in ssl_client_certificate; add it there if you trust it`,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: missingIssuer,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: missingIssuer,
  UNABLE_TO_GET_ISSUER_CERT: (_finding, certificate) =>
    `ssl_client_certificate has ${named(certificate)}, but not its issuer ${certificate.issuer}; add that too, or set allow_partial_chain`,
  CERT_SIGNATURE_FAILURE: (_finding, certificate) =>
    `it was changed, or ${certificate.issuer} has another certificate with another key; get both anew from the authority`,
  CERT_NOT_YET_VALID: (_finding, { notBefore }) =>
    `it begins on ${day(notBefore)}; wait for it, or set the clock of this machine`,
  CERT_HAS_EXPIRED: ({ at }, { notAfter, issuer }) =>
    at === 0
      ? `it ended on ${day(notAfter)}; have ${issuer} issue a new one`
      : `this authority ended on ${day(notAfter)}; replace it by its renewal, in the chain file or in ssl_client_certificate`,
  ERROR_IN_CERT_NOT_BEFORE_FIELD: unreadableDate,
  ERROR_IN_CERT_NOT_AFTER_FIELD: unreadableDate,
  INVALID_PURPOSE: ({ at }) =>
    at === 0
      ? 'have it issued with the extended key usage clientAuth and the key usage digitalSignature'
      : 'this authority may issue no certificates for clients: have them issued by another, or renew it without its extended key usage',
  INVALID_CA: () => 'it may issue nothing (basicConstraints); have the certificate issued by an authority',
  PATH_LENGTH_EXCEEDED: () =>
    'its path length allows fewer intermediates; have the certificate issued by an authority further up',
  CERT_REVOKED: (_finding, { issuer }) => `${issuer} took it back; use another, or have a new one issued`,
  UNABLE_TO_GET_CRL: ({ at }, { issuer }) =>
    at === 0
      ? `add the list of ${issuer} to ssl_crl`
      : `add the list of ${issuer} to ssl_crl, or set ssl_crl_check: leaf if only the client's own certificate is to be looked up`,
  CRL_HAS_EXPIRED: (_finding, { issuer }) => `get the current list of ${issuer} and put it into ssl_crl`,
  CRL_NOT_YET_VALID: (_finding, { issuer }) =>
    `the list of ${issuer} begins later; set the clock of this machine, or get the current one`,
  CRL_SIGNATURE_FAILURE: (_finding, { issuer }) =>
    `the list is not signed by ${issuer}; get it anew from the authority`,
}

/** For checks that share one code in OpenSSL. */
const BY_CHECK: Readonly<Partial<Record<Finding['check'], string>>> = {
  strength: 'have it issued with ECDSA (P-256, by its name) or RSA of 2048 bits and more, and signed with SHA-256',
  extensions: 'have it issued without that extension, or with one that is not critical',
  authorities: 'its key usage lacks keyCertSign; have it renewed with it',
  names: 'have it issued with names that the name constraints of its authorities permit, or by another authority',
}

/** @param finding one of those of `circumstances.chain` */
export function remedyOf(finding: Finding, circumstances: Circumstances): string {
  if (finding.check === 'depth') return `set ssl_verify_depth to ${finding.at}`
  const certificate = circumstances.chain[finding.at]
  const remedy = REMEDIES[finding.code]
  if (certificate && remedy) return remedy(finding, certificate, circumstances)
  return BY_CHECK[finding.check] ?? 'have a new one issued'
}

const DEMANDS: Readonly<Record<string, string>> = {
  CERT_NOT_PINNED: 'add that to pinned_certs if this key may come in',
  EXTENDED_KEY_USAGE_MISSING: 'have it issued with that usage, or take it out of ssl_verify_extended_key_usage',
  NO_EXPLICIT_POLICY:
    'have it issued under one of ssl_verify_policies, which every authority below the root must allow',
  CERT_NAME_NOT_ALLOWED: 'have one issued that is called as a rule of ssl_verify_allow says, or add a rule for it',
}

/** @param code of what a server demands besides the chain */
export function remedyOfDemand(code: string): string {
  return DEMANDS[code] ?? 'have a certificate issued that meets it, or change the demand of the server'
}

function unreadableDate(_finding: Finding, { issuer }: CertificateFacts): string {
  return `have ${issuer} issue it anew with dates as RFC 5280 wants them: in UTC, with seconds, without fractions`
}

function missingIssuer(
  _finding: Finding,
  { rawIssuer, issuer }: CertificateFacts,
  { trusted, sent }: Circumstances,
): string {
  const isIssuer = ({ rawSubject }: CertificateFacts) => rawSubject.equals(rawIssuer)
  if (trusted.some(isIssuer))
    return `ssl_client_certificate has another ${issuer}, with another key: if the authority was renewed, add its new certificate`
  if (sent.some(isIssuer)) return `the ${issuer} of the chain file has another key; put the right one there`
  return `issued by ${issuer}, which is neither in the chain file nor in ssl_client_certificate; add it to the chain file if it is an intermediate, to ssl_client_certificate if it is a root`
}

function named({ subject }: CertificateFacts): string {
  return subject || 'the certificate with the empty subject'
}

function oneOf(authorities: readonly CertificateFacts[]): string {
  const names = authorities.slice(0, 3).map(named)
  return names.length === 0 ? 'an authority' : `${names.join(' or ')}${authorities.length > 3 ? ' or another' : ''}`
}

function day(time: number): string {
  return Number.isFinite(time) ? new Date(time).toISOString() : 'a date that cannot be read'
}
