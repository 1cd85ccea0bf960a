import { isIP } from 'node:net'

/** The result of reading the first bytes of a connection. */
export type ClientHelloResult =
  /** `needs`: the hello cannot be complete before there are this many bytes. Waiting for them keeps a hello that drips in cheap. */
  | { readonly status: 'incomplete'; readonly needs: number }
  | ClientHello
  /** An HTTP request without TLS. */
  | { readonly status: 'plain_http' }
  | { readonly status: 'not_tls'; readonly reason: string }

/** A whole ClientHello (RFC 8446 4.1.2). */
export interface ClientHello {
  readonly status: 'hello'
  /** RFC 6066 3: lower case, no trailing dot; undefined where none was sent or it is no host name, but for example an IP address. */
  readonly serverName: string | undefined
  /** RFC 5077: of the session of TLS 1.2 that the client would go on with; those of TLS 1.3 are another extension's. A view of the bytes. */
  readonly sessionTicket: Buffer | undefined
}

/** Bytes that a ClientHello may take, record headers included. Large ones (post-quantum key shares, many tickets) stay under 10 KiB. */
export const MAX_CLIENT_HELLO = 64 * 1024

/** One record for each byte is legal, but thousands of them only serve to keep the reader busy. */
const MAX_RECORDS = 4096
const MAX_RECORD = 16384

/** Type and length of a handshake message. */
const HEADER = 4

const HANDSHAKE = 22
const CLIENT_HELLO = 1
const SERVER_NAME = 0
const SESSION_TICKET = 35

/** From a load balancer that is not configured as one (haproxy.org/download/2.8/doc/proxy-protocol.txt). */
const PROXY_HEADER = /^(?:PROXY (?:TCP[46]|UNKNOWN)|\r\n\r\n\0\r\nQUIT\n)/
const HTTP_START = /^[A-Z]{3,20} /
const HTTP_START_SO_FAR = /^[A-Z]{1,20}$/
const LABEL = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/

class Malformed extends Error {}

/**
 * Reads the ClientHello at the start of a connection. Call it again with all bytes so far while it is incomplete.
 * Strict where OpenSSL is, so that both see the same server name. Never throws.
 * @param bytes from the first one on; what follows the hello is left alone
 */
export function readClientHello(bytes: Buffer): ClientHelloResult {
  try {
    if (bytes.length === 0) return { status: 'incomplete', needs: 1 }
    return bytes[0] === HANDSHAKE ? readRecords(bytes) : readOther(bytes)
  } catch (error) {
    if (!(error instanceof Malformed)) throw error
    return { status: 'not_tls', reason: error.message }
  }
}

function readOther(bytes: Buffer): ClientHelloResult {
  const start = bytes.toString('latin1', 0, 24)
  if (PROXY_HEADER.test(start))
    return { status: 'not_tls', reason: 'it begins with a PROXY header, which nobody from that address may send' }
  if (HTTP_START.test(start)) return { status: 'plain_http' }
  if (HTTP_START_SO_FAR.test(start)) return { status: 'incomplete', needs: bytes.length + 1 }
  return { status: 'not_tls', reason: 'the first byte is no TLS handshake record' }
}

/**
 * RFC 8446 5.1: the handshake message, from as many records as it is spread over. The first pass only hops from record to record and
 * allocates nothing, as a hostile client can have it repeated for each byte.
 */
function readRecords(bytes: Buffer): ClientHelloResult {
  let records = 0
  let gathered = 0
  let wanted = HEADER
  let position = 0
  while (gathered < wanted) {
    const end = recordEnd(bytes, position)
    if (end === undefined || end > bytes.length) return incomplete(bytes, end ?? position + 5 + wanted - gathered)
    if (++records > MAX_RECORDS) throw new Malformed(`the ClientHello is spread over more than ${MAX_RECORDS} records`)
    const isHeaderNew = gathered < HEADER
    gathered += end - position - 5
    position = end
    if (!isHeaderNew || gathered < HEADER) continue
    wanted = HEADER + bodyLength(gather(bytes, position))
    if (bytes.length < 5 + wanted) return incomplete(bytes, 5 + wanted)
  }
  if (position > MAX_CLIENT_HELLO) throw new Malformed(`the ClientHello is longer than ${MAX_CLIENT_HELLO} bytes`)
  return readHello(new Cursor(gather(bytes, position), HEADER, wanted))
}

/** What the records up to `end` carry. */
function gather(bytes: Buffer, end: number): Buffer {
  const fragments: Buffer[] = []
  for (let position = 0; position < end; ) {
    const next = position + 5 + bytes.readUInt16BE(position + 3)
    fragments.push(bytes.subarray(position + 5, next))
    position = next
  }
  return fragments.length === 1 ? (fragments[0] as Buffer) : Buffer.concat(fragments)
}

function incomplete(bytes: Buffer, needs: number): ClientHelloResult {
  const missing = Math.max(needs, bytes.length + 1)
  if (missing > MAX_CLIENT_HELLO) throw new Malformed(`the ClientHello is longer than ${MAX_CLIENT_HELLO} bytes`)
  return { status: 'incomplete', needs: missing }
}

/** Where the record at `start` ends; undefined while its header is incomplete. The bytes of the header that are there are checked at once. */
function recordEnd(bytes: Buffer, start: number): number | undefined {
  if (start < bytes.length && bytes[start] !== HANDSHAKE) throw new Malformed('a record is no handshake record')
  if (start + 1 < bytes.length && bytes[start + 1] !== 3) throw new Malformed('a record has no version of TLS')
  if (start + 5 > bytes.length) return undefined
  const length = bytes.readUInt16BE(start + 3)
  if (length === 0 || length > MAX_RECORD) throw new Malformed('a record is empty or too long')
  return start + 5 + length
}

function bodyLength(message: Buffer): number {
  if (message[0] !== CLIENT_HELLO) throw new Malformed('the first handshake message is no ClientHello')
  const length = message.readUIntBE(1, 3)
  if (length > MAX_CLIENT_HELLO) throw new Malformed(`the ClientHello is longer than ${MAX_CLIENT_HELLO} bytes`)
  return length
}

function readHello(hello: Cursor): ClientHello {
  hello.skip(2 + 32) // legacy version, random
  hello.vector(1) // session id
  hello.vector(2) // cipher suites
  hello.vector(1) // compression methods
  const { serverName, sessionTicket } = hello.isAtEnd ? NO_EXTENSIONS : readExtensions(hello.vector(2))
  hello.assertEnd()
  return {
    status: 'hello',
    serverName: serverName && readServerName(serverName),
    // Empty where the client only tells that it would take one.
    sessionTicket: sessionTicket?.restUnlessEmpty(),
  }
}

interface Extensions {
  serverName: Cursor | undefined
  sessionTicket: Cursor | undefined
}

const NO_EXTENSIONS: Readonly<Extensions> = { serverName: undefined, sessionTicket: undefined }

function readExtensions(list: Cursor): Readonly<Extensions> {
  const extensions: Extensions = { ...NO_EXTENSIONS }
  const seen = new Set<number>()
  while (!list.isAtEnd) {
    const type = list.integer(2)
    if (seen.has(type)) throw new Malformed(`extension ${type} is there twice`) // RFC 8446 4.2
    seen.add(type)
    const extension = list.vector(2)
    if (type === SERVER_NAME) extensions.serverName = extension
    else if (type === SESSION_TICKET) extensions.sessionTicket = extension
  }
  return extensions
}

/** RFC 6066 3. More than one name, a NUL or more than 255 bytes end the handshake in OpenSSL, so they do here. */
function readServerName(extension: Cursor): string | undefined {
  const list = extension.vector(2)
  extension.assertEnd()
  if (list.integer(1) !== 0) throw new Malformed('the server name has an unknown type')
  const name = list.vector(2).rest()
  list.assertEnd()
  if (name.length === 0 || name.length > 255 || name.includes(0))
    throw new Malformed('the server name is not well-formed')
  const serverName = name.toString('latin1').toLowerCase().replace(/\.$/, '')
  return isHostName(serverName) ? serverName : undefined
}

/** Letters, digits, hyphens (RFC 1123 2.1), and underscores, which container names have. An address is no server name. */
function isHostName(name: string): boolean {
  const isNumeric = /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/.test(name) // 127.1 and 0x7f000001 are addresses to many programs
  return name.length <= 253 && !isNumeric && isIP(name) === 0 && name.split('.').every((label) => LABEL.test(label))
}

/** Reads forward, within bounds, without a view for each part. @throws {Malformed} */
class Cursor {
  readonly #bytes: Buffer
  readonly #end: number
  #position: number

  constructor(bytes: Buffer, from: number, end: number) {
    this.#bytes = bytes
    this.#position = from
    this.#end = end
  }

  get isAtEnd(): boolean {
    return this.#position === this.#end
  }

  /** @returns where the skipped bytes begin */
  skip(length: number): number {
    const start = this.#position
    if (start + length > this.#end) throw new Malformed('the ClientHello ends early')
    this.#position = start + length
    return start
  }

  rest(): Buffer {
    return this.#bytes.subarray(this.skip(this.#end - this.#position), this.#end)
  }

  restUnlessEmpty(): Buffer | undefined {
    return this.isAtEnd ? undefined : this.rest()
  }

  integer(width: 1 | 2): number {
    const start = this.skip(width)
    const byte = this.#bytes[start] as number
    return width === 1 ? byte : byte * 256 + (this.#bytes[start + 1] as number)
  }

  /** What a length of `width` bytes announces. */
  vector(width: 1 | 2): Cursor {
    const length = this.integer(width)
    const start = this.skip(length)
    return new Cursor(this.#bytes, start, start + length)
  }

  assertEnd(): void {
    if (!this.isAtEnd) throw new Malformed('something follows the end of a field of the ClientHello')
  }
}
