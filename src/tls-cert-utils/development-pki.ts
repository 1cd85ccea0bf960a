import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto'
import { promisify } from 'node:util'
import { type CertificateFacts, readCertificate } from './certificate.ts'
import { readElement } from './der.ts'
import { bitString, element, integerOf, oid, sequence, time, unsignedInteger } from './der-writer.ts'
import * as extensions from './extension-writer.ts'
import { parseName } from './name-writer.ts'
import { pemOf } from './pem.ts'

/**
 * Certificates for development and tests: `sallyport certs` and every test make theirs here when they run. It writes DER itself, so that a test can
 * also have certificates that no decent library would issue.
 */

export { extension } from './extension-writer.ts'
export { encodeName, type RawAttribute } from './name-writer.ts'

/** `ec` is P-256, `rsa` has 2048 bits. */
export type KeyAlgorithm = 'ec' | 'rsa' | 'ed25519'

export interface CertificateOptions extends extensions.ExtensionOptions {
  /** RFC 4514 text as `CN=ada,O=Acme`, a bare common name, or a Name in DER for what text cannot say. */
  readonly subject: string | Uint8Array
  /** An hour ago without it. */
  readonly notBefore?: Date
  /** 825 days from now without it, ten years for authorities. */
  readonly notAfter?: Date
  /** Hex, `-` before it for a negative number; 16 random bytes without it. */
  readonly serial?: string
  readonly keyAlgorithm?: KeyAlgorithm
}

export type AuthorityOptions = Omit<Partial<CertificateOptions>, 'isAuthority'>

/** A certificate with its key. */
export interface Issued {
  readonly certificate: CertificateFacts
  readonly der: Buffer
  readonly pem: string
  /** Unencrypted PKCS #8. */
  readonly keyPem: string
  /** The certificate and the intermediates above it, without the root. */
  readonly chainPem: string
  /** As {@link CertificateFacts.serial}. */
  readonly serial: string
  /** SHA-256, lower-case hex. */
  readonly fingerprint: string
}

export interface RevocationListOptions {
  /** Serial numbers in hex, or certificates. */
  readonly revoked?: readonly (string | { readonly serial: string })[]
  /** An hour ago without it. */
  readonly thisUpdate?: Date
  /** 30 days from now without it; `none` leaves it out. */
  readonly nextUpdate?: Date | 'none'
}

const HOUR = 3_600_000
const DAY = 24 * HOUR

/** RFC 5758 3.2, RFC 4055 5, RFC 8410 3. */
const SIGNATURE_ALGORITHMS: Readonly<Record<string, Buffer>> = {
  ec: sequence(oid('1.2.840.10045.4.3.2')),
  rsa: sequence(oid('1.2.840.113549.1.1.11'), element(0x05)),
  ed25519: sequence(oid('1.3.101.112')),
}

/** A certification authority: a root or an intermediate. */
export class Authority implements Issued {
  readonly certificate: CertificateFacts
  readonly der: Buffer
  readonly pem: string
  readonly keyPem: string
  readonly chainPem: string
  readonly serial: string
  readonly fingerprint: string
  readonly #key: KeyObject

  constructor(issued: Issued) {
    this.certificate = issued.certificate
    this.der = issued.der
    this.pem = issued.pem
    this.keyPem = issued.keyPem
    this.chainPem = issued.chainPem
    this.serial = issued.serial
    this.fingerprint = issued.fingerprint
    this.#key = createPrivateKey(issued.keyPem)
  }

  /** Issues a certificate with a new key. */
  async issue(options: CertificateOptions): Promise<Issued> {
    const issued = certify(options, await newKey(options.keyAlgorithm), this.certificate.rawSubject, this.#key)
    return { ...issued, chainPem: issued.pem + this.#intermediatesPem }
  }

  /** Issues an authority below this one. */
  async intermediate(options: AuthorityOptions = {}): Promise<Authority> {
    return new Authority(await this.issue({ subject: 'Intermediate CA', ...options, ...authorityDefaults(options) }))
  }

  /** A revocation list of this authority, PEM. */
  async revocationList({ revoked = [], thisUpdate, nextUpdate }: RevocationListOptions = {}): Promise<string> {
    const since = thisUpdate ?? new Date(Date.now() - HOUR)
    const entries = revoked.map((entry) =>
      sequence(serialNumber(typeof entry === 'string' ? entry : entry.serial), time(since)),
    )
    const list = [unsignedInteger('01'), signatureAlgorithm(this.#key), this.certificate.rawSubject, time(since)]
    if (nextUpdate !== 'none') list.push(time(nextUpdate ?? new Date(Date.now() + 30 * DAY)))
    if (entries.length > 0) list.push(sequence(...entries))
    const number = unsignedInteger(Date.now().toString(16).padStart(16, '0'))
    const details = [
      extensions.authorityKeyIdentifier(keyIdentifier(this.#key)),
      extensions.extension('2.5.29.20', false, number),
    ]
    list.push(element(0xa0, sequence(...details)))
    return pemOf('X509 CRL', signed(sequence(...list), this.#key))
  }

  /** The root is not part of a chain: whoever trusts it has it. */
  get #intermediatesPem(): string {
    return this.certificate.selfIssued ? '' : this.chainPem
  }
}

/** A self-signed root authority with a new key. */
export async function createAuthority(options: AuthorityOptions = {}): Promise<Authority> {
  return new Authority(await selfSigned({ subject: 'Development CA', ...options, ...authorityDefaults(options) }))
}

/** An authority made earlier, from its PEM texts. @throws {Error} where the two are no PEM or don't belong together */
export function openAuthority(source: {
  readonly pem: string
  readonly keyPem: string
  readonly chainPem?: string
}): Authority {
  const der = Buffer.from(source.pem.replace(/-----[^-]+-----|\s/g, ''), 'base64')
  const certificate = readCertificate(der)
  const key = createPrivateKey(source.keyPem)
  if (!certificate.x509.checkPrivateKey(key)) throw new Error("the authority's key does not belong to its certificate")
  return new Authority({ ...issuedOf(der, key), chainPem: source.chainPem ?? certificate.pem })
}

/** A certificate that is its own issuer. It is no authority unless the options say so. */
export async function selfSigned(options: CertificateOptions): Promise<Issued> {
  const key = await newKey(options.keyAlgorithm)
  return certify(options, key, nameOf(options.subject), key)
}

function authorityDefaults(options: AuthorityOptions): Pick<CertificateOptions, 'isAuthority' | 'usages' | 'notAfter'> {
  return {
    isAuthority: true,
    usages: options.usages ?? 'none',
    notAfter: options.notAfter ?? new Date(Date.now() + 3650 * DAY),
  }
}

function certify(options: CertificateOptions, key: KeyObject, issuer: Uint8Array, issuerKey: KeyObject): Issued {
  const now = Date.now()
  const subject = nameOf(options.subject)
  const details = extensions.extensionsOf(options, {
    subjectKey: keyIdentifier(key),
    issuerKey: keyIdentifier(issuerKey),
    isRsa: key.asymmetricKeyType === 'rsa',
    isSubjectEmpty: subject.length === 2,
  })
  const content = sequence(
    element(0xa0, integerOf('02')), // version 3
    serialNumber(options.serial ?? newSerial()),
    signatureAlgorithm(issuerKey),
    issuer,
    sequence(time(options.notBefore ?? new Date(now - HOUR)), time(options.notAfter ?? new Date(now + 825 * DAY))),
    subject,
    publicKeyOf(key),
    element(0xa3, sequence(...details)),
  )
  return issuedOf(signed(content, issuerKey), key)
}

function issuedOf(der: Buffer, key: KeyObject): Issued {
  const certificate = readCertificate(der)
  return {
    certificate,
    der,
    pem: certificate.pem,
    keyPem: key.export({ type: 'pkcs8', format: 'pem' }) as string,
    chainPem: certificate.pem,
    serial: certificate.serial,
    fingerprint: certificate.fingerprintSha256,
  }
}

function signed(content: Buffer, key: KeyObject): Buffer {
  const digest = key.asymmetricKeyType === 'ed25519' ? null : 'sha256'
  return sequence(content, signatureAlgorithm(key), bitString(sign(digest, content, key)))
}

function signatureAlgorithm(key: KeyObject): Buffer {
  const algorithm = SIGNATURE_ALGORITHMS[key.asymmetricKeyType ?? '']
  if (algorithm === undefined) throw new Error(`cannot sign with a key of type ${key.asymmetricKeyType}`)
  return algorithm
}

function publicKeyOf(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: 'spki', format: 'der' })
}

/** RFC 5280 4.2.1.2, method 1: SHA-1 of the public key's bits. */
function keyIdentifier(key: KeyObject): Buffer {
  const [, bits] = readElement(publicKeyOf(key)).children()
  return createHash('sha1')
    .update(bits?.content.subarray(1) ?? Buffer.alloc(0))
    .digest()
}

function nameOf(subject: string | Uint8Array): Uint8Array {
  return typeof subject === 'string' ? parseName(subject) : subject
}

function serialNumber(hex: string): Buffer {
  const digits = hex.replace('-', '')
  const even = digits.length % 2 === 0 ? digits : `0${digits}`
  if (!hex.startsWith('-')) return unsignedInteger(even)
  const value = -BigInt(`0x${even}`)
  const bits = -value > 1n << BigInt(even.length * 4 - 1) ? even.length * 4 + 8 : even.length * 4
  return integerOf(
    BigInt.asUintN(bits, value)
      .toString(16)
      .padStart(bits / 4, '0'),
  )
}

/** Positive and not zero, with 126 random bits (RFC 5280 4.1.2.2 wants at most 20 bytes). */
function newSerial(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] as number) & 0x3f) | 0x40
  return bytes.toString('hex')
}

async function newKey(algorithm: KeyAlgorithm = 'ec'): Promise<KeyObject> {
  const generate = promisify(generateKeyPair)
  switch (algorithm) {
    case 'ec':
      return (await generate('ec', { namedCurve: 'P-256' })).privateKey
    case 'rsa':
      return (await generate('rsa', { modulusLength: 2048 })).privateKey
    case 'ed25519':
      return (await generate('ed25519')).privateKey
  }
}
