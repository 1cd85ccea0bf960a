import { createHash } from 'node:crypto'
import { type CertificateFacts, formatSerial } from './certificate.ts'
import { CertificateError } from './certificate-error.ts'
import { type DerElement, DerError, readWhole, TAG } from './der.ts'
import { formatRfc2253 } from './distinguished-name.ts'
import { PemError, pemOf, readPemBlocks } from './pem.ts'
import { readTime } from './time.ts'

/** A certificate revocation list (RFC 5280 5). Its signature is not checked here: OpenSSL does that in each handshake. */
export interface RevocationList {
  /** One block. */
  readonly pem: string
  /** RFC 2253 text. */
  readonly issuer: string
  /** Milliseconds since the epoch. */
  readonly thisUpdate: number
  /** Milliseconds since the epoch; undefined where the list does not say. */
  readonly nextUpdate: number | undefined
  readonly revokedCount: number
  /** SHA-256 of the DER, lower-case hex. */
  readonly digest: string
  /**
   * Whether the certificate is from this list's issuer and on the list. For connections that OpenSSL does not judge again: resumed
   * ones, and those open while a list is replaced. An entry counts whatever its extensions say.
   */
  revokes(certificate: CertificateFacts): boolean
}

interface Outline {
  readonly issuer: Buffer
  readonly thisUpdate: number
  readonly nextUpdate: number | undefined
  readonly revoked: DerElement | undefined
}

/**
 * Reads a PEM bundle of revocation lists, or one list in DER. Hand node:tls an array of the `pem`s: before Node 26 it loads only the
 * first block of a text, and every client of the other CAs is refused.
 * @throws {CertificateError} NO_CRL, BAD_CRL
 */
export function readRevocationLists(source: string | Uint8Array): RevocationList[] {
  const ders = typeof source === 'string' ? fromPem(source) : fromBytes(source)
  if (ders.length === 0)
    throw new CertificateError('NO_CRL', 'There is no PEM block of a revocation list (X509 CRL) in it.')
  return ders.map((der, index) => readList(der, index + 1))
}

function fromBytes(bytes: Uint8Array): Buffer[] {
  const buffer = Buffer.from(bytes)
  return buffer[0] === TAG.SEQUENCE ? [buffer] : fromPem(buffer.toString('latin1'))
}

function fromPem(pem: string): Buffer[] {
  try {
    return readPemBlocks(pem)
      .filter((block) => block.label === 'X509 CRL')
      .map((block) => block.der)
  } catch (error) {
    if (!(error instanceof PemError)) throw error
    throw new CertificateError('BAD_CRL', `The revocation lists are not sound PEM: ${error.message}.`)
  }
}

function readList(der: Buffer, position: number): RevocationList {
  try {
    const outline = readOutline(der)
    const serials = revokedSerials(outline.revoked)
    return {
      pem: pemOf('X509 CRL', der),
      issuer: formatRfc2253(outline.issuer),
      thisUpdate: outline.thisUpdate,
      nextUpdate: outline.nextUpdate,
      revokedCount: serials.size,
      digest: createHash('sha256').update(der).digest('hex'),
      revokes: (certificate) => serials.has(certificate.serial) && isSameName(certificate.rawIssuer, outline.issuer),
    }
  } catch (error) {
    if (!(error instanceof DerError)) throw error
    throw new CertificateError('BAD_CRL', `Revocation list ${position} is damaged: ${error.message}.`)
  }
}

function readOutline(der: Buffer): Outline {
  const [signed] = readWhole(der).expect(TAG.SEQUENCE, 'the list').children()
  if (signed === undefined) throw new DerError('the list is empty')
  const fields = [...signed.expect(TAG.SEQUENCE, "the list's content").children()]
  if (fields[0]?.tag === TAG.INTEGER) fields.shift() // the version, which nothing here depends on
  const [, issuer, thisUpdate, ...rest] = fields
  if (issuer === undefined || thisUpdate === undefined) throw new DerError('the list lacks a field')
  const nextUpdate = rest[0]?.tag === TAG.UTC_TIME || rest[0]?.tag === TAG.GENERALIZED_TIME ? rest.shift() : undefined
  return {
    issuer: issuer.expect(TAG.SEQUENCE, 'the issuer').raw,
    thisUpdate: milliseconds(thisUpdate),
    nextUpdate: nextUpdate && milliseconds(nextUpdate),
    revoked: rest[0]?.tag === TAG.SEQUENCE ? rest[0] : undefined,
  }
}

function revokedSerials(revoked: DerElement | undefined): ReadonlySet<string> {
  const serials = new Set<string>()
  for (const entry of revoked?.children() ?? []) {
    const [serial] = entry.expect(TAG.SEQUENCE, 'an entry').children()
    if (serial === undefined) throw new DerError('an entry lacks its serial number')
    serials.add(formatSerial(serial.expect(TAG.INTEGER, 'a serial number').content))
  }
  return serials
}

/** Names are equal whatever the case, the spacing or the string type (RFC 5280 7.1), as OpenSSL compares them. */
function isSameName(one: Buffer, other: Buffer): boolean {
  return one.equals(other) || folded(one) === folded(other)
}

function folded(name: Buffer): string {
  return formatRfc2253(name)
    .toLowerCase()
    .replaceAll('\\ ', ' ')
    .replace(/ +/g, ' ')
    .replace(/(?<=[=]) | (?=[,+]|$)/g, '')
}

function milliseconds(time: DerElement): number {
  return readTime(time).milliseconds as number
}
