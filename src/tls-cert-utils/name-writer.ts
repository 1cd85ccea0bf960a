import { SHORT_NAMES } from './attribute-names.ts'
import { element, oid, sequence, setOf } from './der-writer.ts'

/** One attribute with full control over its encoding, well-formed or not. */
export interface RawAttribute {
  readonly oid: string
  /** The identifier octet of the value, as 0x0c for UTF8String. */
  readonly tag: number
  readonly value: Uint8Array
}

const PRINTABLE_STRING = 0x13
const IA5_STRING = 0x16
const UTF8_STRING = 0x0c

/** What RFC 5280 4.1.2.4 and its appendix A prescribe; every other attribute is a UTF8String. */
const STRING_TYPES: Readonly<Record<string, number>> = {
  C: PRINTABLE_STRING,
  serialNumber: PRINTABLE_STRING,
  dnQualifier: PRINTABLE_STRING,
  DC: IA5_STRING,
  emailAddress: IA5_STRING,
}

const OIDS: ReadonlyMap<string, string> = new Map([...SHORT_NAMES].map(([dotted, name]) => [name, dotted]))

/** A Name in DER from its RDNs in stored order. Values are taken as they are. */
export function encodeName(rdns: readonly (readonly RawAttribute[])[]): Buffer {
  return sequence(
    ...rdns.map((rdn) =>
      setOf(...rdn.map((attribute) => sequence(oid(attribute.oid), element(attribute.tag, attribute.value)))),
    ),
  )
}

/**
 * A Name in DER from RFC 4514 text, as `CN=ada,OU=engines+L=London,C=GB`: the text's first RDN is the last one stored, so that
 * nginx prints the same text. Text without an attribute type is a common name.
 * @throws {Error} for an attribute type that is neither an OpenSSL short name nor dotted
 */
export function parseName(text: string): Buffer {
  if (text === '') return sequence()
  if (!/(?<!\\)=/.test(text)) return parseName(`CN=${text.replace(/[\\,+";<>]/g, '\\$&')}`)
  const rdns = splitUnescaped(text, ',').map((rdn) => splitUnescaped(rdn, '+').map(parseAttribute))
  return encodeName(rdns.reverse())
}

function parseAttribute(text: string): RawAttribute {
  const [type = '', ...rest] = text.split('=')
  const name = type.trim()
  const dotted = /^[0-9.]+$/.test(name) ? name : OIDS.get(name)
  if (dotted === undefined) throw new Error(`"${name}" is no attribute type of a distinguished name`)
  const tag = STRING_TYPES[SHORT_NAMES.get(dotted) ?? ''] ?? UTF8_STRING
  return { oid: dotted, tag, value: unescapeValue(rest.join('=')) }
}

/** RFC 4514 3: `\` before a special character or two hex digits of a byte. */
function unescapeValue(value: string): Buffer {
  const parts = value.split(/(\\[0-9a-fA-F]{2}|\\.)/s).filter((part) => part !== '')
  return Buffer.concat(
    parts.map((part) => {
      if (!part.startsWith('\\')) return Buffer.from(part, 'utf8')
      return part.length === 3 ? Buffer.from(part.slice(1), 'hex') : Buffer.from(part.slice(1), 'utf8')
    }),
  )
}

function splitUnescaped(text: string, separator: ',' | '+'): string[] {
  return text.split(separator === ',' ? /(?<!(?<!\\)(?:\\\\)*\\),/ : /(?<!(?<!\\)(?:\\\\)*\\)\+/)
}
