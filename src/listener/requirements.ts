import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import { isUnderPolicy } from '../tls-cert-utils/certificate-policies.ts'
import { intermediatesOf } from '../tls-cert-utils/chain.ts'
import {
  EXTENDED_KEY_USAGE,
  extendedKeyUsageName,
  readExtendedKeyUsage,
  readExtensions,
} from '../tls-cert-utils/extensions.ts'
import { type Failure, failed, type Shown } from './demand.ts'

/** What is required of a certificate besides being issued by one of our authorities. */
export interface RequirementOptions {
  /** SHA-256 of public keys (SubjectPublicKeyInfo) in lower-case hex, one of which it must have; empty requires nothing. */
  readonly pins: readonly string[]
  /** Object identifiers, all of which its extended key usage must list. */
  readonly extendedKeyUsage: readonly string[]
  /** Object identifiers; the certificate must have been issued under one of them; empty requires nothing. */
  readonly policies: readonly string[]
  /** Whether it has an allowed name; undefined requires nothing. */
  readonly isAllowed: ((certificate: CertificateFacts) => boolean) | undefined
}

/** Returns what is wrong with a certificate. The result for one certificate never changes. */
export type Requirement = (shown: Shown) => Failure | undefined

/** Creates one requirement for each setting. */
export function createRequirements({
  pins,
  extendedKeyUsage,
  policies,
  isAllowed,
}: RequirementOptions): readonly Requirement[] {
  const pinned = new Set(pins)
  const pin: Requirement = ({ certificate }) =>
    pinned.has(certificate.publicKeySha256) ? undefined : notPinned(certificate)
  const usage: Requirement = ({ certificate }) => {
    const missing = missingUsage(certificate, extendedKeyUsage)
    return missing === undefined ? undefined : usageMissing(missing)
  }
  const policy: Requirement = (shown) => (wasIssuedUnder(policies, shown) ? undefined : NO_POLICY)
  const name: Requirement = ({ certificate }) => (isAllowed?.(certificate) ? undefined : nameNotAllowed(certificate))
  return [
    ...(pinned.size > 0 ? [pin] : []),
    ...(extendedKeyUsage.length > 0 ? [usage] : []),
    ...(policies.length > 0 ? [policy] : []),
    ...(isAllowed ? [name] : []),
  ]
}

/** Requires all of them; the first that is not met is reported. */
export function allOf(requirements: readonly Requirement[]): Requirement {
  return (shown) => {
    for (const requirement of requirements) {
      const failure = requirement(shown)
      if (failure) return failure
    }
    return undefined
  }
}

/** `ssl_verify_depth`, with nginx's counting. */
export function tooDeep(
  { certificate, chain }: Shown,
  allowed: number,
  isTrusted: (issuer: CertificateFacts) => boolean,
): Failure | undefined {
  const depth = intermediatesOf({ chain: [certificate, ...chain] })
  if (depth <= allowed) return undefined
  // What OpenSSL reports where its own depth ends the search for issuers, and so what nginx says. optional_no_ca forgives an issuer that is not known
  // at all, and not one that was not reached from an authority that is.
  const reached = chain.slice(0, allowed + 1)
  const code = reached.some(isTrusted) ? 'UNABLE_TO_GET_ISSUER_CERT' : 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'
  return failed(code, { hint: `the chain has ${depth} intermediates, ssl_verify_depth allows ${allowed}` })
}

/** OpenSSL's word for it, which node:tls never reports. */
const NO_POLICY = failed('NO_EXPLICIT_POLICY', { reason: 'no explicit policy' })

/** In NATS's word. */
function notPinned({ publicKeySha256 }: CertificateFacts): Failure {
  const hint = `the SHA-256 of its public key is ${publicKeySha256}`
  return failed('CERT_NOT_PINNED', { reason: 'certificate not pinned', hint })
}

function usageMissing(usage: string): Failure {
  const reason = 'certificate lacks a required extended key usage'
  return failed('EXTENDED_KEY_USAGE_MISSING', { reason, hint: `it lacks ${extendedKeyUsageName(usage)}` })
}

function nameNotAllowed({ subject }: CertificateFacts): Failure {
  const hint = `no rule of ssl_verify_allow fits ${subject || 'its empty subject'}`
  return failed('CERT_NAME_NOT_ALLOWED', { reason: 'certificate name not allowed', hint })
}

/** It is unknown what the authorities of an unverified chain may do. */
function wasIssuedUnder(policies: readonly string[], { certificate, chain, error }: Shown): boolean {
  return error === undefined && isUnderPolicy([certificate, ...chain.slice(0, -1)], policies)
}

/** Without the extension a certificate may be used for anything, which is not what was required. */
function missingUsage(certificate: CertificateFacts, required: readonly string[]): string | undefined {
  try {
    const extension = readExtensions(certificate.raw).find(({ oid }) => oid === EXTENDED_KEY_USAGE)
    const usages = extension ? readExtendedKeyUsage(extension.value) : []
    return required.find((usage) => !usages.includes(usage))
  } catch {
    return required[0]
  }
}
