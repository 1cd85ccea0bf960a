/**
 * The verdict that a TLS handshake would reach on a client's certificates, for `sallyport inspect`, where there is no private key and so no
 * handshake. It follows OpenSSL 3.5's X509_verify_cert (crypto/x509/x509_vfy.c) as node:tls runs it. Nobody is admitted on its word: that is decided
 * by OpenSSL.
 */
import type { CertificateFacts } from './certificate.ts'
import { type CertificateUse, useOf } from './certificate-use.ts'
import { findPath, intermediatesOf, isSelfSigned, isSignedBy, type Path } from './chain.ts'
import { nameViolations } from './name-constraints.ts'
import type { Revocation } from './revocation.ts'

export interface VerifyOptions {
  /** What the client sends: its certificate first, then others in any order. */
  readonly sent: readonly [CertificateFacts, ...CertificateFacts[]]
  readonly trusted: readonly CertificateFacts[]
  /** Without it, revocation is not looked at. */
  readonly revocation?: Revocation | undefined
  /** How many intermediates may stand between the certificate and its root: nginx's `ssl_verify_depth`. */
  readonly depth?: number
  /** Whether any certificate of `trusted` is an anchor, not just a root. */
  readonly partialChain?: boolean
  /** Whether the issuer that signed is taken where several have the name, as `findPath` has it. */
  readonly bySignature?: boolean
  /** Milliseconds since the epoch; now without it. */
  readonly time?: number
}

/** What is looked at. */
export const CHECKS = [
  'issuer',
  'signatures',
  'validity',
  'purpose',
  'authorities',
  'names',
  'extensions',
  'strength',
  'revocation',
  'depth',
] as const

export type Check = (typeof CHECKS)[number]

/** What was found wrong. */
export interface Finding {
  readonly check: Check
  /** As Node's `authorizationError`. */
  readonly code: string
  /** Which certificate of the chain, from 0. */
  readonly at: number
  /** What OpenSSL's sentence does not say, if anything. */
  readonly detail?: string
}

export interface ChainVerdict {
  /** Node's `authorizationError`; undefined where the certificate is good. */
  readonly code: string | undefined
  /** Everything that is wrong; the last one decides, since OpenSSL reports the last one where the handshake goes on. */
  readonly findings: readonly Finding[]
  /** As far as it was found: the client's certificate first, its root last. */
  readonly chain: readonly CertificateFacts[]
}

/** Not checked: policies, RFC 3779's addresses, and that proxy certificates are refused. */
export function verifyChain(options: VerifyOptions): ChainVerdict {
  const { time = Date.now(), revocation, depth = Number.POSITIVE_INFINITY, partialChain = false } = options
  const path = findPath(options.sent, options.trusted, time, options)
  const uses = path.chain.map(useOf)
  const findings = [
    ...pathFindings(path),
    ...useFindings(path.chain, uses),
    ...strengthFindings(uses),
    ...(revocation?.judge(path.chain, time).findings ?? []).map((found) => ({
      ...found,
      check: 'revocation' as const,
    })),
    ...signatureFindings(path, uses, { partialChain, time }),
    ...nameViolations(path.chain).map((found) => ({ ...found, check: 'names' as const, code: 'UNSPECIFIED' })),
  ]
  if (findings.length === 0) findings.push(...depthFindings(path, depth))
  return { code: findings.at(-1)?.code, findings, chain: path.chain }
}

function pathFindings({ chain, sentCount, isAnchored }: Path): Finding[] {
  if (isAnchored) return []
  const at = chain.length - 1
  if (isSelfSigned(chain[at] as CertificateFacts)) {
    return [{ check: 'issuer', code: at === 0 ? 'DEPTH_ZERO_SELF_SIGNED_CERT' : 'SELF_SIGNED_CERT_IN_CHAIN', at }]
  }
  return [
    { check: 'issuer', code: withoutIssuer(sentCount, chain.length), at, detail: `nobody knows ${chain[at]?.issuer}` },
  ]
}

/** OpenSSL stops looking for issuers there, and reports the first one that it then does not have. */
function depthFindings(path: Path, allowed: number): Finding[] {
  const at = intermediatesOf(path)
  if (at <= allowed) return []
  const detail = `the chain has ${at} intermediates, ssl_verify_depth allows ${allowed}`
  return [{ check: 'depth', code: withoutIssuer(path.sentCount, allowed + 2), at, detail }]
}

function withoutIssuer(sentCount: number, foundCount: number): string {
  return sentCount < foundCount ? 'UNABLE_TO_GET_ISSUER_CERT' : 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'
}

function useFindings(chain: readonly CertificateFacts[], uses: readonly CertificateUse[]): Finding[] {
  const findings: Finding[] = []
  let below = 0
  for (const [at, use] of uses.entries()) {
    if (use.unknownCritical !== undefined) {
      findings.push({
        check: 'extensions',
        code: 'UNSPECIFIED',
        at,
        detail: `unknown critical extension ${use.unknownCritical}`,
      })
    }
    if (at > 0 && !use.isAuthority) findings.push({ check: 'authorities', code: 'INVALID_CA', at })
    if (!(at === 0 ? use.mayBeClient : use.mayIssueClients))
      findings.push({ check: 'purpose', code: 'INVALID_PURPOSE', at })
    if (at > 0 && below > (use.pathLength ?? Number.POSITIVE_INFINITY)) {
      findings.push({ check: 'authorities', code: 'PATH_LENGTH_EXCEEDED', at })
    }
    if (at > 0 && !chain[at]?.selfIssued) below++
  }
  return findings
}

/** OpenSSL's security level 2, which is Node's default: 112 bits. The root's own signature does not matter. */
function strengthFindings(uses: readonly CertificateUse[]): Finding[] {
  const findings: Finding[] = []
  for (const [at, { hasWeakKey, hasWeakSignature, describesCurve }] of uses.entries()) {
    if (describesCurve) {
      findings.push({ check: 'strength', code: 'UNSPECIFIED', at, detail: 'its key describes a curve and names none' })
    }
    if (hasWeakKey) findings.push({ check: 'strength', code: 'UNSPECIFIED', at, detail: 'its key is too small' })
    if (hasWeakSignature && at < uses.length - 1) {
      findings.push({ check: 'strength', code: 'UNSPECIFIED', at, detail: 'it is signed with a weak digest' })
    }
  }
  return findings
}

/** What OpenSSL's security level 2 refuses in a chain, in words; '' for nothing. */
export function weaknessesOf(chain: readonly CertificateFacts[]): string {
  const findings = strengthFindings(chain.map(useOf))
  return findings.map(({ at, detail }) => `${chain[at]?.subject}: ${detail}`).join('; ')
}

/**
 * From the top down, so that a problem of the client's own certificate counts. A root's own signature is not checked. With `partialChain`, OpenSSL
 * takes the last certificate that it found for such a root, whoever that is.
 */
function signatureFindings(
  { chain, isAnchored }: Path,
  uses: readonly CertificateUse[],
  { partialChain, time }: Required<Pick<VerifyOptions, 'partialChain' | 'time'>>,
): Finding[] {
  const findings: Finding[] = []
  const top = chain.length - 1
  const endsInRoot = isAnchored || partialChain || isSelfSigned(chain[top] as CertificateFacts)
  if (!endsInRoot && top === 0) findings.push({ check: 'issuer', code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', at: 0 })
  for (let at = endsInRoot || top === 0 ? top : top - 1; at >= 0; at--) {
    const certificate = chain[at] as CertificateFacts
    const issuer = chain[at + 1]
    if (issuer && uses[at + 1]?.maySign === false) {
      findings.push({
        check: 'authorities',
        code: 'UNSPECIFIED',
        at: at + 1,
        detail: 'its key usage does not let it sign certificates',
      })
    }
    if (issuer && !isSignedBy(certificate, issuer))
      findings.push({ check: 'signatures', code: 'CERT_SIGNATURE_FAILURE', at })
    findings.push(...validityFindings(certificate, time).map((code) => ({ check: 'validity', code, at }) as const))
  }
  return findings
}

function validityFindings({ notBefore, notAfter }: CertificateFacts, time: number): string[] {
  const codes: string[] = []
  if (notBefore === Number.POSITIVE_INFINITY) codes.push('ERROR_IN_CERT_NOT_BEFORE_FIELD')
  else if (notBefore > time) codes.push('CERT_NOT_YET_VALID')
  if (notAfter === 0) codes.push('ERROR_IN_CERT_NOT_AFTER_FIELD')
  else if (notAfter <= time) codes.push('CERT_HAS_EXPIRED')
  return codes
}
