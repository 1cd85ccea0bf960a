/** Client certificates as only a careless or hostile authority would issue them: in the types of their texts, in numbers, dates, keys and extensions. */
import { generateKeyPairSync } from 'node:crypto'
import {
  bitString,
  bmpString,
  boolean,
  explicit,
  generalizedTime,
  ia5String,
  implicit,
  objectIdentifier,
  octetString,
  printableString,
  rawInteger,
  sequence,
  setOf,
  t61String,
  time,
  tlv,
  utcTime,
  utf8String,
} from './der.ts'
import { nameOf } from './names.ts'
import { type CertificateOptions, extension } from './pki.ts'

const DAY = 86_400_000
const soon = time(new Date(Date.now() + DAY))
const past = time(new Date(Date.now() - DAY))

const CLIENT = '1.3.6.1.5.5.7.3.2'
const SERVER = '1.3.6.1.5.5.7.3.1'
const SMARTCARD_LOGON = '1.3.6.1.4.1.311.20.2.2'
const PRINCIPAL_NAME = '1.3.6.1.4.1.311.20.2.3'

const bytes = (tag: number, text: string): Buffer => tlv(tag, Buffer.from(text, 'latin1'))
const purposes = (...identifiers: string[]) =>
  extension('2.5.29.37', sequence(...identifiers.map((each) => objectIdentifier(each))))
const forClients = purposes(CLIENT)
const usage = (bits: Buffer, unused = 0) => extension('2.5.29.15', bitString(bits, unused), true)
const names = (...all: Buffer[]) => extension('2.5.29.17', sequence(...all))
const principalName = (value: Buffer) => tlv(0xa0, objectIdentifier(PRINCIPAL_NAME), explicit(0, value))
const garbage = (oid: string, isCritical = false) => extension(oid, Buffer.from('zz'), isCritical)
const onlyClientAnd = (...extensions: Buffer[]): CertificateOptions => ({ onlyExtensions: [forClients, ...extensions] })
const beside = (...extensions: Buffer[]): CertificateOptions => ({ extensions })
const curve = (namedCurve: string) => ({ keys: generateKeyPairSync('ec', { namedCurve }) })
const rsa = (modulusLength: number, publicExponent = 65_537) => ({
  keys: generateKeyPairSync('rsa', { modulusLength, publicExponent }),
})

const SUBJECTS: Readonly<Record<string, Buffer>> = {
  'controls of direction': nameOf(['CN', 'admin\u202e\u2066x\u2069']),
  'a byte order mark in UTF-8': nameOf(['CN', '\ufeffada']),
  'a byte order mark in a BMPString': nameOf(['CN', bytes(0x1e, '\xfe\xff\0a')]),
  'NUL in a BMPString': nameOf(['CN', bmpString('admin\0.evil')]),
  'an empty BMPString': nameOf(['CN', bytes(0x1e, '')]),
  'a PrintableString that is none': nameOf(['CN', printableString('caf\xe9')]),
  'an IA5String that is none': nameOf(['CN', ia5String('caf\xe9')]),
  'a NumericString of letters': nameOf(['CN', bytes(0x12, 'abc')]),
  'a T61String with its escapes': nameOf(['CN', t61String('\x1b$B\x80\xff')]),
  'a BIT STRING': nameOf(['CN', bitString(Buffer.from([0xff, 0x80]), 7)]),
  'a text in pieces, as BER has it': nameOf(['CN', tlv(0x2c, utf8String('ab'), utf8String('cd'))]),
  'an RDN without a value': sequence(tlv(0x31), setOf(sequence(objectIdentifier('2.5.4.3'), utf8String('x')))),
  'nothing but an RDN without a value': sequence(tlv(0x31)),
  'an RDN out of order': sequence(
    tlv(
      0x31,
      sequence(objectIdentifier('2.5.4.10'), utf8String('zzzz')),
      sequence(objectIdentifier('2.5.4.3'), utf8String('a')),
    ),
  ),
  'the same attribute twice in an RDN': nameOf([
    ['CN', 'a'],
    ['CN', 'b'],
  ]),
  'five hundred values in an RDN': nameOf(Array.from({ length: 500 }, (_, i) => ['OU', `u${i}`] as const)),
  'five hundred RDNs': nameOf(...Array.from({ length: 500 }, (_, i) => ['OU', `u${i}`] as const)),
  'an identifier with a huge arc': sequence(
    setOf(sequence(tlv(0x06, Buffer.from('2affffffffffffffff7f', 'hex')), utf8String('x'))),
  ),
  'an address in UTF-8': nameOf(['1.2.840.113549.1.9.1', utf8String('ü@x')]),
}

const SERIALS: Readonly<Record<string, CertificateOptions>> = {
  'serial number of 21 bytes': { serial: Buffer.alloc(21, 0x11) },
  'serial number -128': { serial: Buffer.from([0x80]) },
  'a negative serial number of 20 bytes': { serial: Buffer.alloc(20, 0x80) },
}

const DATES: Readonly<Record<string, CertificateOptions['dates']>> = {
  'from before 1950': [generalizedTime('19490101000000Z'), soon],
  'from year 0': [generalizedTime('00000101000000Z'), soon],
  'over before 1970': [generalizedTime('18000101000000Z'), generalizedTime('18500101000000Z')],
  'until the end of 9999': [past, generalizedTime('99991231235959Z')],
  'from 1950, of two digits': [utcTime('500101000000Z'), soon],
  'until 2049, of two digits': [past, utcTime('491231235959Z')],
  'until 1950, of two digits': [past, utcTime('501231235959Z')],
  'from 2020, of four digits': [generalizedTime('20200101000000Z'), soon],
  'with an offset in place of seconds': [utcTime('2001010000+0100'), utcTime('400101000000Z')],
  'with offsets': [utcTime('200101000000+0100'), utcTime('400101000000-1200')],
  'until a time with an offset': [past, generalizedTime('20400101000000+0000')],
  'with fractions': [generalizedTime('20200101000000.5Z'), generalizedTime('20400101000000.123Z')],
  'over before it begins': [soon, past],
}

const EXTENSIONS: Readonly<Record<string, CertificateOptions>> = {
  'version 1': { onlyExtensions: null },
  'version 3 without extensions': { onlyExtensions: [] },
  'a principal name': beside(names(principalName(utf8String('ada@corp.test')))),
  'a principal name in a BMPString': beside(names(principalName(bmpString('ada@corp.test')))),
  'a principal name that is a number': beside(names(principalName(rawInteger(Buffer.from([1]))))),
  'another name without a value': beside(names(tlv(0xa0, objectIdentifier('1.2.3')))),
  'an address of three bytes': beside(names(bytes(0x87, '\x7f\0\0'))),
  'an address of no byte': beside(names(bytes(0x87, ''))),
  'a host with NUL': beside(names(bytes(0x82, 'a\0b'))),
  'a directory name': beside(names(tlv(0xa4, nameOf(['CN', 'admin'])))),
  'no name among its names': beside(names()),
  'names twice': beside(names(bytes(0x82, 'a')), names(bytes(0x82, 'b'))),
  'names that are none': beside(garbage('2.5.29.17')),
  'a name of a kind that nobody knows': beside(names(bytes(0x8a, 'x'))),
  'for log-on by smart card alone': { purposes: [], extensions: [purposes(SMARTCARD_LOGON)] },
  'for log-on by smart card and clients': { purposes: [], extensions: [purposes(SMARTCARD_LOGON, CLIENT)] },
  'for anything': { purposes: [], extensions: [purposes('2.5.29.37.0')] },
  'for nothing': { purposes: [], extensions: [purposes()] },
  'for what cannot be read': { purposes: [], extensions: [garbage('2.5.29.37')] },
  'for clients and, once more, for servers': beside(purposes(SERVER)),
  'a critical extension that nobody knows': beside(extension('1.2.3.4.5', octetString(Buffer.from('x')), true)),
  'an extension that nobody knows': beside(extension('1.2.3.4.5', octetString(Buffer.from('x')))),
  'the mark of a pre-certificate': beside(extension('1.3.6.1.4.1.11129.2.4.3', Buffer.from([5, 0]), true)),
  'name constraints of a client': beside(
    extension('2.5.29.30', sequence(tlv(0xa0, sequence(bytes(0x82, 'x.test')))), true),
  ),
  'constraints on policies': beside(extension('2.5.29.36', sequence(implicit(0, Buffer.alloc(1))), true)),
  'a Netscape type for servers': beside(extension('2.16.840.1.113730.1.1', bitString(Buffer.from([0x40]), 6))),
  'a proxy certificate': beside(
    extension('1.3.6.1.5.5.7.1.14', sequence(sequence(objectIdentifier('1.3.6.1.5.5.7.21.1'))), true),
  ),
  'the key of another issuer': onlyClientAnd(extension('2.5.29.35', sequence(implicit(0, Buffer.alloc(20, 7))))),
  'the number of another issuer': onlyClientAnd(
    extension('2.5.29.35', sequence(tlv(0xa1, tlv(0xa4, nameOf(['CN', 'clients']))), bytes(0x82, '\x01'))),
  ),
  'the name of another issuer': onlyClientAnd(
    extension('2.5.29.35', sequence(tlv(0xa1, tlv(0xa4, nameOf(['CN', 'x']))), bytes(0x82, '\x01'))),
  ),
  'an issuer that cannot be read': onlyClientAnd(garbage('2.5.29.35')),
  'a key usage of no bit': onlyClientAnd(usage(Buffer.alloc(0))),
  'a key usage of zeros': onlyClientAnd(usage(Buffer.alloc(1))),
  'a key usage of 800 bits': onlyClientAnd(usage(Buffer.alloc(100, 0xff))),
  'a key usage of 800 bits without signatures': onlyClientAnd(
    usage(Buffer.concat([Buffer.from([0x40]), Buffer.alloc(99, 0xff)])),
  ),
  'a key that only agrees': onlyClientAnd(usage(Buffer.from([0x08]), 3)),
  'a key that only issues': onlyClientAnd(usage(Buffer.from([0x04]), 2)),
  'a key usage that cannot be read': onlyClientAnd(garbage('2.5.29.15', true)),
  'an authority as a client': onlyClientAnd(extension('2.5.29.19', sequence(boolean(true)), true)),
  'no authority, but with a path length': onlyClientAnd(
    extension('2.5.29.19', sequence(rawInteger(Buffer.from([0]))), true),
  ),
  'an authority with a negative path length': onlyClientAnd(
    extension('2.5.29.19', sequence(boolean(true), rawInteger(Buffer.from([0xff]))), true),
  ),
  'constraints that cannot be read': onlyClientAnd(garbage('2.5.29.19', true)),
  'distribution points that cannot be read': beside(garbage('2.5.29.31')),
}

const KEYS: Readonly<Record<string, CertificateOptions>> = {
  'an Ed25519 key': { keys: generateKeyPairSync('ed25519') },
  'an Ed448 key': { keys: generateKeyPairSync('ed448') },
  'a key on P-384': curve('P-384'),
  'a key on P-521': curve('P-521'),
  'a key on secp256k1': curve('secp256k1'),
  'a key on a curve of 192 bits': curve('prime192v1'),
  'a key on a curve that it describes': {
    keys: generateKeyPairSync('ec', { namedCurve: 'P-256', paramEncoding: 'explicit' }),
  },
  'an RSA key of 1024 bits': rsa(1024),
  'an RSA key of 4096 bits': rsa(4096),
  'an RSA key with exponent 3': rsa(2048, 3),
  'a key for RSA-PSS': { keys: generateKeyPairSync('rsa-pss', { modulusLength: 2048 }) },
  'a DSA key': { keys: generateKeyPairSync('dsa', { modulusLength: 2048, divisorLength: 256 }) },
}

/** By what is odd; to be issued by an authority called CN=clients. */
export const HOSTILE: readonly (readonly [what: string, options: CertificateOptions])[] = [
  ...Object.entries(SUBJECTS).map(([what, subject]) => [what, { subject }] as const),
  ...Object.entries(SERIALS),
  ...Object.entries(DATES).map(([what, dates]) => [what, dates ? { dates } : {}] as const),
  ...Object.entries(EXTENSIONS),
  ...Object.entries(KEYS),
]
