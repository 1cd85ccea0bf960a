/** The host and port that a Host header or an absolute-form target names (RFC 9110 7.2, RFC 3986 3.2). */
import { isIPv6 } from 'node:net'
import { GatewayError } from '../errors.ts'
import { isSame } from '../http-fields/field-names.ts'

export interface Authority {
  /** Lower case, without port or trailing dot; an IPv6 literal keeps its brackets. */
  readonly host: string
  readonly port: number | undefined
}

// Stricter than RFC 3986, which allows percent escapes, sub-delimiters and an empty port. No name in DNS has them, and wherever we and the backend
// read them differently, a route could be evaded. Underscores do occur in practice.
const AUTHORITY = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::([1-9][0-9]{0,4}))?$/
const MAX_NAME = 255
const MAX_PORT = 65_535

// Hosts repeat, so each is parsed once. The cache is emptied when it is full: a client that invents hosts only costs itself a parse.
const MAX_CACHED = 1024
const cache = new Map<string, Known>()
/** Most requests name the same host as the last one, and comparing two texts is faster than a look-up in a Map (docs/performance-log.md). */
let last: Known | undefined

interface Known {
  readonly text: string
  readonly authority: Authority
}

/** @throws GatewayError GW_BAD_REQUEST where `text` is not `host` or `host:port`. */
export function parseAuthority(text: string): Authority {
  if (last === undefined || !isSame(last.text, text)) last = cache.get(text) ?? remember(text, parse(text))
  return last.authority
}

function remember(text: string, authority: Authority): Known {
  // A copy: the text may be a slice that would keep its whole head in memory.
  const known = { text: Buffer.from(text, 'latin1').toString('latin1'), authority }
  if (cache.size >= MAX_CACHED) cache.clear()
  cache.set(known.text, known)
  return known
}

/** Whether both name the same place; an https URL without a port means 443. */
export function sameAuthority(a: Authority, b: Authority): boolean {
  return a.host === b.host && (a.port ?? 443) === (b.port ?? 443)
}

function parse(text: string): Authority {
  const parts = AUTHORITY.exec(text)
  if (parts === null) throw refusal(text, 'is not a host or host:port')
  const name = (parts[1] as string).toLowerCase()
  const port = parts[2] === undefined ? undefined : Number(parts[2])
  if (port !== undefined && port > MAX_PORT) throw refusal(text, 'has a port above 65535')
  return { host: name.startsWith('[') ? literal(name, text) : registeredName(name, text), port }
}

function literal(name: string, text: string): string {
  if (!isIPv6(name.slice(1, -1))) throw refusal(text, 'is not an IPv6 address')
  return name
}

function registeredName(name: string, text: string): string {
  // A trailing dot is DNS's root: the same host, as in nginx.
  const host = name.endsWith('.') ? name.slice(0, -1) : name
  if (host.length > MAX_NAME) throw refusal(text, `is longer than ${MAX_NAME} characters`)
  if (host === '' || host.startsWith('.') || host.endsWith('.') || host.includes('..')) {
    throw refusal(text, 'has an empty label')
  }
  return host
}

function refusal(text: string, what: string): GatewayError {
  return new GatewayError('GW_BAD_REQUEST', `Host ${JSON.stringify(text.slice(0, 100))} ${what}`)
}
