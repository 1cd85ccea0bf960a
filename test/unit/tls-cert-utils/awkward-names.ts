import { element, oid, sequence, setOf } from '../../../src/tls-cert-utils/der-writer.ts'
import { encodeName } from '../../../src/tls-cert-utils/development-pki.ts'

/** Names that are hard to print, by what is hard about them. OpenSSL accepts each one in a certificate. */

const UTF8 = 0x0c
const CN = '2.5.4.3'
const O = '2.5.4.10'
const UNKNOWN = '1.2.3.4'

const utf8 = (type: string, text: string) => ({ oid: type, tag: UTF8, value: Buffer.from(text) })
const cn = (tag: number, ...bytes: number[]) => encodeName([[{ oid: CN, tag, value: Buffer.from(bytes) }]])
const text = (value: string) => encodeName([[utf8(CN, value)]])
const utf16 = (value: string) => Buffer.from(value, 'utf16le').swap16()
const handmade = (type: string, ...value: Uint8Array[]) => sequence(setOf(sequence(oid(type), ...value)))

export const AWKWARD_NAMES: Readonly<Record<string, Uint8Array>> = {
  'no attribute at all': encodeName([]),
  'empty value': text(''),
  'several RDNs': encodeName([[utf8('2.5.4.6', 'DE')], [utf8(O, 'Acme')], [utf8(CN, 'ada')]]),
  'two attributes in one RDN': encodeName([[utf8(CN, 'ada'), utf8('2.5.4.11', 'engines')], [utf8(O, 'x')]]),
  'three attributes in one RDN': encodeName([
    [utf8('0.9.2342.19200300.100.1.1', '7'), utf8(CN, 'ada'), utf8('2.5.4.5', '9')],
  ]),
  'same attribute twice in one RDN': encodeName([[utf8('2.5.4.11', 'b'), utf8('2.5.4.11', 'a')]]),
  'same attribute in two RDNs': encodeName([[utf8('2.5.4.11', 'b')], [utf8('2.5.4.11', 'a')]]),
  'RDN whose set is not sorted': sequence(
    element(
      0x31,
      sequence(oid('2.5.4.11'), element(UTF8, Buffer.from('u'))),
      sequence(oid(CN), element(UTF8, Buffer.from('n'))),
    ),
  ),
  'empty RDNs between others': encodeName([[], [utf8(CN, 'a')], [], [utf8(O, 'b')], []]),
  'every character to escape': text(`a,b+c"d\\e<f>g;h`),
  'equals sign and slash': text('a=b/c=d'),
  'looks like two RDNs': text('ada,O=Acme'),
  'leading hash': text('#1'),
  'only a hash': text('#'),
  'hash in the middle': text('a#b'),
  'leading blank': text(' a'),
  'trailing blank': text('a '),
  'blanks at both ends': text('  a  '),
  'only a blank': text(' '),
  'only two blanks': text('  '),
  'ends in a backslash': text('a\\'),
  'ends in a backslash and a blank': text('a\\ '),
  'line feed': text('ada\r\nVERIFIED: SUCCESS'),
  'NUL in the middle': text('admin\0evil'),
  'every control character': text(String.fromCharCode(...Array.from({ length: 32 }, (_, code) => code), 127)),
  'every printable character': text(String.fromCharCode(...Array.from({ length: 95 }, (_, code) => code + 32))),
  'Latin letters with accents': text('café Zoë'),
  Japanese: text('日本'),
  'emoji beyond the basic plane': text('🗝️'),
  'combining and right-to-left marks': text('e\u0301 \u202eabc'),
  'byte order mark': text('\ufeffa'),
  'non-ASCII first and last': text('é é'),
  BMPString: encodeName([[{ oid: CN, tag: 30, value: utf16('Ünïcode 日') }]]),
  'BMPString with blanks and hash': encodeName([[{ oid: CN, tag: 30, value: utf16('# ') }]]),
  'BMPString with NUL': cn(30, 0, 0, 0, 0x61),
  'BMPString with a non-character': cn(30, 0xff, 0xff),
  'empty BMPString': cn(30),
  UniversalString: cn(28, 0, 1, 0xf5, 0x11, 0, 0, 0, 0x20),
  'T61String, which is Latin-1 to OpenSSL': cn(20, 0x63, 0x61, 0x66, 0xe9),
  'T61String with C1 controls': cn(20, 0x80, 0x9f, 0xff),
  'PrintableString with what it must not hold': cn(19, 0x40, 0xe9, 0x00),
  IA5String: encodeName([[{ oid: '1.2.840.113549.1.9.1', tag: 22, value: Buffer.from('ada@acme.test') }]]),
  'IA5String that is not ASCII': cn(22, 0xff),
  NumericString: cn(18, 0x31, 0x20, 0x32),
  'BIT STRING': cn(3, 0, 0x61),
  'BIT STRING with dirt in unused bits': cn(3, 4, 0xff, 0xff),
  SEQUENCE: handmade(CN, sequence(element(UTF8, Buffer.from('in')))),
  REAL: cn(9, 0x03, 0x31),
  ObjectDescriptor: cn(7, 0x61),
  'RELATIVE-OID': cn(13, 0x03),
  'constructed UTF8String': handmade(
    CN,
    element(0x2c, element(UTF8, Buffer.from('a')), element(UTF8, Buffer.from('b'))),
  ),
  'UTF8String of indefinite length': handmade(
    CN,
    Buffer.from([0x2c, 0x80]),
    element(UTF8, Buffer.from('ab')),
    Buffer.from([0, 0]),
  ),
  'long-form length': handmade(CN, Buffer.from([UTF8, 0x82, 0, 1, 0x78])),
  'Name of indefinite length': Buffer.concat([
    Buffer.from([0x30, 0x80]),
    ...[text('ab').subarray(2)],
    Buffer.from([0, 0]),
  ]),
  'unknown type': encodeName([[utf8(UNKNOWN, 'ab')]]),
  'unknown type with a long value': encodeName([[utf8(UNKNOWN, 'x'.repeat(200))]]),
  'unknown type with a very long value': encodeName([[utf8(UNKNOWN, 'x'.repeat(70_000))]]),
  'unknown type with long-form length': handmade(UNKNOWN, Buffer.from([UTF8, 0x81, 1, 0x78])),
  'unknown type with a BMPString': encodeName([[{ oid: UNKNOWN, tag: 30, value: utf16('x') }]]),
  'unknown type with a BIT STRING': encodeName([[{ oid: UNKNOWN, tag: 3, value: Buffer.from([3, 0xff]) }]]),
  'unknown type with a SEQUENCE': handmade(UNKNOWN, sequence(oid('1.2.3'))),
  'unknown type with a constructed string': handmade(UNKNOWN, element(0x2c, element(UTF8, Buffer.from('a')))),
  'unknown type beside a known one': encodeName([[utf8(UNKNOWN, 'u'), utf8(CN, 'k')]]),
  'type with a huge arc': encodeName([[utf8('2.25.340282366920938463463374607431768211455', 'x')]]),
  'type in the third root': encodeName([[utf8('2.999.1', 'x')]]),
  'type longer than the print buffer': encodeName([[utf8(`1.2.3.4${'.12345'.repeat(40)}`, 'x')]]),
  'type too long to print': encodeName([[utf8(`1.2.3.4${'.12345'.repeat(300)}`, 'x')]]),
  'long common name': text('n'.repeat(64)),
  'hundred RDNs': encodeName(Array.from({ length: 100 }, (_, index) => [utf8('2.5.4.11', `unit ${index}`)])),
}

/** Names that OpenSSL refuses: nobody can present such a certificate. */
export const REFUSED_NAMES: Readonly<Record<string, Uint8Array>> = {
  'BMPString of odd length': cn(30, 0x61),
  'BMPString with surrogates': cn(30, 0xd8, 0x01, 0xdc, 0x37),
  'UniversalString of odd length': cn(28, 0, 0, 0),
  'UniversalString beyond Unicode': cn(28, 0, 0x11, 0, 0),
}
