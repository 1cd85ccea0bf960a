/** Takes the user's name from the certificate itself: from one field, or from a template over several. */
import type { CertificateFacts } from '../../tls-cert-utils/certificate.ts'
import { attributeOid } from '../../tls-cert-utils/name-key.ts'
import { lowerCaseDomain, RuleError } from './typed-rule.ts'

/** What is written under `user:`. */
export interface SourceSettings {
  /** A field such as `san.email`, `spiffe`, `subject.cn`. */
  readonly from?: string | undefined
  /** Only values in this domain are used (mail and DNS domains, SPIFFE trust domains). */
  readonly domain?: string | undefined
  /** Text with fields in braces, as `{subject.cn}@{subject.o}`. */
  readonly template?: string | undefined
}

/** The name found in a certificate, or why there is none. */
export type Named = { readonly name: string } | { readonly reason: string }

export type UserSource = (certificate: CertificateFacts) => Named

/** A field's values in a certificate. */
type Values = (certificate: CertificateFacts) => readonly string[]

const FIELDS: Readonly<Record<string, Values>> = {
  'san.email': (certificate) => alternative('email')(certificate).map(lowerCaseDomain),
  'san.dns': (certificate) => alternative('dns')(certificate).map((name) => name.toLowerCase()),
  'san.uri': alternative('uri'),
  'san.upn': (certificate) => alternative('upn')(certificate).map(lowerCaseDomain),
  spiffe: (certificate) => spiffeIds(certificate).map(({ id }) => id),
  'spiffe.trust_domain': (certificate) => spiffeIds(certificate).map(({ trustDomain }) => trustDomain),
  'spiffe.path': (certificate) => spiffeIds(certificate).map(({ path }) => path),
  serial: ({ serial }) => [serial],
  fingerprint: ({ fingerprintSha256 }) => [fingerprintSha256],
  spki: ({ publicKeySha256 }) => [publicKeySha256],
}

/** Whether a value lies in a domain that is written in lower case. */
const IN_DOMAIN: Readonly<Record<string, (value: string, domain: string) => boolean>> = {
  'san.email': inMailDomain,
  'san.upn': inMailDomain,
  'san.dns': (value, domain) => value === domain || value.endsWith(`.${domain}`),
  spiffe: inTrustDomain,
}

/** @throws {RuleError} */
export function createUserSource({ from, domain, template }: SourceSettings): UserSource {
  if (template !== undefined) {
    if (from !== undefined || domain !== undefined)
      throw new RuleError('has a template beside from or domain; keep one')
    return fromTemplate(template)
  }
  if (from === undefined) throw new RuleError('names neither a user, nor from, nor a template')
  if (from === 'spiffe.path') return spiffePath(domain)
  const values = fieldOf(from)
  if (domain === undefined) return (certificate) => onlyOne(values(certificate), from)
  const lies = IN_DOMAIN[from]
  if (!lies)
    throw new RuleError(`has a domain, which ${from} has none of; it goes with ${Object.keys(IN_DOMAIN).join(', ')}`)
  const wanted = domain.toLowerCase()
  return (certificate) =>
    onlyOne(
      values(certificate).filter((value) => lies(value, wanted)),
      `${from} of ${wanted}`,
    )
}

/** Two trust domains can have the same path, so a path alone identifies nobody. */
function spiffePath(domain: string | undefined): UserSource {
  if (domain === undefined)
    throw new RuleError('takes the path of a SPIFFE id of any trust domain; add domain: with yours')
  const wanted = domain.toLowerCase()
  return (certificate) =>
    onlyOne(
      spiffeIds(certificate).flatMap(({ trustDomain, path }) => (trustDomain === wanted && path !== '' ? [path] : [])),
      `path of a SPIFFE id of ${wanted}`,
    )
}

/**
 * A value must not hold the text between two fields. Otherwise `{subject.cn}.{subject.o}` would give the same user for `a.b` and `c` as for `a` and
 * `b.c`.
 */
function fromTemplate(template: string): UserSource {
  const parts = template.split(/\{([^{}]*)\}/)
  if (parts.length === 1) throw new RuleError('is a template without a field in braces; write a plain user instead')
  const between = parts.filter((_, i) => i % 2 === 0).slice(1, -1)
  if (between.includes('')) throw new RuleError('has two fields without text in between: two users could share a name')
  const fields = parts.map((part, i) => (i % 2 === 0 ? part : { name: part, values: fieldOf(part) }))
  return (certificate) => {
    let name = ''
    for (const part of fields) {
      if (typeof part === 'string') {
        name += part
        continue
      }
      const found = onlyOne(part.values(certificate), part.name)
      if ('reason' in found) return found
      if (between.some((text) => found.name.includes(text)))
        return { reason: `its ${part.name} holds the text that separates the fields of the template` }
      name += found.name
    }
    return { name }
  }
}

function fieldOf(name: string): Values {
  const known = Object.hasOwn(FIELDS, name) ? FIELDS[name] : undefined
  if (known) return known
  const oid = name.startsWith('subject.') ? attributeOid(name.slice('subject.'.length)) : undefined
  if (oid === undefined)
    throw new RuleError(
      `names the unknown field ${JSON.stringify(name)}; known: ${Object.keys(FIELDS).join(', ')}, subject.cn, subject.<type>`,
    )
  return (certificate) =>
    certificate.subjectAttributes.flat().flatMap((each) => (each.oid === oid && each.isText ? [each.value] : []))
}

/** With several values it is unclear which one is meant. */
function onlyOne(values: readonly string[], what: string): Named {
  const [value, ...more] = new Set(values)
  if (value === undefined || value === '') return { reason: `it has no ${what}` }
  if (more.length > 0) return { reason: `it has ${more.length + 1} values for ${what}; one is needed` }
  if (/[\p{C}\p{Zl}\p{Zp}]/u.test(value)) return { reason: `its ${what} holds control characters` }
  return { name: value }
}

function alternative(type: string): Values {
  return ({ alternativeNames }) => alternativeNames.flatMap((name) => (name.type === type ? [name.value] : []))
}

function inMailDomain(value: string, domain: string): boolean {
  return value.slice(value.lastIndexOf('@') + 1) === domain && value.includes('@')
}

function inTrustDomain(value: string, domain: string): boolean {
  return value === `spiffe://${domain}` || value.startsWith(`spiffe://${domain}/`)
}

const SPIFFE_ID = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/[A-Za-z0-9._-]+)*)$/

/** X509-SVID 2: exactly one URI, which is the SPIFFE id. */
function spiffeIds(certificate: CertificateFacts): { id: string; trustDomain: string; path: string }[] {
  const [uri, ...more] = alternative('uri')(certificate)
  const [id, trustDomain = '', path = ''] = (more.length === 0 && SPIFFE_ID.exec(uri ?? '')) || []
  if (id === undefined || path.split('/').some((segment) => segment === '.' || segment === '..')) return []
  return [{ id, trustDomain, path: path.slice(1) }]
}
