/** Gives every path one spelling, so that no other spelling of it evades a route's rules (RFC 3986 6.2.2). */
import { GatewayError } from '../errors.ts'

// Matches what hardly any request has: a character that is no printable ASCII or is `%`, `#` or `\`; or a segment that is empty or begins with a dot.
const UNUSUAL = /[^!"$&-[\]-~]|\/[./]/
const FORBIDDEN = /[^!"$-[\]-~]/
// Also a dot segment with a parameter: Tomcat and others drop `;x` first and resolve `..` afterwards.
const DOT_SEGMENT = /\/\.\.?(?:[;/]|$)/
const UNRESERVED = /[A-Za-z0-9._~-]/

/**
 * The path that is both matched and forwarded: unreserved characters decoded, other escapes in upper case, repeated slashes merged. Kong and nginx
 * match in the same way; otherwise `//admin` would evade the route of `/admin` on a backend that merges slashes. Idempotent. Escapes of non-ASCII
 * bytes stay escapes, so overlong UTF-8 never becomes anything else.
 * @param raw an origin-form path without query
 * @throws GatewayError GW_BAD_PATH for what backends read in different ways: dot segments (`%2e` too), backslashes, `#`, control characters,
 * non-ASCII bytes, escapes that are broken or stand for a slash, a backslash or a control character
 */
export function normalizePath(raw: string): string {
  return UNUSUAL.test(raw) ? normalizeUnusual(raw) : raw
}

/** Whether a path that is otherwise normal holds `.`, `..`, or one of them with a parameter. */
export function hasDotSegment(path: string): boolean {
  return DOT_SEGMENT.test(path)
}

/** A normal path as servlet containers read it: without the parameters of its segments, as `;jsessionid=1`. */
export function withoutParameters(path: string): string {
  return path.replace(/;[^/]*/g, '').replace(/\/{2,}/g, '/')
}

function normalizeUnusual(raw: string): string {
  const forbidden = FORBIDDEN.exec(raw)
  if (forbidden !== null) throw refusal(`holds ${JSON.stringify(forbidden[0])}`)
  const decoded = raw.includes('%') ? raw.replace(/%(?:([0-9A-Fa-f]{2})|)/g, decodeEscape) : raw
  // Checked only now: `%2e%2e` has become `..`, and nothing decoded can form another escape, since `%25` stays.
  const path = decoded.replace(/\/{2,}/g, '/')
  if (hasDotSegment(path)) throw refusal('holds a dot segment')
  return path
}

function decodeEscape(triplet: string, hex: string | undefined): string {
  if (hex === undefined) throw refusal('holds a % that begins no escape')
  const code = Number.parseInt(hex, 16)
  const character = String.fromCharCode(code)
  if (code < 0x20 || code === 0x7f || character === '/' || character === '\\') throw refusal(`holds ${triplet}`)
  return UNRESERVED.test(character) ? character : triplet.toUpperCase()
}

function refusal(what: string): GatewayError {
  return new GatewayError('GW_BAD_PATH', `the path ${what}`)
}
