/**
 * Whether authorities may certify the names that they certify (RFC 5280 4.2.1.10), as OpenSSL judges it (crypto/x509/v3_ncons.c, and
 * check_name_constraints in x509_vfy.c). What cannot be decided counts as a violation, both of excluded and of permitted names.
 */
import type { CertificateFacts } from './certificate.ts'
import { type DerElement, DerError, readElement, readOid, readWhole, TAG } from './der.ts'
import { type RelativeDistinguishedName, readName } from './distinguished-name.ts'
import { NAME_CONSTRAINTS, readExtensions, SUBJECT_ALTERNATIVE_NAME } from './extensions.ts'

/** A name of a certificate, or a part of the names of its kind. */
interface GeneralName {
  readonly kind: Kind
  readonly content: Buffer
}

/** Undefined where it cannot be decided. */
type Matches = (name: Buffer, base: Buffer) => boolean | undefined

/** By the tag of a GeneralName (RFC 5280 4.2.1.6). */
const KINDS = {
  160: 'other name',
  129: 'e-mail address',
  130: 'DNS name',
  163: 'X.400 address',
  164: 'directory name',
  165: 'EDI party name',
  134: 'URI',
  135: 'IP address',
  136: 'registered identifier',
} as const

type Kind = (typeof KINDS)[keyof typeof KINDS] | 'UTF-8 e-mail address'

const MATCHES: Readonly<Partial<Record<Kind, Matches>>> = {
  'e-mail address': asText(isInMail),
  'DNS name': asText(isInDomain),
  'directory name': isUnderName,
  URI: asText(isAtHost),
  'IP address': isInNetwork,
}

interface Subtree {
  readonly base: GeneralName
  /** With a minimum or maximum, which nobody may use. */
  readonly isOdd: boolean
}

const PERMITTED = 0xa0
const EXCLUDED = 0xa1

interface Constraints {
  readonly permitted: readonly Subtree[]
  readonly excluded: readonly Subtree[]
}

export interface NameViolation {
  /** Which certificate of the chain, from 0. */
  readonly at: number
  readonly detail: string
}

/** As OpenSSL's NAME_CHECK_MAX: otherwise an issuer could have a million names compared with a million others. */
const MOST_COMPARISONS = 2 ** 20

/** @param chain the client's certificate first, its root last */
export function nameViolations(chain: readonly CertificateFacts[]): NameViolation[] {
  return chain.flatMap((authority, above) => {
    if (above === 0) return []
    try {
      const constraints = constraintsOf(authority)
      if (!constraints) return []
      return chain.slice(0, above).flatMap((certificate, at) => {
        if (at > 0 && certificate.selfIssued) return []
        const kind = violation(namesOf(certificate, at), constraints)
        return kind === undefined
          ? []
          : [{ at, detail: `the name constraints of ${authority.subject} forbid its ${kind}` }]
      })
    } catch (error) {
      if (!(error instanceof DerError)) throw error
      return [{ at: 0, detail: `the name constraints of ${authority.subject} cannot be judged: ${error.message}` }]
    }
  })
}

function violation(names: readonly GeneralName[], { permitted, excluded }: Constraints): Kind | undefined {
  if (names.length * (permitted.length + excluded.length) > MOST_COMPARISONS) throw new DerError('there are too many')
  return names.find((name) => {
    const concern = ({ base }: Subtree) => base.kind === name.kind || isMail(base.kind, name.kind)
    const [within, without] = [permitted.filter(concern), excluded.filter(concern)]
    const isPermitted = within.length === 0 || within.some((subtree) => matches(name, subtree) === true)
    const isClear = within.every((subtree) => matches(name, subtree) !== undefined)
    return !isPermitted || !isClear || without.some((subtree) => matches(name, subtree) !== false)
  })?.kind
}

/** RFC 8398 6: an address in UTF-8 is held to what is said of addresses. */
function isMail(base: Kind, name: Kind): boolean {
  return base === 'e-mail address' && name === 'UTF-8 e-mail address'
}

function matches({ kind, content }: GeneralName, { base, isOdd }: Subtree): boolean | undefined {
  return isOdd ? undefined : MATCHES[kind]?.(content, base.content)
}

function constraintsOf(authority: CertificateFacts): Constraints | undefined {
  const found = readExtensions(authority.raw).filter(({ oid }) => oid === NAME_CONSTRAINTS)
  if (found.length > 1) throw new DerError('they stand there twice')
  const [extension] = found
  if (!extension) return undefined
  const parts = [...readWhole(extension.value).expect(TAG.SEQUENCE, 'nameConstraints').children()]
  if (parts.some(({ tag }) => tag !== PERMITTED && tag !== EXCLUDED)) throw new DerError('a part is of no known kind')
  const subtrees = (tag: number) =>
    parts.filter((part) => part.tag === tag).flatMap((part) => [...part.children()].map(readSubtree))
  return { permitted: subtrees(PERMITTED), excluded: subtrees(EXCLUDED) }
}

function readSubtree(element: DerElement): Subtree {
  const [base, ...bounds] = element.expect(TAG.SEQUENCE, 'a subtree').children()
  if (!base) throw new DerError('a subtree is empty')
  return { base: readGeneralName(base), isOdd: bounds.length > 0 }
}

const UTF8_MAILBOX = '1.3.6.1.5.5.7.8.9'

function readGeneralName(element: DerElement): GeneralName {
  const kind = KINDS[element.tag as keyof typeof KINDS]
  if (kind === undefined) throw new DerError('a name is of no known kind')
  if (kind === 'directory name') {
    const [name] = element.children()
    if (!name) throw new DerError('a directoryName is empty')
    return { kind, content: name.raw }
  }
  if (kind === 'other name') {
    const [type] = element.children()
    if (type?.tag === TAG.OID && readOid(type.content) === UTF8_MAILBOX)
      return { kind: 'UTF-8 e-mail address', content: element.content }
  }
  return { kind, content: element.content }
}

const EMAIL_ADDRESS = '1.2.840.113549.1.9.1'
const COMMON_NAME = '2.5.4.3'
const IA5_STRING = 0x16
/** What OpenSSL takes for a DNS name where it stands in a subject (cn2dnsid). */
const DNS_LIKE = /^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)+$/i

function namesOf({ raw, rawSubject }: CertificateFacts, at: number): GeneralName[] {
  const extension = readExtensions(raw).find(({ oid }) => oid === SUBJECT_ALTERNATIVE_NAME)
  const alternative = extension ? [...readWhole(extension.value).children()].map(readGeneralName) : []
  const subject = readName(rawSubject)
  const names: GeneralName[] = subject.length > 0 ? [{ kind: 'directory name', content: rawSubject }] : []
  for (const { oid, value, isText, raw: stored } of subject.flat()) {
    if (oid === EMAIL_ADDRESS) {
      if (stored[0] !== IA5_STRING) throw new DerError('the e-mail address in a subject is no IA5String')
      names.push({ kind: 'e-mail address', content: readElement(stored).content })
    }
    if (oid !== COMMON_NAME || at > 0 || alternative.some(({ kind }) => kind === 'DNS name')) continue
    const text = value.replace(/\0+$/, '')
    if (!isText || text.includes('\0')) throw new DerError('a common name cannot be read')
    if (DNS_LIKE.test(text)) names.push({ kind: 'DNS name', content: Buffer.from(text, 'latin1') })
  }
  return [...names, ...alternative]
}

/** A NUL would end a text for some readers and not for others. */
function asText(matching: (name: string, base: string) => boolean | undefined): Matches {
  return (name, base) =>
    name.includes(0) || base.includes(0) ? undefined : matching(name.toString('latin1'), base.toString('latin1'))
}

function isInDomain(name: string, base: string): boolean {
  const [own, top] = [lower(name), lower(base)]
  if (top === '' || own === top) return true
  return own.endsWith(top) && (top.startsWith('.') || own.at(-top.length - 1) === '.')
}

function isInMail(name: string, base: string): boolean | undefined {
  const at = name.lastIndexOf('@')
  if (at < 0) return undefined
  const baseAt = base.lastIndexOf('@')
  if (baseAt < 0 && base.startsWith('.')) return name.length > base.length && lower(name).endsWith(lower(base))
  // What stands before the @ belongs to the host of the address: its case counts.
  if (baseAt > 0 && base.slice(0, baseAt) !== name.slice(0, at)) return false
  return lower(base.slice(baseAt + 1)) === lower(name.slice(at + 1))
}

/** An authority with more than a host name would be ambiguous. */
const HOST = /^[^:]*:\/\/([a-z0-9._-]+)(?::[^:]*|\/[^:]*)?$/i

function isAtHost(name: string, base: string): boolean | undefined {
  const host = HOST.exec(name)?.[1]
  if (host === undefined) return undefined
  if (base.startsWith('.')) return host.length > base.length && lower(host).endsWith(lower(base))
  return lower(host) === lower(base)
}

function isInNetwork(address: Buffer, base: Buffer): boolean | undefined {
  const { length } = address
  if ((length !== 4 && length !== 16) || (base.length !== 8 && base.length !== 32)) return undefined
  if (base.length !== 2 * length) return false
  return address.every((byte, i) => {
    const mask = base[length + i] as number
    return (byte & mask) === ((base[i] as number) & mask)
  })
}

function isUnderName(name: Buffer, base: Buffer): boolean {
  const [own, top] = [readName(name).map(folded), readName(base).map(folded)]
  return top.every((rdn, i) => own[i] === rdn)
}

/** The string types that OpenSSL compares as texts (ASN1_MASK_CANON). */
const TEXTS: ReadonlySet<number> = new Set([12, 19, 20, 22, 26, 28, 30])

function folded(rdn: RelativeDistinguishedName): string {
  const attributes = rdn.map(({ oid, value, isText, raw }) =>
    isText && TEXTS.has(raw[0] as number)
      ? `${oid}=${lower(value.replace(/[\t-\r ]+/g, ' ').replace(/^ | $/g, ''))}`
      : `${oid}#${raw.toString('hex')}`,
  )
  return attributes.sort().join('\n')
}

/** ASCII alone, as OpenSSL. */
function lower(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}
