/** Envoy's X-Forwarded-Client-Cert: one element per hop, each a list of `key=value` pairs. */
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import type { CallerFacts } from './header-value.ts'

export const XFCC = 'X-Forwarded-Client-Cert'

export type XfccDetail = 'subject' | 'cert' | 'chain' | 'dns' | 'uri'

/** In Envoy's order, whatever the order of the setting. */
const DETAILS: Readonly<
  Record<XfccDetail, (certificate: CertificateFacts, chain: readonly CertificateFacts[]) => string[]>
> = {
  cert: ({ escapedPem }) => [`Cert="${escapedPem}"`],
  chain: ({ escapedPem }, chain) => [`Chain="${[escapedPem, ...chain.map((each) => each.escapedPem)].join('')}"`],
  subject: ({ subject }) => [`Subject="${withoutQuotes(subject)}"`],
  // The key is there even where there is no URI, as in Envoy.
  uri: (certificate) => withKey('URI', orEmpty(namesOf(certificate, 'uri'))),
  dns: (certificate) => withKey('DNS', namesOf(certificate, 'dns')),
}

/** This hop's element. `By` and `Hash` are always there; `By` where our own certificate has a URI, as in Envoy. */
export function createXfccElement(details: readonly XfccDetail[]): (facts: CallerFacts) => string | undefined {
  const chosen = (Object.keys(DETAILS) as XfccDetail[]).filter((detail) => details.includes(detail))
  return ({ connection: { certificate, chain }, ownUris }) =>
    certificate &&
    [
      ...withKey('By', ownUris),
      `Hash=${certificate.fingerprintSha256}`,
      ...chosen.flatMap((detail) => DETAILS[detail](certificate, chain)),
    ].join(';')
}

function namesOf(certificate: CertificateFacts, type: 'uri' | 'dns'): string[] {
  return certificate.alternativeNames.filter((name) => name.type === type).map(({ value }) => value)
}

function orEmpty(values: string[]): string[] {
  return values.length > 0 ? values : ['']
}

function withKey(key: string, values: readonly string[]): string[] {
  return values.map((value) => `${key}=${quotedWhereNeeded(value)}`)
}

/**
 * Envoy writes names unescaped, so the URI `spiffe://td/a;By=x,Hash=y` begins another pair and another element. Readers disagree on whether `\\`
 * within quotes is one backslash. So neither a quote nor a backslash is ever written: both are percent-encoded.
 */
function quotedWhereNeeded(value: string): string {
  const safe = value.replace(/[^\x20-\x7e]|["\\]/gu, (character) => encodeURIComponent(character.toWellFormed()))
  return /[,;= ]/.test(safe) ? `"${safe}"` : safe
}

/** For the same reason, `\"` and `\\` of an RFC 2253 text become their hexadecimal pairs (RFC 4514 2.4), which mean the same. */
function withoutQuotes(subject: string): string {
  return subject.replace(/\\(.)/g, (pair, escaped) => (escaped === '"' ? '\\22' : escaped === '\\' ? '\\5C' : pair))
}

export type XfccPair = readonly [key: string, value: string]

/** Parses the header; keys are lower-cased and quotes removed. Undefined where it is ambiguous. */
export function parseXfcc(text: string): readonly (readonly XfccPair[])[] | undefined {
  const elements: XfccPair[][] = [[]]
  PAIR.lastIndex = 0
  for (let at = 0; at < text.length; at = PAIR.lastIndex) {
    const found = PAIR.exec(text)
    if (!found) return undefined
    const [, key = '', quotedValue, plain = '', separator] = found
    const value = quotedValue === undefined ? plain : quotedValue.replaceAll('\\"', '"')
    elements.at(-1)?.push([key.toLowerCase(), value])
    if (separator === ',') elements.push([])
    if (separator === '' && PAIR.lastIndex !== text.length) return undefined
    if (separator !== '' && PAIR.lastIndex === text.length) return undefined
  }
  return text === '' ? undefined : elements
}

/**
 * One pair and what ends it. Within quotes, `\"` is a quote. Two backslashes before a quote end the value for some readers only, so such a header is
 * not read at all.
 */
const PAIR = /[ \t]*([A-Za-z]+)=(?:"((?:[^"\\]|(?:\\\\)*\\"|\\+[^"\\])*)"|([^",;\s]*))[ \t]*([,;]?)/y
