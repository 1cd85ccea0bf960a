import { createHash } from 'node:crypto'
import type { CertificateFacts } from './certificate.ts'
import { CertificateError } from './certificate-error.ts'
import { type DerElement, DerError, readElement, readWhole, TAG } from './der.ts'
import { foldedName, formatRfc2253 } from './distinguished-name.ts'
import { type ListScope, readListExtensions } from './list-extensions.ts'
import { PemError } from './pem.ts'
import { readPemBytes } from './pem-bytes.ts'
import { readRevokedSerials } from './revoked-entries.ts'
import { SerialSet, type SerialSetParts } from './serial-set.ts'
import { signatureCheck } from './signature.ts'
import { readTime } from './time.ts'

/** The signed bytes and the signature, kept until an issuer is found that made it. */
interface Signed {
  readonly content: Uint8Array
  /** The AlgorithmIdentifier. */
  readonly algorithm: Uint8Array
  readonly signature: Uint8Array
}

/** A list in a form for another thread. */
export interface RevocationListParts extends Omit<ListFacts, 'serials'> {
  readonly serials: SerialSetParts
  readonly signed: Signed | undefined
  readonly signer: string | undefined
}

interface ListFacts {
  readonly rawIssuer: Uint8Array
  readonly authorityKeyId: Uint8Array | undefined
  readonly scope: ListScope
  readonly thisUpdate: number
  readonly nextUpdate: number | undefined
  readonly serials: SerialSet
  readonly digest: string
  readonly statement: string
}

/** A complete certificate revocation list (RFC 5280 5): not an indirect one, not a delta, and for all reasons. */
export class RevocationList {
  readonly #facts: ListFacts
  #signed: Signed | undefined
  /** The SHA-256 of the key that made the signature; no other key can have made it. */
  #signer: string | undefined
  /** The last key that did not sign it. */
  #stranger: string | undefined

  /** Use {@link readRevocationLists}. */
  constructor(facts: ListFacts, signed: Signed | undefined, signer?: string) {
    this.#facts = facts
    this.#signed = signed
    this.#signer = signer
  }

  static fromParts({ serials, signed, signer, ...facts }: RevocationListParts): RevocationList {
    return new RevocationList({ ...facts, serials: new SerialSet(serials) }, signed, signer)
  }

  get parts(): RevocationListParts {
    return { ...this.#facts, serials: this.#facts.serials.parts, signed: this.#signed, signer: this.#signer }
  }

  /** RFC 2253 text. */
  get issuer(): string {
    return formatRfc2253(this.#facts.rawIssuer)
  }

  /** The issuer as names are compared. */
  get foldedIssuer(): string {
    return foldedName(this.#facts.rawIssuer)
  }

  /** Which of the issuer's keys signed it, where the list says so. */
  get authorityKeyId(): Uint8Array | undefined {
    return this.#facts.authorityKeyId
  }

  /** Which of the issuer's certificates it covers. */
  get scope(): ListScope {
    return this.#facts.scope
  }

  /** Milliseconds since the epoch. */
  get thisUpdate(): number {
    return this.#facts.thisUpdate
  }

  /** Milliseconds since the epoch; Infinity where the list does not say. */
  get nextUpdate(): number {
    return this.#facts.nextUpdate ?? Number.POSITIVE_INFINITY
  }

  get revokedCount(): number {
    return this.#facts.serials.size
  }

  /** SHA-256 of the DER, lower-case hex. */
  get digest(): string {
    return this.#facts.digest
  }

  /**
   * Who is revoked, by whom and among which certificates, as SHA-256. A list that only renews another has the same one: it leaves out dates, numbers,
   * reasons and the signature.
   */
  get statement(): string {
    return this.#facts.statement
  }

  isCurrent(time: number): boolean {
    return this.thisUpdate <= time && time < this.nextUpdate
  }

  /** @param serial the INTEGER content of the serial number of a certificate of this list's issuer */
  revokes(serial: Uint8Array): boolean {
    return this.#facts.serials.has(serial)
  }

  /**
   * The signature is checked once. After that only the key is compared, and the signed bytes are dropped. It is not checked again with a key that has
   * just failed: otherwise whoever can forge a fetched list would make each handshake hash it.
   */
  isSignedBy(issuer: CertificateFacts): boolean {
    const key = issuer.publicKeySha256
    if (this.#signer !== undefined) return this.#signer === key
    if (!this.#signed || this.#stranger === key) return false
    const { content, algorithm, signature } = this.#signed
    if (!signatureCheck(readWhole(algorithm))(content, signature, issuer.x509.publicKey)) {
      this.#stranger = key
      return false
    }
    this.#signer = key
    this.#signed = undefined
    return true
  }
}

/** The {@link RevocationList.statement} of several, whatever their order. */
export function jointStatement(lists: readonly RevocationList[]): string {
  const statements = [...new Set(lists.map(({ statement }) => statement))].sort()
  return createHash('sha256').update(statements.join(' ')).digest('hex')
}

/**
 * Reads a PEM bundle of revocation lists, or one list in DER. Signatures are checked later, by {@link RevocationList.isSignedBy}.
 * @param most how many there may be
 * @throws {CertificateError} NO_CRL, BAD_CRL
 */
export function readRevocationLists(
  source: string | Uint8Array,
  { most = Number.POSITIVE_INFINITY } = {},
): RevocationList[] {
  const bytes =
    typeof source === 'string'
      ? Buffer.from(source, 'latin1')
      : Buffer.from(source.buffer, source.byteOffset, source.byteLength)
  const ders = isDer(bytes) ? [bytes] : fromPem(bytes)
  if (ders.length === 0)
    throw new CertificateError(
      'NO_CRL',
      'There is no PEM block of a revocation list (X509 CRL) in it; lists are read as PEM or DER.',
    )
  if (ders.length > most) throw new CertificateError('BAD_CRL', `There are more than ${most} revocation lists in it.`)
  return ders.map((der, index) => readList(der, index + 1))
}

/** Text before PEM may begin with the digit 0, which is the byte of a SEQUENCE: a length of one byte must then be right. */
function isDer(bytes: Buffer): boolean {
  return bytes[0] === TAG.SEQUENCE && (bytes[1] === undefined || bytes[1] >= 0x80 || bytes[1] + 2 === bytes.length)
}

function fromPem(bytes: Buffer): Buffer[] {
  try {
    return readPemBytes(bytes, 'X509 CRL')
  } catch (error) {
    if (!(error instanceof PemError)) throw error
    throw new CertificateError('BAD_CRL', `The revocation lists are not sound PEM: ${error.message}.`)
  }
}

function readList(der: Buffer, position: number): RevocationList {
  try {
    const list = readElement(der)
    if (list.end !== der.length)
      throw new DerError(
        `${der.length - list.end} bytes follow its end; give several as PEM, or each in a file of its own`,
      )
    const [content, algorithm, signature] = list.expect(TAG.SEQUENCE, 'the list').children()
    if (!content || !algorithm || !signature) throw new DerError('the list lacks its signature')
    // A list whose signature could never be checked is refused here.
    signatureCheck(algorithm)
    const facts = readContent(content.expect(TAG.SEQUENCE, "the list's content"), algorithm)
    return new RevocationList(
      { ...facts, digest: createHash('sha256').update(der).digest('hex'), statement: statementOf(facts) },
      {
        content: content.raw,
        algorithm: Buffer.from(algorithm.raw),
        signature: wholeBytes(signature.expect(TAG.BIT_STRING, 'the signature').content),
      },
    )
  } catch (error) {
    if (!(error instanceof DerError)) throw error
    throw new CertificateError('BAD_CRL', `Revocation list ${position} cannot be used: ${error.message}.`)
  }
}

/** Bytes of an issuer's name, which is compared without regard to case and spacing, beside requests too. */
const LONGEST_ISSUER = 16 * 1024

type ListContent = Omit<ListFacts, 'digest' | 'statement'>

function readContent(content: DerElement, outerAlgorithm: DerElement): ListContent {
  const fields = [...content.children()]
  if (fields[0]?.tag === TAG.INTEGER) fields.shift() // the version, which nothing here depends on
  const [algorithm, issuer, thisUpdate, ...rest] = fields
  if (!algorithm || !issuer || !thisUpdate) throw new DerError('the list lacks a field')
  if (issuer.raw.length > LONGEST_ISSUER) throw new DerError(`its issuer's name has more than ${LONGEST_ISSUER} bytes`)
  // RFC 5280 5.1.1.2: the one outside is not signed.
  if (!algorithm.raw.equals(outerAlgorithm.raw)) throw new DerError('it names two different signature algorithms')
  const nextUpdate = rest[0]?.tag === TAG.UTC_TIME || rest[0]?.tag === TAG.GENERALIZED_TIME ? rest.shift() : undefined
  const revoked = rest[0]?.tag === TAG.SEQUENCE ? rest.shift() : undefined
  const extensions = rest[0]?.tag === 0xa0 ? rest.shift() : undefined
  if (rest.length > 0) throw new DerError('the list has a field that it should not have')
  return {
    // A copy, so that the bytes of a large list are not kept for a name.
    rawIssuer: Buffer.from(issuer.expect(TAG.SEQUENCE, 'the issuer').raw),
    ...readListExtensions(extensions),
    thisUpdate: milliseconds(thisUpdate),
    nextUpdate: nextUpdate && milliseconds(nextUpdate),
    serials: revoked
      ? readRevokedSerials(revoked.bytes, revoked.contentStart, revoked.contentEnd)
      : SerialSet.withRoomFor(0, 0),
  }
}

function statementOf({ rawIssuer, authorityKeyId, scope, serials }: ListContent): string {
  const { certificates, pointNames } = scope
  const parts = [rawIssuer, authorityKeyId, ...(pointNames ?? [])].map((bytes) => bytes && hex(bytes))
  return createHash('sha256')
    .update(JSON.stringify([certificates, parts, serials.digest]))
    .digest('hex')
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

/** Of a BIT STRING that has no unused bits, as its first byte tells. */
function wholeBytes(content: Buffer): Buffer {
  if (content[0] !== 0) throw new DerError('the signature is no whole number of bytes')
  return content.subarray(1)
}

function milliseconds(time: DerElement): number {
  const { milliseconds: read, isComparable } = readTime(time)
  if (read === undefined || !isComparable) throw new DerError('a date is not written as RFC 5280 demands')
  return read
}
