/**
 * Certificates for tests, made in the run: `authority('root').client('ada')`. Written with our own few lines of DER, not with the product's code:
 * tests need certificates that no careful library makes, and a mistake in the product must not hide itself here.
 */
import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto'
import { isIP } from 'node:net'
import {
  bitString,
  boolean,
  explicit,
  implicit,
  objectIdentifier,
  octetString,
  pem,
  rawInteger,
  sequence,
  time,
  tlv,
  utf8String,
} from './der.ts'
import { temporaryFile } from './folder.ts'
import { nameOf } from './names.ts'

const DAY = 86_400_000
const SHA256_WITH = { ec: '1.2.840.10045.4.3.2', rsa: '1.2.840.113549.1.1.11' } as const
const PURPOSES = {
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  emailProtection: '1.3.6.1.5.5.7.3.4',
} as const

export interface CertificateOptions {
  /** A DER Name (see names.ts); `CN=` and the given name by default. */
  readonly subject?: Buffer
  /** In days from now; -1 (yesterday) by default. */
  readonly validFrom?: number
  /** In days from now; 30 by default. */
  readonly validUntil?: number
  /** The two dates in DER, in place of the days. */
  readonly dates?: readonly [notBefore: Buffer, notAfter: Buffer]
  /** No extended key usage at all where empty. */
  readonly purposes?: readonly (keyof typeof PURPOSES)[]
  /** DNS names and IP addresses. */
  readonly hosts?: readonly string[]
  readonly uris?: readonly string[]
  readonly emails?: readonly string[]
  /** The INTEGER's bytes as they are; 16 random ones, positive, by default. */
  readonly serial?: Buffer
  readonly keyType?: 'ec' | 'rsa' | 'ed25519'
  /** A key pair that is there already, of whatever type. */
  readonly keys?: KeyPair
  /** For authorities: how many intermediates may follow. */
  readonly pathLength?: number
  /** Extensions in DER, beside the usual ones. */
  readonly extensions?: readonly Buffer[]
  /** All extensions, in place of the usual ones; null writes a certificate of version 1, which has none. */
  readonly onlyExtensions?: readonly Buffer[] | null
}

export interface KeyPair {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

/** A certificate with its key, all as PEM. */
export class Issued {
  readonly name: string
  readonly der: Buffer
  readonly privateKey: KeyObject
  readonly certificate: string
  readonly key: string
  /** The certificate and then its intermediates, as a TLS peer sends them. */
  readonly chain: string
  readonly serial: Buffer

  constructor(name: string, der: Buffer, privateKey: KeyObject, intermediates: string, serial: Buffer) {
    this.name = name
    this.der = der
    this.privateKey = privateKey
    this.certificate = pem('CERTIFICATE', der)
    this.key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    this.chain = this.certificate + intermediates
    this.serial = serial
  }

  get x509(): X509Certificate {
    return new X509Certificate(this.der)
  }

  encryptedKey(passphrase: string): string {
    return this.privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase }).toString()
  }

  /** New files with the chain and the key, for programs that only read files. */
  files(): { readonly certificate: string; readonly key: string } {
    return { certificate: temporaryFile('certificate.pem', this.chain), key: temporaryFile('key.pem', this.key) }
  }
}

export interface CrlOptions {
  /** In days from now; -1 by default. */
  readonly thisUpdate?: number
  /** In days from now; 7 by default; null leaves it out. */
  readonly nextUpdate?: number | null
  /** Entries in DER, beside those of the revoked certificates. */
  readonly entries?: readonly Buffer[]
  /** Extensions in DER, beside the usual ones. */
  readonly extensions?: readonly Buffer[]
  /** The whole extension that says whose key signed it. */
  readonly keyId?: Buffer
  /** Who signs it in the authority's place. */
  readonly signer?: Issued
  /** The issuer's name in another spelling, DER. */
  readonly issuer?: Buffer
  /** Two dates in DER, in place of the days. */
  readonly dates?: readonly Buffer[]
  /** A list of version 1 has no extensions. */
  readonly version?: 1 | 2
}

/** A certification authority; `certificate` is its own, for the trust stores of others. */
export class Authority extends Issued {
  private readonly subject: Buffer
  private readonly intermediates: string
  private crlNumber = 0

  constructor(issued: Issued, subject: Buffer, intermediates: string) {
    super(issued.name, issued.der, issued.privateKey, intermediates, issued.serial)
    this.subject = subject
    this.intermediates = intermediates
  }

  /** An intermediate authority. */
  authority(name: string, options: CertificateOptions = {}): Authority {
    const subject = options.subject ?? nameOf(['CN', name])
    const issued = this.issue(name, { ...options, subject }, authorityExtensions(options.pathLength))
    return new Authority(issued, subject, issued.certificate + this.intermediates)
  }

  server(host: string, options: CertificateOptions = {}): Issued {
    return this.issue(host, { hosts: [host, '127.0.0.1'], purposes: ['serverAuth'], ...options }, leafExtensions())
  }

  client(name: string, options: CertificateOptions = {}): Issued {
    return this.issue(name, { purposes: ['clientAuth'], ...options }, leafExtensions())
  }

  /** A client certificate that signs others although it must not. */
  clientThatSigns(name: string): Authority {
    const issued = this.client(name)
    return new Authority(issued, nameOf(['CN', name]), issued.certificate + this.intermediates)
  }

  /** A CRL that revokes the given certificates, as PEM. */
  crl(revoked: readonly Issued[] = [], options: CrlOptions = {}): string {
    const { thisUpdate = -1, nextUpdate = 7, extensions = [], signer = this, version = 2 } = options
    const entries = [...revoked.map(({ serial }) => revokedEntry(serial)), ...(options.entries ?? [])]
    const number = extension('2.5.29.20', rawInteger(Buffer.from([++this.crlNumber])))
    const { keyId = extension('2.5.29.35', sequence(implicit(0, keyIdentifier(this.privateKey)))) } = options
    const list = sequence(
      ...(version === 1 ? [] : [rawInteger(Buffer.from([1]))]),
      signatureAlgorithm(signer.privateKey),
      options.issuer ?? this.subject,
      ...(options.dates ?? [time(fromNow(thisUpdate)), ...(nextUpdate === null ? [] : [time(fromNow(nextUpdate))])]),
      ...(entries.length > 0 ? [sequence(...entries)] : []),
      ...(version === 1 ? [] : [explicit(0, sequence(keyId, number, ...extensions))]),
    )
    return pem('X509 CRL', signed(list, signer.privateKey))
  }

  private issue(name: string, options: CertificateOptions, extensions: readonly Buffer[]): Issued {
    return issueCertificate({
      name,
      options,
      extensions,
      issuer: this.subject,
      signer: this.privateKey,
      intermediates: this.intermediates,
    })
  }
}

/** A root, trusted by whoever is given its `certificate`. */
export function authority(name: string, options: CertificateOptions = {}): Authority {
  const subject = options.subject ?? nameOf(['CN', name])
  const extensions = authorityExtensions(options.pathLength)
  return new Authority(
    issueCertificate({ name, options: { validUntil: 365, ...options, subject }, extensions, intermediates: '' }),
    subject,
    '',
  )
}

/** A certificate that nobody vouches for. */
export function selfSigned(name: string, options: CertificateOptions = {}): Issued {
  const merged = { purposes: ['clientAuth'], ...options } as const
  return issueCertificate({ name, options: merged, extensions: leafExtensions(), intermediates: '' })
}

interface Request {
  readonly name: string
  readonly options: CertificateOptions
  readonly extensions: readonly Buffer[]
  /** Absent for what signs itself. */
  readonly issuer?: Buffer
  readonly signer?: KeyObject
  readonly intermediates: string
}

function issueCertificate({ name, options, extensions, issuer, signer, intermediates }: Request): Issued {
  const { privateKey, publicKey } = options.keys ?? keyPair(options.keyType ?? 'ec')
  const signingKey = signer ?? privateKey
  const subject = options.subject ?? nameOf(['CN', name])
  const serial = options.serial ?? randomSerial()
  const [notBefore, notAfter] = options.dates ?? [
    time(fromNow(options.validFrom ?? -1)),
    time(fromNow(options.validUntil ?? 30)),
  ]
  const usual = [
    ...extensions,
    ...namedExtensions(options),
    extension('2.5.29.14', octetString(keyIdentifier(privateKey))),
    extension('2.5.29.35', sequence(implicit(0, keyIdentifier(signingKey)))),
    ...(options.extensions ?? []),
  ]
  const all = options.onlyExtensions === undefined ? usual : options.onlyExtensions
  const body = sequence(
    ...(all ? [explicit(0, rawInteger(Buffer.from([2])))] : []),
    rawInteger(serial),
    signatureAlgorithm(signingKey),
    issuer ?? subject,
    sequence(notBefore, notAfter),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    ...(all ? [explicit(3, sequence(...all))] : []),
  )
  return new Issued(name, signed(body, signingKey), privateKey, intermediates, serial)
}

function keyPair(type: 'ec' | 'rsa' | 'ed25519'): KeyPair {
  if (type === 'ed25519') return generateKeyPairSync('ed25519')
  return type === 'ec'
    ? generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
    : generateKeyPairSync('rsa', { modulusLength: 2048 })
}

function randomSerial(): Buffer {
  const serial = randomBytes(16)
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40
  return serial
}

function fromNow(days: number): Date {
  return new Date(Date.now() + days * DAY)
}

function signed(body: Buffer, key: KeyObject): Buffer {
  return sequence(body, signatureAlgorithm(key), bitString(sign('sha256', body, key)))
}

function signatureAlgorithm(key: KeyObject): Buffer {
  if (key.asymmetricKeyType === 'ec') return sequence(objectIdentifier(SHA256_WITH.ec))
  return sequence(objectIdentifier(SHA256_WITH.rsa), tlv(0x05))
}

function keyIdentifier(key: KeyObject): Buffer {
  return createHash('sha1')
    .update(createPublicKey(key).export({ type: 'spki', format: 'der' }))
    .digest()
}

/** An entry of a CRL. @param revokedSince in days from now */
export function revokedEntry(serial: Buffer, revokedSince = -1, ...extensions: readonly Buffer[]): Buffer {
  const details = extensions.length > 0 ? [sequence(...extensions)] : []
  return sequence(rawInteger(serial), time(fromNow(revokedSince)), ...details)
}

export function extension(identifier: string, value: Buffer, critical = false): Buffer {
  return sequence(objectIdentifier(identifier), ...(critical ? [boolean(true)] : []), octetString(value))
}

function authorityExtensions(pathLength: number | undefined): Buffer[] {
  const limit = pathLength === undefined ? [] : [rawInteger(Buffer.from([pathLength]))]
  const keyCertSignAndCrlSign = bitString(Buffer.from([0x06]), 1)
  return [
    extension('2.5.29.19', sequence(boolean(true), ...limit), true),
    extension('2.5.29.15', keyCertSignAndCrlSign, true),
  ]
}

function leafExtensions(): Buffer[] {
  const digitalSignature = bitString(Buffer.from([0x80]), 7)
  return [extension('2.5.29.19', sequence(), true), extension('2.5.29.15', digitalSignature, true)]
}

function namedExtensions({ purposes = [], hosts = [], uris = [], emails = [] }: CertificateOptions): Buffer[] {
  const names = [
    ...hosts.map((host) =>
      isIP(host) === 0 ? implicit(2, Buffer.from(host, 'latin1')) : implicit(7, addressBytes(host)),
    ),
    ...uris.map((uri) => implicit(6, Buffer.from(uri, 'latin1'))),
    ...emails.map((email) => implicit(1, Buffer.from(email, 'latin1'))),
  ]
  return [
    ...(names.length > 0 ? [extension('2.5.29.17', sequence(...names))] : []),
    ...(purposes.length > 0
      ? [extension('2.5.29.37', sequence(...purposes.map((purpose) => objectIdentifier(PURPOSES[purpose]))))]
      : []),
  ]
}

/** A user principal name, as Microsoft's certificates hold it: an otherName (RFC 5280 4.2.1.6). */
export function withUpn(upn: string): CertificateOptions {
  const name = sequence(objectIdentifier('1.3.6.1.4.1.311.20.2.3'), explicit(0, utf8String(upn)))
  return { extensions: [extension('2.5.29.17', sequence(Buffer.concat([Buffer.from([0xa0]), name.subarray(1)])))] }
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number))
  if (address !== '::1') throw new Error('of the IPv6 addresses only ::1 is written here')
  return Buffer.from([...Array<number>(15).fill(0), 1])
}
