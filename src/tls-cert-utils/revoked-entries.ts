import { DerError, readOid } from './der.ts'
import { LONGEST_SERIAL, SerialSet } from './serial-set.ts'

/** Of an entry's reasons (RFC 5280 5.3.1), the one that takes it off the list again. */
const REMOVE_FROM_CRL = 8
const UNKNOWN_REASON = -1
/** Those of RFC 5280 5.3 that change nothing: reason, hold instruction (obsolete), invalidity date. */
const REASON = '2.5.29.21'
const HARMLESS: ReadonlySet<string> = new Set([REASON, '2.5.29.23', '2.5.29.24'])
const CERTIFICATE_ISSUER = '2.5.29.29'
/** Bytes of each of these identifiers: longer ones, of which a list may have millions, are not put into words. */
const KNOWN_LENGTH = 3

const INTEGER = 0x02
const OCTET_STRING = 0x04
const OID = 0x06
const ENUMERATED = 0x0a
const UTC_TIME = 0x17
const GENERALIZED_TIME = 0x18
const SEQUENCE = 0x30

/**
 * The serial numbers of `revokedCertificates`, whose content is `bytes[start..end)`. Lists have millions of entries: they are
 * walked with one cursor instead of an object for each element, and twice, so that the set is made as large as it has to be.
 *
 * A revocation date counts for nothing, not even one in the future: OpenSSL does not look at it either.
 * @throws {DerError} also for entries that only an indirect list may have, and for critical extensions that nobody knows
 */
export function readRevokedSerials(bytes: Buffer, start: number, end: number): SerialSet {
  let count = 0
  let totalBytes = 0
  walk(bytes, start, end, (_from, length) => {
    count++
    totalBytes += length
  })
  const serials = SerialSet.withRoomFor(count, totalBytes)
  walk(bytes, start, end, (from, length) => serials.add(bytes, from, from + length))
  return serials
}

function walk(bytes: Buffer, start: number, end: number, found: (serialStart: number, length: number) => void): void {
  const cursor = new Cursor(bytes, end)
  for (let position = start; position < end; position = cursor.entryEnd) {
    cursor.enter(position, SEQUENCE)
    cursor.entryEnd = cursor.contentEnd
    cursor.enter(cursor.contentStart, INTEGER)
    const { contentStart: from, contentEnd: to } = cursor
    if (from === to) throw new DerError(`the serial number at byte ${from} is empty`)
    if (to - from > LONGEST_SERIAL)
      throw new DerError(`the serial number at byte ${from} is longer than ${LONGEST_SERIAL} bytes`)
    cursor.enterTime(to)
    const rest = cursor.contentEnd
    if (rest === cursor.entryEnd || !isRemoved(bytes, cursor, rest)) found(from, to - from)
  }
}

/** One place in the bytes, moved along. Lengths are definite here, as DER demands. */
class Cursor {
  readonly bytes: Buffer
  contentStart = 0
  contentEnd = 0
  /** Where nothing may go past: of the list, then of the entry. */
  entryEnd: number
  readonly #end: number

  constructor(bytes: Buffer, end: number) {
    this.bytes = bytes
    this.entryEnd = end
    this.#end = end
  }

  enter(position: number, tag: number): void {
    if (this.bytes[position] !== tag) throw new DerError(`an entry of the list is malformed at byte ${position}`)
    this.#measure(position)
  }

  enterTime(position: number): void {
    const tag = this.bytes[position]
    if (tag !== UTC_TIME && tag !== GENERALIZED_TIME) throw new DerError(`an entry lacks its date at byte ${position}`)
    this.#measure(position)
  }

  #measure(position: number): void {
    const { bytes } = this
    let at = position + 1
    let length = bytes[at++] ?? 0
    if (length >= 0x80) {
      const octets = length & 0x7f
      if (octets === 0 || octets > 4) throw new DerError(`the length at byte ${position} is none of DER`)
      length = 0
      for (let i = 0; i < octets; i++) length = length * 256 + (bytes[at++] ?? 0)
    }
    if (at + length > this.#end) throw new DerError(`the length at byte ${position} goes past the end`)
    this.contentStart = at
    this.contentEnd = at + length
  }
}

/** Reads the entry's extensions, which begin at `position`. */
function isRemoved(bytes: Buffer, cursor: Cursor, position: number): boolean {
  const end = cursor.entryEnd
  cursor.enter(position, SEQUENCE)
  const { contentEnd } = cursor
  if (contentEnd !== end) throw new DerError(`an entry of the list is malformed at byte ${position}`)
  let reason: number | undefined
  for (let at = cursor.contentStart; at < end; ) {
    cursor.enter(at, SEQUENCE)
    at = cursor.contentEnd
    const read = readReason(bytes, cursor)
    if (read !== undefined && reason !== undefined) throw new DerError(`an entry has two reasons at byte ${position}`)
    reason ??= read
    if (at > end) throw new DerError(`an extension goes past its entry at byte ${position}`)
  }
  return reason === REMOVE_FROM_CRL
}

/** The reason in an extension; undefined in another one. */
function readReason(bytes: Buffer, cursor: Cursor): number | undefined {
  const { contentStart, contentEnd } = cursor
  cursor.enter(contentStart, OID)
  const identifier = bytes.subarray(cursor.contentStart, cursor.contentEnd)
  const oid = identifier.length === KNOWN_LENGTH ? readOid(identifier) : ''
  let value = cursor.contentEnd
  let critical = false
  if (bytes[value] === 0x01) {
    critical = bytes[value + 2] !== 0
    value += 3
  }
  if (oid === CERTIFICATE_ISSUER) throw new DerError('it is an indirect list, with entries of other issuers')
  if (critical && !HARMLESS.has(oid))
    throw new DerError(`an entry has the unknown critical extension ${readOid(identifier)}`)
  if (oid !== REASON) return undefined
  cursor.enter(value, OCTET_STRING)
  cursor.enter(cursor.contentStart, ENUMERATED)
  if (cursor.contentEnd !== contentEnd) throw new DerError('the reason of an entry is malformed')
  return cursor.contentEnd - cursor.contentStart === 1 ? (bytes[cursor.contentStart] as number) : UNKNOWN_REASON
}
