/**
 * The verdict on certificates that no handshake has verified, but on which somebody is admitted: they came in a header, through a load balancer that
 * terminated the client's TLS. Beyond `verifyChain`, it refuses whatever OpenSSL would check and we do not, and what OpenSSL only tolerates.
 */
import type { CertificateFacts } from './certificate.ts'
import { allowsNetscapeType, NETSCAPE } from './certificate-use.ts'
import { isSelfSigned } from './chain.ts'
import { DerError, readElement, readOid, TAG } from './der.ts'
import { BASIC_CONSTRAINTS, type CertificateExtension, readBasicConstraints, readExtensions } from './extensions.ts'
import { type ChainVerdict, type Finding, type VerifyOptions, verifyChain } from './verify.ts'

export function verifyStrictly(options: VerifyOptions): ChainVerdict {
  const verdict = verifyChain(options)
  const { chain } = verdict
  const strict = [
    ...chain.flatMap((certificate, at) => findingsOf(certificate, { at, top: chain.length - 1 })),
    ...linkFindings(chain),
  ]
  // Put last, so that none of them is hidden by an error that optional_no_ca forgives.
  const findings = [...verdict.findings, ...strict]
  return { chain, findings, code: findings.at(-1)?.code }
}

/** Asks OpenSSL itself whether each may be issued by the next: it then reads all extensions of both, also those that are not read here. */
function linkFindings(chain: readonly CertificateFacts[]): Finding[] {
  return chain.flatMap((certificate, at) => {
    const issuer = chain[at + 1] ?? (chain.length === 1 && certificate.selfIssued ? certificate : undefined)
    // What signed itself need not be allowed to sign others.
    if (!issuer || (issuer === certificate ? isSelfSigned(certificate) : certificate.x509.checkIssued(issuer.x509)))
      return []
    return [
      { check: 'issuer', code: 'UNSPECIFIED', at, detail: `OpenSSL does not take ${issuer.subject} for its issuer` },
    ]
  })
}

interface Position {
  /** From 0, the client's own. */
  readonly at: number
  readonly top: number
}

function findingsOf(certificate: CertificateFacts, { at, top }: Position): Finding[] {
  const wrong = (detail: string, code = 'UNSPECIFIED'): Finding => ({ check: 'extensions', code, at, detail })
  try {
    const extensions = readExtensions(certificate.raw)
    const findings = extensions
      .filter(({ oid }) => NOT_JUDGED.has(oid))
      .map(({ oid }) => wrong(`${NOT_JUDGED.get(oid)} are not judged here`))
    const twice = repeated(extensions.map(({ oid }) => oid))
    if (twice !== undefined) findings.push(wrong(`extension ${twice} stands there twice`))
    if (at > 0 && !allowsNetscapeType(extensions, NETSCAPE.authority))
      findings.push(wrong('its Netscape type', 'INVALID_PURPOSE'))
    // A root is what the operator chose; OpenSSL takes an intermediate without basicConstraints too, if its key usage lets it sign.
    if (at > 0 && at < top && !isDeclaredAuthority(extensions))
      findings.push(wrong('no sound basicConstraints', 'INVALID_CA'))
    if (at < top && !isSignedSoundly(certificate))
      findings.push(wrong('it is signed with an algorithm that is not known to be strong'))
    return findings
  } catch (error) {
    if (!(error instanceof DerError)) throw error
    return [wrong(`it cannot be read: ${error.message}`)]
  }
}

/** In one pass: a stranger's certificate may have ten thousand. */
function repeated(identifiers: readonly string[]): string | undefined {
  const seen = new Set<string>()
  return identifiers.find((each) => seen.size === seen.add(each).size)
}

/** With these, OpenSSL restricts what a chain may claim: ignoring them would admit clients whom it refuses. */
const NOT_JUDGED: ReadonlyMap<string, string> = new Map([
  ['1.3.6.1.5.5.7.1.7', 'address blocks (RFC 3779)'],
  ['1.3.6.1.5.5.7.1.8', 'AS numbers (RFC 3779)'],
  ['1.3.6.1.5.5.7.1.14', 'proxy certificates (RFC 3820)'],
])

function isDeclaredAuthority(extensions: readonly CertificateExtension[]): boolean {
  const found = extensions.find(({ oid }) => oid === BASIC_CONSTRAINTS)
  if (!found) return false
  const { isAuthority, pathLength } = readBasicConstraints(found.value)
  return isAuthority && (pathLength === undefined || pathLength <= LONGEST_PATH)
}

/** A negative number would be read as 128 and more. */
const LONGEST_PATH = 127

/** 112 bits and more: what OpenSSL's security level 2 lets through, by name. */
const SOUND_SIGNATURES: ReadonlySet<string> = new Set([
  ...['1.2.840.113549.1.1.11', '1.2.840.113549.1.1.12', '1.2.840.113549.1.1.13', '1.2.840.113549.1.1.14'], // RSA with SHA-2
  ...['1.2.840.10045.4.3.1', '1.2.840.10045.4.3.2', '1.2.840.10045.4.3.3', '1.2.840.10045.4.3.4'], // ECDSA with SHA-2
  ...['1.3.101.112', '1.3.101.113'], // Ed25519, Ed448
])
const RSA_PSS = '1.2.840.113549.1.1.10'
const SHA2: ReadonlySet<string> = new Set(['1', '2', '3'].map((last) => `2.16.840.1.101.3.4.2.${last}`))

function isSignedSoundly({ raw }: CertificateFacts): boolean {
  const [, algorithm] = readElement(raw).children()
  const [type, parameters] = [...(algorithm?.expect(TAG.SEQUENCE, 'the signature algorithm').children() ?? [])]
  if (!type) return false
  const oid = readOid(type.expect(TAG.OID, 'the signature algorithm').content)
  if (oid !== RSA_PSS) return SOUND_SIGNATURES.has(oid)
  // RFC 4055 3.1: without a digest it is SHA-1.
  const digest = [...(parameters?.children() ?? [])].find(({ tag }) => tag === 0xa0)
  const [identifier] = digest?.children() ?? []
  const [digestType] = identifier?.children() ?? []
  return digestType?.tag === TAG.OID && SHA2.has(readOid(digestType.content))
}
