/**
 * Rules that name a certificate by one field of a known type, as `email:ada@example.com`: an exact match that never hits another field by accident.
 */
import type { CertificateFacts } from '../../tls-cert-utils/certificate.ts'
import { readExtensions, SUBJECT_ALTERNATIVE_NAME } from '../../tls-cert-utils/extensions.ts'
import { keyOfName, keyOfWrittenName } from '../../tls-cert-utils/name-key.ts'
import { NameTextError, parseNameText } from '../../tls-cert-utils/name-text.ts'

export type RuleType = keyof typeof READERS

export interface TypedRule {
  readonly type: RuleType
  /** What follows the type, as written. */
  readonly value: string
  /** Equal to one of a certificate's keys if and only if the rule names that certificate. */
  readonly key: string
}

/** A malformed rule; the message completes a sentence that begins with the setting. */
export class RuleError extends Error {}

const COMMON_NAME = '2.5.4.3'

/** Turns the text after the type into the one spelling that certificates' keys use. */
const READERS = {
  email: (value: string) => withLowerCaseDomain(value, /^[^@\s]+@[^@\s]+$/, 'an address such as ada@example.com'),
  dns: (value: string) => fitting(value, /^(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/, 'a DNS name').toLowerCase(),
  uri: (value: string) =>
    plainUri(fitting(value, /^[A-Za-z][A-Za-z0-9+.-]*:[!-~]+$/, 'a URI such as spiffe://example.com/a')),
  dn: writtenName,
  cn: (value: string) => value,
  spki: (value: string) => sha256(value),
  fingerprint: (value: string) => sha256(value),
  serial: (value: string) =>
    serialNumber(fitting(value.replaceAll(':', ''), /^[0-9A-Fa-f]{1,80}$/, 'a serial number in hex')),
  upn: (value: string) => withLowerCaseDomain(value, /^[^@]+@[^@\s]+$/, 'a name such as ada@example.com'),
} as const

/** @throws {RuleError} */
export function readTypedRule(written: string): TypedRule {
  const colon = written.indexOf(':')
  const type = written.slice(0, Math.max(colon, 0))
  if (!isRuleType(type)) {
    throw new RuleError(
      `names no type; write one of ${Object.keys(READERS).join(':, ')}: in front, as email:ada@example.com`,
    )
  }
  const value = written.slice(colon + 1)
  if (value.trim() === '') throw new RuleError(`has nothing after ${type}:`)
  return { type, value, key: `${type}:${READERS[type](value)}` }
}

export function isRuleType(type: string): type is RuleType {
  return Object.hasOwn(READERS, type)
}

/** Every key that a rule of these types for this certificate can have. */
export function keysOf(certificate: CertificateFacts, types: ReadonlySet<string>): string[] {
  const keys: string[] = []
  if (types.has('fingerprint')) keys.push(`fingerprint:${certificate.fingerprintSha256}`)
  if (types.has('spki')) keys.push(`spki:${certificate.publicKeySha256}`)
  if (types.has('serial')) keys.push(`serial:${serialNumber(certificate.serial)}`)
  for (const { type, value } of certificate.alternativeNames) {
    if (type === 'email' || type === 'upn') keys.push(`${type}:${lowerCaseDomain(value)}`)
    if (type === 'dns') keys.push(`dns:${value.toLowerCase()}`)
    if (type === 'uri') keys.push(`uri:${plainUri(value)}`)
  }
  const subject = certificate.subjectAttributes
  // A certificate without a subject is named by no dn: rule.
  if (types.has('dn') && subject.length > 0) keys.push(`dn:${keyOfName(subject)}`)
  const name = types.has('cn') || types.has(ONLY_NAME) ? onlyCommonName(certificate) : undefined
  if (name === undefined) return keys
  if (types.has('cn')) keys.push(`cn:${name}`)
  if (types.has(ONLY_NAME) && !hasAlternativeNames(certificate)) keys.push(`${ONLY_NAME}:${name}`)
  return keys
}

/** With several common names it is unclear which one the issuer has checked. */
function onlyCommonName({ subjectAttributes }: CertificateFacts): string | undefined {
  const names = subjectAttributes.flat().filter(({ oid, isText }) => oid === COMMON_NAME && isText)
  return names.length === 1 ? names[0]?.value : undefined
}

/** Whether one of these keys fails for nothing but the alternative names, beside which a CN does not count. */
export function hasHiddenName(certificate: CertificateFacts, keys: readonly string[]): boolean {
  const name = onlyCommonName(certificate)
  return name !== undefined && keys.includes(`${ONLY_NAME}:${name}`) && hasAlternativeNames(certificate)
}

const ONLY_NAME = 'cn where there is no subjectAltName'

/** An unreadable extension counts as present. */
function hasAlternativeNames({ raw }: CertificateFacts): boolean {
  try {
    return readExtensions(raw).some(({ oid }) => oid === SUBJECT_ALTERNATIVE_NAME)
  } catch {
    return true
  }
}

/**
 * The keys of a name in Kong's mtls_auth_credentials, which has no type: an alternative name of the type that it looks like, or the CN of a
 * certificate without alternative names.
 */
export function keysOfSubjectName(name: string): string[] {
  const typed = (['email', 'uri', 'dns'] as const).flatMap((type) => {
    try {
      return [readTypedRule(`${type}:${name}`).key]
    } catch {
      return []
    }
  })
  return [...typed, `${ONLY_NAME}:${name}`]
}

function fitting(value: string, form: RegExp, expected: string): string {
  if (form.test(value)) return value
  throw new RuleError(`is not ${expected}`)
}

function sha256(value: string): string {
  return fitting(value.replaceAll(':', ''), /^[0-9A-Fa-f]{64}$/, 'a SHA-256 in 64 hex digits').toLowerCase()
}

function withLowerCaseDomain(value: string, form: RegExp, expected: string): string {
  return lowerCaseDomain(fitting(value, form, expected))
}

/** RFC 5280 7.5: the domain of an address in any case, the part before it exactly. */
export function lowerCaseDomain(address: string): string {
  const at = address.lastIndexOf('@') + 1
  return address.slice(0, at) + address.slice(at).toLowerCase()
}

/** RFC 3986 6.2.2.1: scheme and host in any case, everything else exactly. */
function plainUri(uri: string): string {
  const [, scheme = '', authority, rest = ''] = /^([^:/?#]*:)(\/\/[^/?#]*)?(.*)$/s.exec(uri) ?? []
  if (scheme === '') return uri
  const host = (authority?.lastIndexOf('@') ?? -1) + 1
  return scheme.toLowerCase() + (authority ?? '').slice(0, host) + (authority ?? '').slice(host).toLowerCase() + rest
}

/** In one spelling, without leading zeros. */
function serialNumber(hex: string): string {
  const sign = hex.startsWith('-') ? '-' : ''
  return sign + (hex.replace(/^-?0*/, '').toUpperCase() || '0')
}

function writtenName(value: string): string {
  try {
    const rdns = parseNameText(value)
    if (rdns.length === 0) throw new RuleError('names an empty name, which no certificate shall be found by')
    return keyOfWrittenName(rdns)
  } catch (error) {
    if (!(error instanceof NameTextError)) throw error
    throw new RuleError(error.message)
  }
}
