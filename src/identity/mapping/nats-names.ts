/** The names under which nats-server looks for a certificate's user, in its order (server/auth.go, checkClientTLSCertSubject). */
import type { CertificateFacts } from '../../tls-cert-utils/certificate.ts'
import type { RelativeDistinguishedName } from '../../tls-cert-utils/distinguished-name.ts'
import { parseNameText, type WrittenRdn } from '../../tls-cert-utils/name-text.ts'

/** NATS knows only these types: a subject with any other is compared only in Go's printed form. */
const NATS_TYPES: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.5': 'SERIALNUMBER',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.9': 'STREET',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '2.5.4.17': 'POSTALCODE',
  '0.9.2342.19200300.100.1.25': 'DC',
}
export const NATS_TYPE_NAMES: ReadonlySet<string> = new Set(Object.values(NATS_TYPES))

/** Go rebuilds a subject in this order, the reverse of ToRDNSequence, and puts all values of one type into one RDN. */
const GO_ORDER = ['SERIALNUMBER', 'CN', 'OU', 'O', 'POSTALCODE', 'STREET', 'L', 'ST', 'C']
/** Of these types Go keeps only the last value. */
const GO_SINGLE = new Set(['SERIALNUMBER', 'CN'])

/** A name as a list of RDNs, each a sorted list of `TYPE=value`. */
export type NatsName = readonly (readonly string[])[]

/** The subject in RFC 4514's order; undefined where NATS gives up: for an unknown attribute, or a value that is no text. */
export function natsNameOf(subject: readonly RelativeDistinguishedName[]): NatsName | undefined {
  const rdns: string[][] = []
  for (const rdn of subject.toReversed()) {
    const attributes = rdn.map(({ oid, value, isText }) =>
      isText && NATS_TYPES[oid] ? `${NATS_TYPES[oid]}=${value}` : undefined,
    )
    if (attributes.includes(undefined)) return undefined
    rdns.push((attributes as string[]).sort())
  }
  // A user with an empty name must not match everybody without a subject.
  return rdns.length === 0 ? undefined : rdns
}

/**
 * A user's name from the configuration as a distinguished name; undefined where it is none. What go-ldap cannot parse (a value that begins with #)
 * matches nobody there, nor here.
 */
export function readNatsName(user: string): NatsName | undefined {
  let rdns: readonly WrittenRdn[]
  try {
    rdns = parseNameText(user)
  } catch {
    return undefined
  }
  if (rdns.length === 0 || rdns.some((rdn) => rdn.some(({ isHex }) => isHex))) return undefined
  return rdns.map((rdn) => rdn.map(({ type, value }) => `${type.toUpperCase()}=${value}`).sort())
}

/** RDNs in the same order; in an RDN of several attributes in any, since they are sorted. */
export function isSamePlaceByPlace(one: NatsName, other: NatsName): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

/** Go's `cert.Subject.ToRDNSequence().String()`, which leaves out whatever it does not know. */
export function goSubject(subject: readonly RelativeDistinguishedName[]): string {
  const values = new Map<string, string[]>()
  for (const { oid, value, isText } of subject.flat()) {
    const type = NATS_TYPES[oid]
    if (type === undefined || !isText) continue
    const before = GO_SINGLE.has(type) ? undefined : values.get(type)
    if (before) before.push(value)
    else values.set(type, [value])
  }
  const rdns = GO_ORDER.flatMap((type) => {
    const found = (values.get(type) ?? []).filter((value) => value !== '' || !GO_SINGLE.has(type))
    return found.length === 0 ? [] : [found.map((value) => `${type}=${goEscaped(value)}`).join('+')]
  })
  return rdns.join(',')
}

/** The domain components in the certificate's order, as NATS appends them to Go's text; empty where there are none. */
export function domainComponents(subject: readonly RelativeDistinguishedName[]): string {
  return subject
    .flat()
    .flatMap(({ oid, value, isText }) => (isText && NATS_TYPES[oid] === 'DC' ? [`DC=${value}`] : []))
    .join(',')
}

function goEscaped(value: string): string {
  return value
    .replace(/[,+"\\<>;]/g, '\\$&')
    .replace(/^[ #]/, '\\$&')
    .replace(/(?<!^) $/, '\\ ')
}

/** Alternative names in NATS's order: all addresses, all DNS names, all URIs; with the words of its log. */
export function natsAlternatives(certificate: CertificateFacts): { readonly name: string; readonly found: string }[] {
  return (['email', 'dns', 'uri'] as const).flatMap((type) =>
    certificate.alternativeNames.flatMap((each) =>
      each.type === type ? [{ name: type === 'uri' ? goUri(each.value) : each.value, found: FOUND[type] }] : [],
    ),
  )
}

const FOUND = { email: 'email found in cert', dns: 'SAN found in cert', uri: 'URI found in cert' } as const

/** Go's url.String(): the scheme in lower case. */
function goUri(uri: string): string {
  return uri.replace(/^[A-Za-z][A-Za-z0-9+.-]*:/, (scheme) => scheme.toLowerCase())
}
