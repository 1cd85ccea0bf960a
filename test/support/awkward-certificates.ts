/** Client certificates on which gateways disagree: in their names, numbers, dates and chains. */
import { bmpString, ia5String, printableString, sequence, t61String, tlv, universalString } from './der.ts'
import { nameOf } from './names.ts'
import { authority, type CertificateOptions, type Issued, selfSigned } from './pki.ts'

/** Trusted by those who compare. Its own name is not simple either. */
export const clients = authority('clients', {
  subject: nameOf(
    ['C', 'DE'],
    ['O', 'Ämter, Büros & Co.'],
    [
      ['OU', 'b'],
      ['CN', 'clients'],
    ],
  ),
})

export interface AwkwardCase {
  readonly name: string
  readonly certificate: Issued
}

const SUBJECTS: readonly (readonly [name: string, subject: Buffer])[] = [
  ['plain', nameOf(['CN', 'ada'])],
  [
    'many attributes',
    nameOf(
      ['C', 'DE'],
      ['ST', 'Hessen'],
      ['L', 'Kassel'],
      ['street', 'Weg 1'],
      ['postalCode', '34117'],
      ['O', 'Firma'],
      ['OU', 'IT'],
      ['title', 'Dr.'],
      ['GN', 'Ada'],
      ['SN', 'Lovelace'],
      ['serialNumber', '0815'],
      ['UID', 'ada'],
      ['CN', 'Ada Lovelace'],
    ),
  ],
  [
    'domain components and a mail address',
    nameOf(['DC', 'test'], ['DC', 'example'], ['CN', 'ada'], ['emailAddress', 'ada@example.test']),
  ],
  [
    'two values in one RDN',
    nameOf(
      ['C', 'DE'],
      [
        ['CN', 'ada'],
        ['UID', '7'],
      ],
    ),
  ],
  [
    'four values in one RDN',
    nameOf(
      [
        ['CN', 'ada'],
        ['UID', '7'],
        ['OU', 'x'],
        ['O', 'y'],
      ],
      ['C', 'DE'],
    ),
  ],
  ['the same attribute thrice', nameOf(['OU', 'a'], ['OU', 'b'], ['OU', 'c'])],
  ['UTF-8, two bytes', nameOf(['CN', 'café'])],
  ['UTF-8, three bytes', nameOf(['CN', '日本語'])],
  ['UTF-8, four bytes', nameOf(['CN', '🔑'])],
  ['UTF-8, right to left', nameOf(['CN', 'שלום'])],
  ['UTF-8 with a combining mark', nameOf(['CN', 'e\u0301'])],
  ['BMPString', nameOf(['CN', bmpString('café 日本')])],
  ['UniversalString', nameOf(['CN', universalString('a𝔸')])],
  ['T61String in ASCII', nameOf(['CN', t61String('plain')])],
  ['T61String in Latin-1', nameOf(['CN', t61String('caf\xe9')])],
  ['IA5String', nameOf(['CN', ia5String('ada@example')])],
  ['PrintableString', nameOf(['CN', printableString("It's (a) test+=/?")])],
  ['NumericString', nameOf(['serialNumber', tlv(0x12, Buffer.from('12 34'))])],
  ['every character that is escaped', nameOf(['CN', 'a,b+c"d\\e<f>g;h'])],
  ['equals and slash, which are not', nameOf(['CN', 'a=b/c'])],
  ['a leading number sign', nameOf(['CN', '#ada'])],
  ['a number sign elsewhere', nameOf(['CN', 'a#b'])],
  ['a leading blank', nameOf(['CN', ' ada'])],
  ['a trailing blank at the end of the name', nameOf(['CN', 'ada '])],
  ['a trailing blank within the name', nameOf(['C', 'DE'], ['CN', 'ada '])],
  ['blanks only', nameOf(['CN', '   '])],
  ['one blank', nameOf(['CN', ' '])],
  ['an empty value', nameOf(['CN', ''])],
  ['an empty value among others', nameOf(['C', 'DE'], ['CN', ''], ['O', 'x'])],
  ['a tab', nameOf(['CN', 'a\tb'])],
  ['a line break that would start a header', nameOf(['CN', 'a\r\nVERIFIED: SUCCESS'])],
  ['NUL', nameOf(['CN', 'admin\0.evil'])],
  ['DEL and escape', nameOf(['CN', '\x7f\x1b[2J'])],
  ['C1 controls', nameOf(['CN', 'a\u0085b\u009b'])],
  ['an unknown attribute', nameOf(['1.2.3.4', 'ada'], ['CN', 'ada'])],
  ['an unknown attribute with a structure', nameOf(['1.2.3.4', sequence(printableString('a'), printableString('b'))])],
  ['a bit string, as of x500UniqueIdentifier', nameOf(['2.5.4.45', tlv(0x03, Buffer.from([0, 1, 2]))])],
  [
    'attributes that OpenSSL knows and few others',
    nameOf(
      ['2.5.4.13', 'description'],
      ['2.5.4.15', 'business'],
      ['1.3.6.1.4.1.311.60.2.1.3', 'DE'],
      ['2.5.4.97', 'NTRDE-1'],
      ['2.5.4.65', 'pseudonym'],
      ['2.5.4.46', 'qualifier'],
      ['2.5.4.43', 'initials'],
      ['2.5.4.44', 'jr'],
    ),
  ],
  ['no subject', nameOf()],
  ['two hundred attributes', nameOf(...Array.from({ length: 200 }, (_, i) => ['OU', `unit ${i}`] as const))],
  ['four thousand characters', nameOf(['CN', 'x'.repeat(4000)])],
  ['a name that looks like two', nameOf(['CN', 'ada,CN=admin'])],
  ['a name that looks like a whole DN', nameOf(['CN', '/CN=admin/O=root'])],
]

const OPTIONS: readonly (readonly [name: string, options: CertificateOptions])[] = [
  ['expired', { validFrom: -9, validUntil: -1 }],
  ['not yet valid', { validFrom: 2 }],
  ['for servers only', { purposes: ['serverAuth'] }],
  ['for mail only', { purposes: ['emailProtection'] }],
  ['for any of two purposes', { purposes: ['serverAuth', 'clientAuth'] }],
  ['without purposes', { purposes: [] }],
  ['serial number 0', { serial: Buffer.from([0]) }],
  ['serial number 1', { serial: Buffer.from([1]) }],
  ['serial number with a leading zero byte', { serial: Buffer.from([0, 0xab]) }],
  ['a negative serial number', { serial: Buffer.from([0xff, 0x01]) }],
  ['serial number -1', { serial: Buffer.from([0xff]) }],
  ['a serial number of twenty bytes', { serial: Buffer.alloc(20, 0x7f) }],
  ['valid beyond 2050', { validUntil: 40 * 365 }],
  ['an RSA key', { keyType: 'rsa' }],
  ['many alternative names', { hosts: Array.from({ length: 100 }, (_, i) => `host-${i}.test`) }],
]

const strangers = authority('strangers')
const department = clients.authority('department', { subject: nameOf(['O', 'Abteilung'], ['CN', 'dé']) })

const CHAINS: readonly (readonly [name: string, certificate: Issued])[] = [
  ['below an intermediate', department.client('eve')],
  ['below two intermediates, beyond the depth of 1', department.authority('team').client('eve')],
  ['below an intermediate that is not sent', alone(department.client('eve'))],
  [
    'below an intermediate that must have none below it',
    clients.authority('end', { pathLength: 0 }).authority('team').client('eve'),
  ],
  ['below an expired intermediate', clients.authority('old', { validFrom: -9, validUntil: -1 }).client('eve')],
  ['signed by a certificate that is no CA', clients.clientThatSigns('leaf').client('eve')],
  ['self-signed', selfSigned('self')],
  ['self-signed and expired', selfSigned('self', { validFrom: -9, validUntil: -1 })],
  ['of an unknown CA', strangers.client('mallory')],
  ['of an unknown CA, with its intermediate', strangers.authority('hidden').client('mallory')],
  ['of an unknown CA and expired', strangers.client('mallory', { validFrom: -9, validUntil: -1 })],
  ['of an unknown CA and for servers', strangers.client('mallory', { purposes: ['serverAuth'] })],
  ['with the root sent along', plus(clients.client('eve'), clients.certificate)],
  ['of an unknown CA with its root sent along', plus(strangers.client('mallory'), strangers.certificate)],
  ['with strange certificates sent along', plus(clients.client('eve'), strangers.certificate)],
]

/** The certificate without its intermediates. */
function alone(issued: Issued): Issued {
  return Object.assign(Object.create(issued) as Issued, { chain: issued.certificate })
}

function plus(issued: Issued, more: string): Issued {
  return Object.assign(Object.create(issued) as Issued, { chain: issued.chain + more })
}

export const AWKWARD: readonly AwkwardCase[] = [
  ...SUBJECTS.map(([name, subject]) => ({ name, certificate: clients.client(name, { subject }) })),
  ...OPTIONS.map(([name, options]) => ({ name, certificate: clients.client('ada', options) })),
  ...CHAINS.map(([name, certificate]) => ({ name, certificate })),
]
