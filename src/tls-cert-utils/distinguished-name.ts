import { SHORT_NAMES } from './attribute-names.ts'
import { type DerElement, DerError, readElement, readOid, TAG } from './der.ts'

/** One attribute of a distinguished name. */
export interface NameAttribute {
  /** Dotted object identifier. */
  readonly oid: string
  /** OpenSSL's short name, as `CN`; undefined where it has none. */
  readonly shortName: string | undefined
  /** The value as text; `#` and the hex of its DER where its type is no character string. It can hold any character, controls too. */
  readonly value: string
  /** Whether the value's type is a character string: text that looks like the hex of a DER is still text. */
  readonly isText: boolean
  /** The value's DER. */
  readonly raw: Buffer
}

/** The attributes of one RDN, in stored order; nearly always one. */
export type RelativeDistinguishedName = readonly NameAttribute[]

interface StoredAttribute {
  readonly rdn: number
  readonly oid: string
  readonly value: DerElement
}

type Charset = 'utf8' | 'latin1' | 'utf16' | 'utf32'

/** How OpenSSL reads each string type (tag2nbyte in crypto/asn1/a_strex.c): T61String is Latin-1 to it. What is not here is dumped. */
const CHARSETS: Readonly<Record<number, Charset>> = {
  12: 'utf8',
  18: 'latin1', // NumericString
  19: 'latin1', // PrintableString
  20: 'latin1', // T61String
  22: 'latin1', // IA5String
  23: 'latin1', // UTCTime
  24: 'latin1', // GeneralizedTime
  26: 'latin1', // VisibleString
  28: 'utf32', // UniversalString
  30: 'utf16', // BMPString
}

/** What one byte of UTF-8 becomes under XN_FLAG_RFC2253, wherever it stands. */
const RFC2253 = Array.from({ length: 256 }, (_, byte) => {
  if (byte < 0x20 || byte > 0x7e) return `\\${hex(byte)}`
  const char = String.fromCharCode(byte)
  return ',+"\\<>;'.includes(char) ? `\\${char}` : char
})

/** What one byte becomes in X509_NAME_oneline. */
const ONELINE = Array.from({ length: 256 }, (_, byte) => {
  if (byte < 0x20 || byte > 0x7e) return `\\x${hex(byte)}`
  const char = String.fromCharCode(byte)
  return char === '/' || char === '+' ? `\\${char}` : char
})

/** OpenSSL prints an object identifier into a buffer of 80 bytes. */
const OID_TEXT = 79

const CONSTRUCTED = 0x20
const SPACE = 0x20
const HASH = 0x23

/**
 * Nginx's `$ssl_client_s_dn`: OpenSSL's X509_NAME_print_ex with XN_FLAG_RFC2253, byte for byte. Last RDN first, printable ASCII only.
 * An empty name gives the empty string.
 * @param name DER of a Name (RFC 5280 4.1.2.4)
 * @throws {DerError} where it is malformed; OpenSSL accepts no certificate with such a name
 */
export function formatRfc2253(name: Uint8Array): string {
  let text = ''
  let previous = -1
  for (const attribute of readAttributes(name).reverse()) {
    if (previous !== -1) text += attribute.rdn === previous ? '+' : ','
    previous = attribute.rdn
    const shortName = SHORT_NAMES.get(attribute.oid)
    text +=
      shortName === undefined
        ? `${printedOid(attribute)}=${dump(attribute.value)}`
        : `${shortName}=${escaped(attribute.value)}`
  }
  return text
}

/**
 * A text that is the same for equal names, whatever their case, spacing or string type (RFC 5280 7.1), as OpenSSL compares them.
 * @param name DER of a Name
 * @throws {DerError} where it is malformed
 */
export function foldedName(name: Uint8Array): string {
  return formatRfc2253(name)
    .toLowerCase()
    .replaceAll('\\ ', ' ')
    .replace(/ +/g, ' ')
    .replace(/(?<=[=]) | (?=[,+]|$)/g, '')
}

/**
 * Nginx's `$ssl_client_s_dn_legacy`: OpenSSL's X509_NAME_oneline, as `/C=DE/CN=x`. Ambiguous by design: never authorise on it.
 * @param name DER of a Name
 * @throws {DerError} where it is malformed; OpenSSL accepts no certificate with such a name
 */
export function formatOneline(name: Uint8Array): string {
  let text = ''
  let previous = -1
  for (const attribute of readAttributes(name)) {
    text += attribute.rdn === previous ? '+' : '/'
    previous = attribute.rdn
    text += `${SHORT_NAMES.get(attribute.oid) ?? printedOid(attribute)}=`
    for (const byte of storedContent(attribute.value)) text += ONELINE[byte]
  }
  return text
}

/**
 * The RDNs of a name, in stored order (the reverse of RFC 2253's), with their values decoded.
 * @param name DER of a Name
 * @throws {DerError} where it is malformed; OpenSSL accepts no certificate with such a name
 */
export function readName(name: Uint8Array): RelativeDistinguishedName[] {
  const rdns: NameAttribute[][] = []
  let previous = -1
  for (const { rdn, oid, value } of readAttributes(name)) {
    if (rdn !== previous) rdns.push([])
    previous = rdn
    const bytes = utf8(value)
    const text = bytes === undefined ? dump(value) : bytes.toString('utf8')
    rdns
      .at(-1)
      ?.push({ oid, shortName: SHORT_NAMES.get(oid), value: text, isText: bytes !== undefined, raw: value.raw })
  }
  return rdns
}

function readAttributes(name: Uint8Array): StoredAttribute[] {
  const attributes: StoredAttribute[] = []
  let rdn = 0
  for (const set of readElement(name).expect(TAG.SEQUENCE, 'a name').children()) {
    for (const pair of set.expect(TAG.SET, 'an RDN').children()) {
      const [type, value] = pair.expect(TAG.SEQUENCE, 'an attribute of a name').children()
      if (type === undefined || value === undefined)
        throw new DerError('an attribute of a name lacks its type or value')
      attributes.push({ rdn, oid: readOid(type.expect(TAG.OID, 'the type of an attribute').content), value })
    }
    rdn++
  }
  return attributes
}

function printedOid({ oid }: StoredAttribute): string {
  return oid.slice(0, OID_TEXT)
}

function escaped(value: DerElement): string {
  const bytes = utf8(value)
  if (bytes === undefined) return dump(value)
  const last = bytes.length - 1
  let text = ''
  for (let index = 0; index <= last; index++) {
    const byte = bytes[index] as number
    // OpenSSL treats an only character as the last one and not as the first one, so a lone '#' stays bare.
    const needsBackslash =
      (byte === SPACE && (index === 0 || index === last)) || (byte === HASH && index === 0 && last > 0)
    text += needsBackslash ? `\\${String.fromCharCode(byte)}` : RFC2253[byte]
  }
  return text
}

/** The value in UTF-8; undefined where it is no character string. */
function utf8(value: DerElement): Buffer | undefined {
  const charset = charsetOf(value)
  if (charset === undefined) return undefined
  const content = value.stringContent()
  if (charset === 'utf8') return content
  if (charset === 'latin1') return Buffer.from(content.toString('latin1'), 'utf8')
  return Buffer.from(wide(content, charset === 'utf16' ? 2 : 4), 'utf8')
}

/** Characters of a fixed width, big end first. OpenSSL refuses what is no Unicode scalar value, surrogates included. */
function wide(content: Buffer, width: 2 | 4): string {
  if (content.length % width !== 0) throw new DerError('a wide string has an odd length')
  let text = ''
  for (let index = 0; index < content.length; index += width) {
    const point = content.readUIntBE(index, width)
    if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) throw new DerError('a wide string is not Unicode')
    text += String.fromCodePoint(point)
  }
  return text
}

function charsetOf(value: DerElement): Charset | undefined {
  const isUniversal = value.tag < 0x40
  return isUniversal ? CHARSETS[value.tag & 0x1f] : undefined
}

/** The octets that OpenSSL keeps of a value: a whole sequence, a BIT STRING without its count of unused bits, otherwise what follows the header. */
function storedContent(value: DerElement): Buffer {
  if (value.tag === TAG.SEQUENCE) return value.raw
  return isBitString(value) ? withoutUnusedBits(value.stringContent()).subarray(1) : value.stringContent()
}

/** RFC 2253 2.4: `#` and the hex of the DER. OpenSSL encodes the value anew, so a long-form length becomes short. */
function dump(value: DerElement): string {
  if (value.tag === TAG.SEQUENCE) return `#${value.raw.toString('hex').toUpperCase()}`
  const content = isBitString(value) ? withoutUnusedBits(value.stringContent()) : value.stringContent()
  return `#${hex(value.tag & ~CONSTRUCTED)}${hexLength(content.length)}${content.toString('hex').toUpperCase()}`
}

function isBitString(value: DerElement): boolean {
  return (value.tag & ~CONSTRUCTED) === TAG.BIT_STRING
}

/** The content of a BIT STRING with the bits cleared that do not belong to it, as OpenSSL reads it. */
function withoutUnusedBits(content: Buffer): Buffer {
  const unused = content[0] ?? 8
  if (unused > 7) throw new DerError('a bit string has no valid count of unused bits')
  const cleared = Buffer.from(content)
  const last = cleared.length - 1
  if (last > 0) cleared[last] = (cleared[last] as number) & (0xff << unused)
  return cleared
}

function hexLength(length: number): string {
  if (length < 0x80) return hex(length)
  const digits = length.toString(16).toUpperCase()
  const bytes = digits.length % 2 === 0 ? digits : `0${digits}`
  return hex(0x80 + bytes.length / 2) + bytes
}

function hex(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, '0')
}
