/** A bounds-checked reader of DER (X.690), lenient where OpenSSL is: long-form lengths and BER's indefinite length are read too. */

/** Universal identifier octets that certificates use. */
export const TAG = {
  BOOLEAN: 0x01,
  INTEGER: 0x02,
  BIT_STRING: 0x03,
  OCTET_STRING: 0x04,
  OID: 0x06,
  UTF8_STRING: 0x0c,
  UTC_TIME: 0x17,
  GENERALIZED_TIME: 0x18,
  SEQUENCE: 0x30,
  SET: 0x31,
} as const

const CONSTRUCTED = 0x20

/** OpenSSL's own bound on nesting is 30 (ASN1_MAX_CONSTRUCTED_NEST). */
const MAX_DEPTH = 32

/** Bytes that are not well-formed DER or BER, or not the structure that was asked for. */
export class DerError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'DerError'
  }
}

/** One element: its identifier octet and where its parts stand in `bytes`. */
export class DerElement {
  readonly bytes: Buffer
  readonly start: number
  readonly contentStart: number
  readonly contentEnd: number
  readonly end: number
  readonly depth: number

  constructor(bytes: Buffer, start: number, contentStart: number, contentEnd: number, end: number, depth: number) {
    this.bytes = bytes
    this.start = start
    this.contentStart = contentStart
    this.contentEnd = contentEnd
    this.end = end
    this.depth = depth
  }

  /** The identifier octet: class, constructed bit and tag number; the first one where the tag number is above 30. */
  get tag(): number {
    return this.bytes[this.start] as number
  }

  get isConstructed(): boolean {
    return (this.tag & CONSTRUCTED) !== 0
  }

  /** Header and content, a view. */
  get raw(): Buffer {
    return this.bytes.subarray(this.start, this.end)
  }

  /** The content octets, a view. */
  get content(): Buffer {
    return this.bytes.subarray(this.contentStart, this.contentEnd)
  }

  /** The elements inside, one after the other. @throws {DerError} when reached where they are malformed. */
  *children(): Generator<DerElement, undefined> {
    if (!this.isConstructed) throw new DerError(`element 0x${this.tag.toString(16)} has no elements inside`)
    let position = this.contentStart
    while (position < this.contentEnd) {
      const child = readAt(this.bytes, position, this.contentEnd, this.depth + 1)
      yield child
      position = child.end
    }
    return undefined
  }

  /** The first element inside with that identifier octet. @throws {DerError} where one before it is malformed */
  child(tag: number): DerElement | undefined {
    if (!this.isConstructed) throw new DerError(`element 0x${this.tag.toString(16)} has no elements inside`)
    let position = this.contentStart
    while (position < this.contentEnd) {
      const child = readAt(this.bytes, position, this.contentEnd, this.depth + 1)
      if (child.tag === tag) return child
      position = child.end
    }
    return undefined
  }

  /** This element, if it has the given identifier octet. @throws {DerError} otherwise. */
  expect(tag: number, what: string): DerElement {
    if (this.tag !== tag)
      throw new DerError(`${what} has tag 0x${this.tag.toString(16)} instead of 0x${tag.toString(16)}`)
    return this
  }

  /** The content of a string: BER's constructed strings are joined, as OpenSSL does when it reads them. */
  stringContent(): Buffer {
    if (!this.isConstructed) return this.content
    return Buffer.concat(Array.from(this.children(), (part) => part.stringContent()))
  }
}

/** Reads the element that `bytes` begin with; what follows it is left alone. @throws {DerError} */
export function readElement(bytes: Uint8Array): DerElement {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return readAt(buffer, 0, buffer.length, 0)
}

/** Reads `bytes` that are one element and nothing else. @throws {DerError} */
export function readWhole(bytes: Uint8Array): DerElement {
  const element = readElement(bytes)
  if (element.end !== bytes.length) throw new DerError(`${bytes.length - element.end} bytes follow the end`)
  return element
}

function readAt(bytes: Buffer, start: number, end: number, depth: number): DerElement {
  if (depth > MAX_DEPTH) throw new DerError(`more than ${MAX_DEPTH} levels deep`)
  let position = skipTag(bytes, start, end)
  const first = byteAt(bytes, position++, end)
  if (first === 0x80) return readIndefinite(bytes, start, position, end, depth)
  let length = first
  if (first > 0x80) {
    length = 0
    for (let left = first & 0x7f; left > 0; left--) {
      length = length * 256 + byteAt(bytes, position++, end)
      if (length > bytes.length) throw new DerError(`the length at byte ${start} goes past the end`)
    }
  }
  if (length > end - position) throw new DerError(`the length at byte ${start} goes past the end`)
  return new DerElement(bytes, start, position, position + length, position + length, depth)
}

/** BER 8.1.3.6: the content goes on until an end-of-contents element, two zero bytes. */
function readIndefinite(bytes: Buffer, start: number, contentStart: number, end: number, depth: number): DerElement {
  if ((byteAt(bytes, start, end) & CONSTRUCTED) === 0) throw new DerError(`byte ${start} has an indefinite length`)
  let position = contentStart
  while (!(byteAt(bytes, position, end) === 0 && byteAt(bytes, position + 1, end) === 0)) {
    position = readAt(bytes, position, end, depth + 1).end
  }
  return new DerElement(bytes, start, contentStart, position, position + 2, depth)
}

function skipTag(bytes: Buffer, start: number, end: number): number {
  let position = start
  if ((byteAt(bytes, position++, end) & 0x1f) !== 0x1f) return position
  while ((byteAt(bytes, position++, end) & 0x80) !== 0) {
    if (position - start > 6) throw new DerError(`the tag at byte ${start} is too long`)
  }
  return position
}

function byteAt(bytes: Buffer, position: number, end: number): number {
  if (position >= end) throw new DerError(`ends early, at byte ${position}`)
  return bytes[position] as number
}

/** OpenSSL prints no object identifier whose content is longer (CVE-2023-2650): the time that the digits take grows with the square of its length. */
const LONGEST_OID = 586

/** The dotted form of an object identifier's content octets; empty where these are more than anybody uses, as OpenSSL has it. @throws {DerError} */
export function readOid(content: Uint8Array): string {
  if (content.length === 0 || ((content.at(-1) as number) & 0x80) !== 0)
    throw new DerError('an object identifier ends early')
  if (content.length > LONGEST_OID) return ''
  const arcs: (number | bigint)[] = []
  let arc: number | bigint = 0
  for (const byte of content) {
    // In plain numbers where they fit: a certificate may have ten thousand, and a list millions.
    arc = typeof arc === 'number' && arc <= LARGEST_BEFORE_SHIFT ? arc * 128 + (byte & 0x7f) : shifted(arc, byte)
    if ((byte & 0x80) !== 0) continue
    arcs.push(arc)
    arc = 0
  }
  const [first, ...rest] = arcs as [number | bigint, ...(number | bigint)[]]
  const root = first < 40 ? 0 : first < 80 ? 1 : 2
  return [root, typeof first === 'number' ? first - root * 40 : first - BigInt(root * 40), ...rest].join('.')
}

const LARGEST_BEFORE_SHIFT = 2 ** 45

function shifted(arc: number | bigint, byte: number): bigint {
  return (BigInt(arc) << 7n) | BigInt(byte & 0x7f)
}
