import { createHash, X509Certificate } from 'node:crypto'
import { type AlternativeName, readAlternativeNames } from './alternative-names.ts'
import { CertificateError } from './certificate-error.ts'
import { type DerElement, DerError, readElement, readOid, TAG } from './der.ts'
import { formatOneline, formatRfc2253, type RelativeDistinguishedName, readName } from './distinguished-name.ts'
import { BASIC_CONSTRAINTS, SUBJECT_ALTERNATIVE_NAME } from './extensions.ts'
import { pemOf } from './pem.ts'
import { type Moment, readTime } from './time.ts'

/** The positions of a certificate's parts (RFC 5280 4.1). */
interface Outline {
  readonly raw: Buffer
  readonly serial: Buffer
  readonly issuer: Buffer
  readonly notBefore: DerElement
  readonly notAfter: DerElement
  readonly subject: Buffer
  readonly publicKey: Buffer
  readonly extensions: DerElement | undefined
}

/**
 * The facts of a certificate, in nginx's spellings. Each is computed when it is first needed, and then kept.
 *
 * No getter throws, whatever OpenSSL let through: a name, extension or time that cannot be read counts as absent, which grants nothing (an empty
 * text, no names, not an authority, not yet valid, already expired).
 */
export class CertificateFacts {
  readonly #outline: Outline
  readonly #facts = new Map<string, unknown>()

  /** Use {@link readCertificate}. */
  constructor(outline: Outline) {
    this.#outline = outline
  }

  /** The certificate's DER. */
  get raw(): Buffer {
    return this.#outline.raw
  }

  /** Nginx's `$ssl_client_s_dn`: RFC 2253, printable ASCII. */
  get subject(): string {
    return this.#once('subject', () => formatRfc2253(this.#outline.subject), '')
  }

  /** Nginx's `$ssl_client_i_dn`. */
  get issuer(): string {
    return this.#once('issuer', () => formatRfc2253(this.#outline.issuer), '')
  }

  /** Nginx's `$ssl_client_s_dn_legacy`. */
  get subjectOneline(): string {
    return this.#once('subjectOneline', () => formatOneline(this.#outline.subject), '')
  }

  /** Nginx's `$ssl_client_i_dn_legacy`. */
  get issuerOneline(): string {
    return this.#once('issuerOneline', () => formatOneline(this.#outline.issuer), '')
  }

  /** The subject's RDNs in stored order. */
  get subjectAttributes(): readonly RelativeDistinguishedName[] {
    return this.#once('subjectAttributes', () => readName(this.#outline.subject), [])
  }

  /** The issuer's RDNs in stored order. */
  get issuerAttributes(): readonly RelativeDistinguishedName[] {
    return this.#once('issuerAttributes', () => readName(this.#outline.issuer), [])
  }

  /** Nginx's `$ssl_client_serial`: upper-case hex of even length, `-` before it if negative, `00` for zero. Never broken into lines. */
  get serial(): string {
    return this.#once('serial', () => formatSerial(this.#outline.serial), '')
  }

  /** The serial number's INTEGER content, two's complement. */
  get rawSerial(): Buffer {
    return this.#outline.serial
  }

  /** Nginx's `$ssl_client_fingerprint`: SHA-1 of the DER, lower-case hex. */
  get fingerprintSha1(): string {
    return this.#once('fingerprintSha1', () => hash('sha1', this.raw), '')
  }

  /** SHA-256 of the DER, lower-case hex. */
  get fingerprintSha256(): string {
    return this.#once('fingerprintSha256', () => hash('sha256', this.raw), '')
  }

  /** SHA-256 of the SubjectPublicKeyInfo, lower-case hex: the pin of RFC 7469. */
  get publicKeySha256(): string {
    return this.#once('publicKeySha256', () => hash('sha256', this.#outline.publicKey), '')
  }

  /** Milliseconds since the epoch; Infinity where OpenSSL could not compare it. */
  get notBefore(): number {
    const { milliseconds, isComparable } = this.#notBefore
    return isComparable && milliseconds !== undefined ? milliseconds : Number.POSITIVE_INFINITY
  }

  /** Milliseconds since the epoch; 0 where OpenSSL could not compare it. */
  get notAfter(): number {
    const { milliseconds, isComparable } = this.#notAfter
    return isComparable && milliseconds !== undefined ? milliseconds : 0
  }

  /** Nginx's `$ssl_client_v_start`, as `Feb  3 00:55:52 2015 GMT`. */
  get notBeforeText(): string {
    return this.#notBefore.text
  }

  /** Nginx's `$ssl_client_v_end`. */
  get notAfterText(): string {
    return this.#notAfter.text
  }

  /** Nginx's `$ssl_client_raw_cert`: PEM with a line end last. */
  get pem(): string {
    return this.#once('pem', () => pemOf('CERTIFICATE', this.raw), '')
  }

  /** Nginx's `$ssl_client_escaped_cert`: the PEM, percent-encoded. */
  get escapedPem(): string {
    return this.#once('escapedPem', () => encodeURIComponent(this.pem), '')
  }

  /** The DER as RFC 9440's Client-Cert: base64 between colons. */
  get rfc9440(): string {
    return this.#once('rfc9440', () => `:${this.raw.toString('base64')}:`, '')
  }

  get alternativeNames(): readonly AlternativeName[] {
    return this.#once('alternativeNames', () => alternativeNamesIn(this.#outline.extensions), [])
  }

  /** Whether basicConstraints says that this is a CA. A version 1 certificate says nothing and so is none. */
  get isAuthority(): boolean {
    return this.#once('isAuthority', () => isAuthority(this.#outline.extensions), false)
  }

  /** Whether subject and issuer are the same name; the signature is not looked at. */
  get selfIssued(): boolean {
    return this.#outline.subject.equals(this.#outline.issuer)
  }

  /** The issuer's Name, DER. */
  get rawIssuer(): Buffer {
    return this.#outline.issuer
  }

  /** The subject's Name, DER. */
  get rawSubject(): Buffer {
    return this.#outline.subject
  }

  /** The SubjectPublicKeyInfo, DER. */
  get publicKeyInfo(): Buffer {
    return this.#outline.publicKey
  }

  /** Node's object. @throws where OpenSSL does not accept the certificate, which cannot be where it came from a handshake */
  get x509(): X509Certificate {
    let x509 = this.#facts.get('x509') as X509Certificate | undefined
    if (x509 === undefined) {
      x509 = new X509Certificate(this.raw)
      this.#facts.set('x509', x509)
    }
    return x509
  }

  get #notBefore(): Moment {
    return this.#once('notBefore', () => readTime(this.#outline.notBefore), UNREADABLE)
  }

  get #notAfter(): Moment {
    return this.#once('notAfter', () => readTime(this.#outline.notAfter), UNREADABLE)
  }

  #once<T>(name: string, compute: () => T, otherwise: T): T {
    if (this.#facts.has(name)) return this.#facts.get(name) as T
    const value = orElse(compute, otherwise)
    this.#facts.set(name, value)
    return value
  }
}

/** What OpenSSL prints for a time that it cannot read. */
const UNREADABLE: Moment = { milliseconds: undefined, isComparable: false, text: 'Bad time value' }

/**
 * Reads the outline of a certificate; everything else is read when it is needed.
 * @param der one certificate, as `X509Certificate.raw`
 * @throws {CertificateError} BAD_CERTIFICATE
 */
export function readCertificate(der: Uint8Array): CertificateFacts {
  try {
    return new CertificateFacts(readOutline(der))
  } catch (error) {
    if (!(error instanceof DerError)) throw error
    throw new CertificateError('BAD_CERTIFICATE', `The certificate is damaged: ${error.message}.`)
  }
}

function readOutline(der: Uint8Array): Outline {
  const certificate = readElement(der).expect(TAG.SEQUENCE, 'the certificate')
  const [signed] = certificate.children()
  if (signed === undefined) throw new DerError('the certificate is empty')
  const fields = [...signed.expect(TAG.SEQUENCE, "the certificate's content").children()]
  if (fields[0]?.tag === 0xa0) fields.shift() // the version, which nothing here depends on
  const [serial, , issuer, validity, subject, publicKey, ...rest] = fields
  if (!serial || !issuer || !validity || !subject || !publicKey) throw new DerError('the certificate lacks a field')
  const [notBefore, notAfter] = validity.expect(TAG.SEQUENCE, 'the validity').children()
  if (!notBefore || !notAfter) throw new DerError('the certificate lacks its dates')
  return {
    raw: certificate.raw,
    serial: serial.expect(TAG.INTEGER, 'the serial number').content,
    issuer: issuer.expect(TAG.SEQUENCE, 'the issuer').raw,
    notBefore,
    notAfter,
    subject: subject.expect(TAG.SEQUENCE, 'the subject').raw,
    publicKey: publicKey.expect(TAG.SEQUENCE, 'the public key').raw,
    extensions: rest.find((field) => field.tag === 0xa3),
  }
}

/**
 * A serial number as nginx prints it. OpenSSL also breaks the line every 35 bytes; we do not, since a line end in a header would be worse.
 * @param content the INTEGER's content octets, two's complement
 */
function formatSerial(content: Uint8Array): string {
  const digits = Buffer.from(content).toString('hex')
  if (digits === '') return '00'
  const value = BigInt.asIntN(content.length * 8, BigInt(`0x${digits}`))
  const magnitude = (value < 0n ? -value : value).toString(16).toUpperCase()
  return (value < 0n ? '-' : '') + (magnitude.length % 2 === 0 ? magnitude : `0${magnitude}`)
}

function alternativeNamesIn(extensions: DerElement | undefined): AlternativeName[] {
  const value = extensionValue(extensions, SUBJECT_ALTERNATIVE_NAME)
  return value === undefined ? [] : readAlternativeNames(value)
}

function isAuthority(extensions: DerElement | undefined): boolean {
  const value = extensionValue(extensions, BASIC_CONSTRAINTS)
  if (value === undefined) return false
  const [first] = readElement(value).expect(TAG.SEQUENCE, 'basicConstraints').children()
  return first?.tag === TAG.BOOLEAN && first.content[0] !== 0
}

/** The content of one extension. A repeated one (RFC 5280 4.2 forbids it) counts as absent: choosing one would be a guess. */
function extensionValue(extensions: DerElement | undefined, oid: string): Buffer | undefined {
  if (extensions === undefined) return undefined
  let found: Buffer | undefined
  const [list] = extensions.children()
  for (const extension of list?.children() ?? []) {
    const parts = [...extension.children()]
    const value = parts.at(-1)
    if (parts[0] === undefined || value?.tag !== TAG.OCTET_STRING || readOid(parts[0].content) !== oid) continue
    if (found !== undefined) return undefined
    found = value.content
  }
  return found
}

function orElse<T>(compute: () => T, otherwise: T): T {
  try {
    return compute()
  } catch {
    return otherwise
  }
}

function hash(algorithm: 'sha1' | 'sha256', bytes: Uint8Array): string {
  return createHash(algorithm).update(bytes).digest('hex')
}
