/** Rules for the names that a certificate may have. They look at its parsed attributes and names, never at the text of a distinguished name. */
import { BlockList, isIP } from 'node:net'
import type { AlternativeName } from './alternative-names.ts'
import { SHORT_NAMES } from './attribute-names.ts'
import type { CertificateFacts } from './certificate.ts'
import type { RelativeDistinguishedName } from './distinguished-name.ts'
import { compileNamePattern, type NameMatcher } from './name-pattern.ts'

/** One rule: every part of it must fit. Of several patterns for one attribute or kind of name, one is enough. */
export interface NameRule {
  /** By OpenSSL's short name or the dotted object identifier. */
  readonly subject?: Patterns | undefined
  readonly issuer?: Patterns | undefined
  /** By kind: `dns`, `email`, `uri`, `upn` take patterns, `ip` addresses and networks. */
  readonly san?: Patterns | undefined
}

type Patterns = Readonly<Record<string, readonly string[]>>
type Condition = (certificate: CertificateFacts) => boolean

/** The kinds of alternative names that rules can name, and what `*` does not cross in them. */
const SEPARATORS: Readonly<Record<string, string | undefined>> = {
  dns: '.',
  email: '@',
  uri: '/',
  upn: '@',
  ip: undefined,
}

const IDENTIFIERS: ReadonlyMap<string, string> = new Map([...SHORT_NAMES].map(([oid, name]) => [name, oid]))

/** The object identifier of an attribute by its short name, as `CN`, or as it stands; undefined where nobody knows it. */
export function attributeIdentifier(name: string): string | undefined {
  return /^\d+(\.\d+)+$/.test(name) ? name : IDENTIFIERS.get(name)
}

/** Whether one of the rules fits. Attributes and kinds must be known ones. */
export function compileNameRules(rules: readonly NameRule[]): Condition {
  const compiled = rules.map(compileRule)
  return (certificate) => compiled.some((fits) => fits(certificate))
}

function compileRule({ subject = {}, issuer = {}, san = {} }: NameRule): Condition {
  const conditions = [
    ...Object.entries(subject).map((entry) =>
      attributeCondition(entry, (certificate) => certificate.subjectAttributes),
    ),
    ...Object.entries(issuer).map((entry) => attributeCondition(entry, (certificate) => certificate.issuerAttributes)),
    ...Object.entries(san).map(([kind, patterns]) => alternativeNameCondition(kind, patterns)),
  ]
  // A rule without parts must not match everybody.
  return (certificate) => conditions.length > 0 && conditions.every((fits) => fits(certificate))
}

function attributeCondition(
  [name, patterns]: [string, readonly string[]],
  attributesOf: (certificate: CertificateFacts) => readonly RelativeDistinguishedName[],
): Condition {
  const oid = attributeIdentifier(name)
  const fits = anyOf(patterns.map((pattern) => compileNamePattern(pattern)))
  return (certificate) =>
    attributesOf(certificate).some((rdn) => rdn.some((attribute) => attribute.oid === oid && fits(attribute.value)))
}

function alternativeNameCondition(kind: string, patterns: readonly string[]): Condition {
  const fits = kind === 'ip' ? addressMatcher(patterns) : anyOf(patterns.map((pattern) => nameMatcher(kind, pattern)))
  const isMeant = ({ type, value }: AlternativeName) => type === kind && fits(value)
  return (certificate) => certificate.alternativeNames.some(isMeant)
}

/** DNS names ignore letter case (RFC 4343); the other kinds may not. */
function nameMatcher(kind: string, pattern: string): NameMatcher {
  if (kind !== 'dns') return compileNamePattern(pattern, SEPARATORS[kind])
  const fits = compileNamePattern(pattern.toLowerCase(), '.')
  return (name) => fits(name.toLowerCase())
}

function addressMatcher(networks: readonly string[]): NameMatcher {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', length] = network.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    list.addSubnet(address, Number(length ?? (family === 'ipv6' ? 128 : 32)), family)
  }
  return (address) => list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
}

function anyOf(matchers: readonly NameMatcher[]): NameMatcher {
  return (name) => matchers.some((fits) => fits(name))
}
