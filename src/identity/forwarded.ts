/** X-Forwarded-*, X-Real-IP, Forwarded, Via and X-Request-ID: where a request came from, and through which hops. */
import { randomBytes } from 'node:crypto'
import { ConnectionNotes } from '../connection-notes.ts'
import { isNamed, isSame } from '../http-fields/field-names.ts'
import { ConstantHeaders } from '../http-fields/own-headers.ts'
import type { Connection } from '../types.ts'
import { nearestUntrusted, plainAddress } from './addresses.ts'
import { VIA } from './headers.ts'

export interface ForwardedOptions {
  /** `trusted_ips`: proxies that are believed about the client. Looked up by plain addresses (IPv4-mapped ones as IPv4). */
  readonly trusted: { has(address: string): boolean }
  /** Whether to write RFC 7239's Forwarded too. */
  readonly forwarded: boolean
  readonly via: boolean
}

/** The parts of one request that are needed here. */
export interface ForwardedRequest {
  readonly id: string
  readonly rawHeaders: readonly string[]
  /** `1.1` or `1.0`. */
  readonly httpVersion: string
  /** Host as the client wrote it. */
  readonly authority: string
  /** What `strip_path` removed; empty where nothing was. */
  readonly strippedPrefix: string
}

export interface ForwardedHeaders {
  /** The request's id: a trusted peer's X-Request-ID if it is well-formed, else a new one of 32 hexadecimal digits. */
  requestId(connection: Connection, rawHeaders: readonly string[]): string
  /** The client's address: the peer's, or, where the peer is a trusted proxy, the nearest untrusted one in X-Forwarded-For. */
  clientAddress(connection: Connection, rawHeaders: readonly string[]): string
  /**
   * Appends our headers to `out`, which must hold none of the client's own (see createRequestHeaderFilter). Returns the rest of our headers: those
   * that stay the same while the connection asks for one host, as the same object each time.
   */
  append(out: string[], connection: Connection, request: ForwardedRequest): ConstantHeaders
}

/** The part that stays the same while a connection asks for the same host. */
interface Remembered {
  /** Whatever made them; it holds nothing. */
  readonly by: object
  readonly peer: string
  readonly trusted: boolean
  authority: string | undefined
  constant: ConstantHeaders
}

// Only for the last configuration that the connection has seen.
const known = new ConnectionNotes<Remembered>()

/**
 * An untrusted peer's own X-Forwarded-For and the like are never believed. A trusted peer's lists (X-Forwarded-For, Forwarded) are kept and appended
 * to. Its X-Forwarded-Proto, -Host, -Port and -Prefix are kept where they hold one well-formed value; a list would be ambiguous, so ours is sent
 * instead. The client's Via lines stay and ours follows, which means the same as one list (RFC 9110 5.3).
 */
export function createForwardedHeaders({ trusted, forwarded, via }: ForwardedOptions): ForwardedHeaders {
  const by = {}

  const remembered = (connection: Connection): Remembered => {
    const found = known.get(connection)
    if (found?.by === by) return found
    const peer = plainAddress(connection.remoteAddress)
    const made: Remembered = {
      by,
      peer,
      trusted: trusted.has(peer),
      authority: undefined,
      constant: ConstantHeaders.NONE,
    }
    known.set(connection, made)
    return made
  }

  return {
    requestId(connection, rawHeaders) {
      if (!remembered(connection).trusted) return createRequestId()
      return single(rawHeaders, 'x-request-id', REQUEST_ID) ?? createRequestId()
    },

    clientAddress(connection, rawHeaders) {
      const peer = remembered(connection)
      return peer.trusted ? nearestUntrusted(peer.peer, joined(rawHeaders, 'x-forwarded-for'), trusted) : peer.peer
    },

    append(out, connection, request) {
      const peer = remembered(connection)
      let prefix = request.strippedPrefix
      let constant = ConstantHeaders.NONE
      if (peer.trusted) {
        appendAll(out, trustedOrigin(peer.peer, connection, request, { trusted, forwarded, via }))
        prefix = (single(request.rawHeaders, 'x-forwarded-prefix', PREFIX) ?? '').replace(/\/$/, '') + prefix
      } else {
        if (peer.authority === undefined || !isSame(peer.authority, request.authority)) {
          peer.constant = new ConstantHeaders(untrustedOrigin(peer.peer, connection, request.authority, forwarded))
          peer.authority = request.authority
        }
        constant = peer.constant
      }
      if (prefix !== '') out.push('X-Forwarded-Prefix', prefix)
      if (via) out.push('Via', request.httpVersion === '1.1' ? VIA : `${request.httpVersion} sallyport`)
      out.push('X-Request-ID', request.id)
      return constant
    },
  }
}

function untrustedOrigin(peer: string, connection: Connection, authority: string, forwarded: boolean): string[] {
  const flat = origin(peer, peer, scheme(connection), authority, portOf(connection))
  if (forwarded) flat.push('Forwarded', forwardedElement(peer, authority, scheme(connection)))
  return flat
}

function trustedOrigin(
  peer: string,
  connection: Connection,
  { rawHeaders, authority }: ForwardedRequest,
  { trusted, forwarded }: ForwardedOptions,
): string[] {
  const chain = joined(rawHeaders, 'x-forwarded-for')
  const flat = origin(
    chain ? `${chain}, ${peer}` : peer,
    nearestUntrusted(peer, chain, trusted),
    single(rawHeaders, 'x-forwarded-proto', /^https?$/) ?? scheme(connection),
    single(rawHeaders, 'x-forwarded-host', HOST) ?? authority,
    single(rawHeaders, 'x-forwarded-port', PORT) ?? portOf(connection),
  )
  if (forwarded) {
    const before = joined(rawHeaders, 'forwarded')
    const own = forwardedElement(peer, authority, scheme(connection))
    flat.push('Forwarded', before ? `${before}, ${own}` : own)
  }
  return flat
}

/** A connection without TLS has no protocol. */
function scheme({ protocol }: Connection): string {
  return protocol === '' ? 'http' : 'https'
}

/** Empty over a Unix socket. */
function portOf({ localPort }: Connection): string {
  return localPort === 0 ? '' : String(localPort)
}

function origin(chain: string, client: string, proto: string, host: string, port: string): string[] {
  const flat = ['X-Real-IP', client, 'X-Forwarded-For', chain, 'X-Forwarded-Proto', proto]
  // An HTTP/1.0 request may have no Host: then there is nothing to send.
  if (host !== '') flat.push('X-Forwarded-Host', host)
  if (port !== '') flat.push('X-Forwarded-Port', port)
  return flat
}

/** RFC 7239 4 and 6: an IPv6 address is bracketed and quoted. A peer over a Unix socket has no address. */
function forwardedElement(peer: string, authority: string, proto: string): string {
  const node = peer === 'unix:' ? 'unknown' : peer.includes(':') ? `"[${peer}]"` : peer
  const host = authority === '' ? '' : `;host=${quoted(authority)}`
  return `for=${node}${host};proto=${proto}`
}

function quoted(value: string): string {
  return /^[\w!#$%&'*+.^`|~-]+$/.test(value) ? value : `"${value.replace(/["\\]/g, '\\$&')}"`
}

/** From 1 to 65535. */
const PORT_NUMBER = '(?:[1-9]\\d{0,3}|[1-5]\\d{4}|6[0-4]\\d{3}|65[0-4]\\d\\d|655[0-2]\\d|6553[0-5])'
const PORT = new RegExp(`^${PORT_NUMBER}$`)
const HOST = new RegExp(`^(?:[A-Za-z0-9._-]{1,255}|\\[[0-9A-Fa-f:.]{2,45}\\])(?::${PORT_NUMBER})?$`)
const PREFIX = /^\/[\w.~!$&'()*+=:@%/-]{0,1023}$/
const REQUEST_ID = /^[\w.~+/=:@-]{1,128}$/

/** The header's value where it occurs once and is well-formed. */
function single(rawHeaders: readonly string[], name: string, form: RegExp): string | undefined {
  const value = joined(rawHeaders, name)
  return value !== undefined && form.test(value) ? value : undefined
}

export function joined(rawHeaders: readonly string[], name: string): string | undefined {
  let found: string | undefined
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (!isNamed(rawHeaders[i] as string, name)) continue
    found = found === undefined ? (rawHeaders[i + 1] as string) : `${found}, ${rawHeaders[i + 1]}`
  }
  return found
}

function appendAll(out: string[], flat: readonly string[]): void {
  for (const item of flat) out.push(item)
}

const ID_LENGTH = 32
let digits = ''
let used = 0

/** 16 random bytes in hexadecimal, as nginx's `$request_id`. */
export function createRequestId(): string {
  if (used === digits.length) {
    digits = randomBytes(256 * (ID_LENGTH / 2)).toString('hex')
    used = 0
  }
  used += ID_LENGTH
  return digits.slice(used - ID_LENGTH, used)
}
