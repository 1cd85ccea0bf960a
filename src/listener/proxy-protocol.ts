/**
 * The PROXY protocol, versions 1 and 2 (haproxy.org/download/2.8/doc/proxy-protocol.txt): a load balancer names its client before the client's first
 * byte.
 */
import { isIP, type Socket, SocketAddress } from 'node:net'
import { withoutMapping } from './connection.ts'
import { type Reader, readAhead } from './read-ahead.ts'

/** The client's address, as the proxy says; undefined where the proxy connects for itself, as for a health check. */
export type Source = { readonly address: string; readonly port: number } | undefined

export type ProxyHeader =
  | { readonly status: 'header'; readonly source: Source }
  | { readonly status: 'invalid'; readonly reason: string }

const V2_SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const V1_PREFIX = Buffer.from('PROXY ', 'latin1')
/** The longest line of version 1, its end included (2.1). */
const V1_LONGEST = 107
/** Signature, version and command, family, length. */
const V2_FIXED = 16
/** How much may follow in version 2: the largest TLVs are client certificates. */
const V2_LONGEST = 16 * 1024

class Malformed extends Error {}

/** Reads the header that a proxy must send first. `timeout` (ms) bounds the wait. `done` is called once; the socket is then paused, and what follows is put back. */
export function awaitProxyHeader(socket: Socket, timeout: number, done: (header: ProxyHeader) => void): void {
  const reasons = {
    timeout: `no complete PROXY header within ${timeout} ms`,
    closed: 'the proxy closed the connection before its PROXY header',
  }
  const gone = (why: keyof typeof reasons): ProxyHeader => ({ status: 'invalid', reason: reasons[why] })
  readAhead<ProxyHeader>(socket, { timeout, read: readProxyHeader, gone }, done)
}

/** Strict: an ambiguous header identifies nobody. Never throws. */
export const readProxyHeader: Reader<ProxyHeader> = (bytes) => {
  try {
    if (bytes[0] === V2_SIGNATURE[0]) return readV2(bytes)
    if (bytes[0] === V1_PREFIX[0]) return readV1(bytes)
    throw new Malformed('the proxy sent no PROXY header')
  } catch (error) {
    if (!(error instanceof Malformed)) throw error
    return { outcome: { status: 'invalid', reason: error.message }, consumed: 0 }
  }
}

function assertBegins(bytes: Buffer, expected: Buffer): void {
  const length = Math.min(bytes.length, expected.length)
  if (!bytes.subarray(0, length).equals(expected.subarray(0, length))) {
    throw new Malformed('the proxy sent no PROXY header')
  }
}

function readV1(bytes: Buffer): ReturnType<Reader<ProxyHeader>> {
  assertBegins(bytes, V1_PREFIX)
  const end = bytes.subarray(0, V1_LONGEST).indexOf('\r\n')
  if (end < 0) {
    if (bytes.length >= V1_LONGEST) throw new Malformed(`the PROXY line is longer than ${V1_LONGEST} bytes`)
    return bytes.length + 1
  }
  return { outcome: { status: 'header', source: sourceOfLine(bytes.toString('latin1', 0, end)) }, consumed: end + 2 }
}

const V1_LINE = /^PROXY (TCP4|TCP6) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})$/

function sourceOfLine(line: string): Source {
  // Whatever stands behind UNKNOWN must be ignored (2.1).
  if (/^PROXY UNKNOWN( [\x20-\x7e]*)?$/.test(line)) return undefined
  const [, family, source = '', destination = '', port, destinationPort] = V1_LINE.exec(line) ?? []
  const version = family === 'TCP6' ? 6 : 4
  const isSound = isIP(source) === version && isIP(destination) === version
  if (!isSound || Number(port) > 65_535 || Number(destinationPort) > 65_535) {
    throw new Malformed('the PROXY line is not well-formed')
  }
  return { address: canonical(source), port: Number(port) }
}

function readV2(bytes: Buffer): ReturnType<Reader<ProxyHeader>> {
  assertBegins(bytes, V2_SIGNATURE)
  if (bytes.length < V2_FIXED) return V2_FIXED
  const length = bytes.readUInt16BE(14)
  if (length > V2_LONGEST) throw new Malformed(`the PROXY header is longer than ${V2_LONGEST} bytes`)
  const end = V2_FIXED + length
  if (bytes.length < end) return end
  const source = sourceOfBody(bytes.readUInt8(12), bytes.readUInt8(13), bytes.subarray(V2_FIXED, end))
  return { outcome: { status: 'header', source }, consumed: end }
}

const [LOCAL, PROXY] = [0x20, 0x21]
/** Address family and transport: unspecified, TCP over IPv4, TCP over IPv6, a stream over a Unix socket. Datagrams cannot come this way. */
const FAMILIES: Readonly<Record<number, { addresses: number; source?: (body: Buffer) => Source }>> = {
  0: { addresses: 0 },
  17: { addresses: 12, source: (body) => ({ address: body.subarray(0, 4).join('.'), port: body.readUInt16BE(8) }) },
  33: { addresses: 36, source: (body) => ({ address: ipv6(body.subarray(0, 16)), port: body.readUInt16BE(32) }) },
  49: { addresses: 216 },
}

function sourceOfBody(command: number, familyAndTransport: number, body: Buffer): Source {
  if (command !== LOCAL && command !== PROXY) throw new Malformed('the PROXY header has an unknown version or command')
  // For a LOCAL connection, the receiver must ignore family and addresses (2.2).
  if (command === LOCAL) return undefined
  const family = FAMILIES[familyAndTransport]
  if (!family) throw new Malformed('the PROXY header has an unknown address family')
  if (body.length < family.addresses) throw new Malformed('the addresses of the PROXY header are cut short')
  // After an unspecified family, nothing has a form that could be checked.
  if (familyAndTransport !== 0) assertExtensions(body.subarray(family.addresses))
  return family.source?.(body)
}

/** Type, length, value, and nothing left over. What they say is not used. */
function assertExtensions(bytes: Buffer): void {
  let at = 0
  while (at < bytes.length) {
    if (at + 3 > bytes.length) break
    at += 3 + bytes.readUInt16BE(at + 1)
  }
  if (at !== bytes.length) throw new Malformed('the extensions of the PROXY header are cut short')
}

function ipv6(bytes: Buffer): string {
  return canonical((bytes.toString('hex').match(/.{4}/g) as string[]).join(':'))
}

/** Spelled as those of our own peers, so that they can be compared: a proxy that listens on `[::]` may tell IPv4 clients as it sees them. */
function canonical(address: string): string {
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
  return withoutMapping(new SocketAddress({ address, family }).address)
}
