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
  /** As its kind compares it, read once: each name is compared with each subtree. Undefined where it cannot be read. */
  readonly read: unknown
}

/** How names of one kind are compared. */
interface Comparison {
  readonly read: (content: Buffer) => unknown
  /** Undefined where it cannot be decided. */
  readonly isWithin: (name: unknown, base: unknown) => boolean | undefined
}

function comparison<T>(
  read: (content: Buffer) => T | undefined,
  isWithin: (name: T, base: T) => boolean | undefined,
): Comparison {
  return {
    read,
    isWithin: (name, base) => (name === undefined || base === undefined ? undefined : isWithin(name as T, base as T)),
  }
}

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

const COMPARISONS: Readonly<Partial<Record<Kind, Comparison>>> = {
  'e-mail address': comparison(ofText(mailbox), isInMail),
  'DNS name': comparison(ofText(lower), isInDomain),
  'directory name': comparison((content) => readName(content).map(folded), isUnderName),
  URI: comparison(ofText(place), isAtHost),
  'IP address': comparison((content) => content, isInNetwork),
}

function generalName(kind: Kind, content: Buffer): GeneralName {
  return { kind, read: COMPARISONS[kind]?.read(content) }
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

/** A quarter of OpenSSL's NAME_CHECK_MAX: otherwise an issuer could have a million names compared with a million others. */
const MOST_COMPARISONS = 2 ** 18

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

function matches({ kind, read }: GeneralName, { base, isOdd }: Subtree): boolean | undefined {
  return isOdd ? undefined : COMPARISONS[kind]?.isWithin(read, base.read)
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
    return generalName(kind, name.raw)
  }
  if (kind === 'other name') {
    const [type] = element.children()
    if (type?.tag === TAG.OID && readOid(type.content) === UTF8_MAILBOX)
      return generalName('UTF-8 e-mail address', element.content)
  }
  return generalName(kind, element.content)
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
  const names: GeneralName[] = subject.length > 0 ? [generalName('directory name', rawSubject)] : []
  for (const { oid, value, isText, raw: stored } of subject.flat()) {
    if (oid === EMAIL_ADDRESS) {
      if (stored[0] !== IA5_STRING) throw new DerError('the e-mail address in a subject is no IA5String')
      names.push(generalName('e-mail address', readElement(stored).content))
    }
    if (oid !== COMMON_NAME || at > 0 || alternative.some(({ kind }) => kind === 'DNS name')) continue
    const text = withoutLastNuls(value)
    if (!isText || text.includes('\0')) throw new DerError('a common name cannot be read')
    if (DNS_LIKE.test(text)) names.push(generalName('DNS name', Buffer.from(text, 'latin1')))
  }
  return [...names, ...alternative]
}

/** Not by a regular expression: it would begin at each NUL anew. */
function withoutLastNuls(text: string): string {
  let end = text.length
  while (end > 0 && text[end - 1] === '\0') end--
  return text.slice(0, end)
}

/** A NUL would end a text for some readers and not for others. */
function ofText<T>(read: (text: string) => T): (content: Buffer) => T | undefined {
  return (content) => (content.includes(0) ? undefined : read(content.toString('latin1')))
}

function isInDomain(own: string, top: string): boolean {
  if (top === '' || own === top) return true
  return own.endsWith(top) && (top.startsWith('.') || own.at(-top.length - 1) === '.')
}

interface Mailbox {
  /** In lower case. */
  readonly whole: string
  /** Where the last @ is; negative without one. */
  readonly at: number
  /** What stands before it belongs to the host of the address: its case counts. */
  readonly local: string
  /** In lower case. */
  readonly host: string
}

function mailbox(text: string): Mailbox {
  const at = text.lastIndexOf('@')
  return { whole: lower(text), at, local: text.slice(0, Math.max(at, 0)), host: lower(text.slice(at + 1)) }
}

function isInMail(name: Mailbox, base: Mailbox): boolean | undefined {
  if (name.at < 0) return undefined
  if (base.at < 0 && base.whole.startsWith('.')) return isLongerBy(name.whole, base.whole)
  if (base.at > 0 && base.local !== name.local) return false
  return base.host === name.host
}

function isLongerBy(own: string, end: string): boolean {
  return own.length > end.length && own.endsWith(end)
}

/** An authority with more than a host name would be ambiguous. */
const HOST = /^[^:]*:\/\/([a-z0-9._-]+)(?::[^:]*|\/[^:]*)?$/i

interface Place {
  /** In lower case. */
  readonly whole: string
  /** Of a URI, in lower case. */
  readonly host: string | undefined
}

function place(text: string): Place {
  const host = HOST.exec(text)?.[1]
  return { whole: lower(text), host: host === undefined ? undefined : lower(host) }
}

function isAtHost({ host }: Place, { whole: base }: Place): boolean | undefined {
  if (host === undefined) return undefined
  return base.startsWith('.') ? isLongerBy(host, base) : host === base
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

function isUnderName(own: readonly string[], top: readonly string[]): boolean {
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
