/** Compiles a rule of `mapping: strict`, and reports what is wrong with it. */
import type { Finding, RuleSettings } from './rule.ts'
import { isRuleType, keysOfSubjectName, RuleError, readTypedRule } from './typed-rule.ts'
import { createUserSource, type UserSource } from './user-source.ts'

/** As it is read. */
export interface Rule {
  readonly settings: RuleSettings
  /** One of them must be a key of the certificate; undefined where any certificate matches. */
  readonly keys: readonly string[] | undefined
  /** The user's name, or how to find it in the certificate. */
  readonly name: string | UserSource
}

/**
 * Undefined for a rule that cannot be used. Problems are added to `findings`.
 * @param tops the names of the topmost authorities that the server trusts
 */
export function compileRule(settings: RuleSettings, tops: readonly string[], findings: Finding[]): Rule | undefined {
  const rule = compile(settings, findings)
  if (!rule) return undefined
  if (tops.length > 1 && needsIssuer(rule)) findings.push(unnamedIssuer(settings.at, tops))
  if (settings.connectionTypes)
    findings.push({ at: settings.at, message: 'has allowed_connection_types, which need mapping: nats', isFatal: true })
  if (needsSigner(rule)) findings.push(UNNAMED_SIGNER(settings.at))
  return rule
}

function compile(settings: RuleSettings, findings: Finding[]): Rule | undefined {
  try {
    return read(settings)
  } catch (error) {
    if (!(error instanceof RuleError)) throw error
    findings.push({ at: settings.at, message: error.message, isFatal: true })
    return undefined
  }
}

/** @throws {RuleError} */
function read(settings: RuleSettings): Rule {
  return { settings, keys: keysIn(settings), name: nameOf(settings) }
}

/** Undefined where any certificate will do. @throws {RuleError} */
export function keysIn({ user, certificates = [], subjectName }: RuleSettings): readonly string[] | undefined {
  if (subjectName !== undefined) return subjectNameKeys(subjectName)
  if (certificates.length > 0) return certificates.map((written) => readTypedRule(written).key)
  return typeof user === 'string' ? [readTypedRule(user).key] : undefined
}

/**
 * Without `certificates`, the user is written as a typed rule, whose value is the user's name too.
 * @throws {RuleError}
 */
export function nameOf({ user, certificates = [], subjectName }: RuleSettings): string | UserSource {
  if (typeof user !== 'string') return createUserSource(user)
  return certificates.length > 0 || subjectName !== undefined ? user : readTypedRule(user).value
}

export function titleOf({ certificates, subjectName, user }: RuleSettings): string {
  if (subjectName !== undefined) return subjectName
  return certificates && certificates.length > 0 ? certificates.join(' or ') : describe(user)
}

function subjectNameKeys(name: string): string[] {
  const type = name.slice(0, Math.max(name.indexOf(':'), 0))
  return isRuleType(type) && type !== 'uri' ? [readTypedRule(name).key] : keysOfSubjectName(name.replace(/^uri:/, ''))
}

function describe(user: RuleSettings['user']): string {
  if (typeof user === 'string') return user
  if (user.template !== undefined) return `template ${user.template}`
  return user.domain === undefined ? `${user.from}` : `${user.from} of ${user.domain}`
}

/** Fingerprints and public keys identify a certificate whoever issued it; serial numbers have a check of their own below. */
function needsIssuer({ settings: { issuers }, keys }: Rule): boolean {
  return !issuers && !(keys?.every((key) => /^(fingerprint|spki|serial):/.test(key)) ?? false)
}

/** A serial number is unique only among the certificates of one issuer (RFC 5280 4.1.2.2). */
function needsSigner({ settings: { issuers }, keys }: Rule): boolean {
  return !issuers && (keys?.some((key) => key.startsWith('serial:')) ?? false)
}

const UNNAMED_SIGNER = (at: string): Finding => ({
  at,
  message: 'names a serial number without its issuer, of whom each has such a number; add issuer',
  isFatal: true,
})

function unnamedIssuer(at: string, tops: readonly string[]): Finding {
  const names = tops.map((subject) => `"${subject}"`).join(', ')
  const message = `does not say who must have issued the certificate, and the server trusts several authorities (${names}); add issuer with one of them`
  return { at, message, isFatal: true }
}
