/** Each check that a certificate goes through, with its result and what to do: plain data, for `inspect`. */
import type { ServerConfig } from '../config/index.ts'
import type { Failure } from '../listener/demand.ts'
import type { ClientTrust } from '../runtime/client-trust.ts'
import { CHECKS, type ChainVerdict, type Check, type VerifyOptions } from '../tls-cert-utils/verify.ts'
import { opensslReason } from '../tls-cert-utils/verify-errors.ts'
import { remedyOf, remedyOfDemand } from './remedies.ts'

export interface CheckResult {
  readonly check: Check | 'demands'
  readonly about: string
  readonly result: 'ok' | 'wrong' | 'not looked at'
  readonly findings: readonly CheckFinding[]
}

export interface CheckFinding {
  /** As `verify_code` in the log. */
  readonly code: string
  /** The subject of the certificate in question; undefined where it concerns all of them. */
  readonly subject: string | undefined
  readonly reason: string
  readonly remedy: string
}

/** The policy by which a server judges. */
export interface JudgingPolicy {
  /** Where the server stands in the configuration. */
  readonly setting: string
  /** Subjects of the authorities that it trusts. */
  readonly authorities: readonly string[]
  readonly ssl_verify_depth: number
  readonly revocation: string
}

const ABOUT: Readonly<Record<Check | 'demands', string>> = {
  issuer: 'issued by an authority that the server trusts',
  signatures: 'each signature is of the key above it',
  validity: 'every certificate of the chain is valid now',
  purpose: 'meant for TLS clients',
  authorities: 'each issuer may issue certificates',
  names: 'each issuer may certify these names',
  extensions: 'no critical extension that nobody knows',
  strength: 'keys and signatures of 112 bits or more',
  revocation: 'not revoked',
  depth: 'no more intermediates than ssl_verify_depth',
  demands: 'what the server demands besides (pins, usages, policies, names)',
}

interface Judged extends ChainVerdict {
  readonly unmet: readonly Failure[]
}

export function checksOf(
  verdict: Judged,
  trust: ClientTrust,
  server: ServerConfig,
  sent: VerifyOptions['sent'],
): CheckResult[] {
  const { findings, chain, unmet } = verdict
  const circumstances = { chain, sent, trusted: trust.certificates }
  const results = CHECKS.map((check): CheckResult => {
    const found = findings.filter((finding) => finding.check === check)
    const skipped =
      (check === 'revocation' && (!server.ssl_crl || server.revocation_check_mode === 'SKIP')) ||
      // There is no issuer whose key could have signed it.
      (check === 'signatures' && chain.length === 1)
    return resultOf(
      check,
      found.map((finding) => ({
        code: finding.code,
        subject: chain[finding.at]?.subject,
        reason: withDetail(opensslReason(finding.code), finding.detail),
        remedy: remedyOf(finding, circumstances),
      })),
      skipped,
    )
  })
  return [...results, resultOf('demands', unmet.map(demandFinding))]
}

function demandFinding({ code, reason, hint }: Failure): CheckFinding {
  return { code, subject: undefined, reason: withDetail(reason, hint), remedy: remedyOfDemand(code) }
}

function resultOf(check: CheckResult['check'], findings: readonly CheckFinding[], skipped = false): CheckResult {
  const result = findings.length > 0 ? 'wrong' : skipped ? 'not looked at' : 'ok'
  return { check, about: ABOUT[check], result, findings }
}

function withDetail(reason: string, detail: string | undefined): string {
  return detail === undefined ? reason : `${reason} (${detail})`
}

export function policyOf(trust: ClientTrust, server: ServerConfig): JudgingPolicy {
  const { ssl_crl: lists, ssl_crl_check: which, revocation_check_mode: mode } = server
  return {
    setting: server.at,
    authorities: trust.certificates.map(({ subject }) => subject),
    ssl_verify_depth: server.ssl_verify_depth,
    revocation: lists && mode !== 'SKIP' ? `ssl_crl, ${which}, ${mode}` : 'none',
  }
}
