/** Reads name and password of `Authorization: Basic` (RFC 7617), and refuses whatever is ambiguous. */
import { headerValues } from '../../http-fields/header-values.ts'

export type BasicCredentials =
  | { readonly status: 'absent' }
  | { readonly status: 'denied'; readonly reason: string }
  | { readonly status: 'given'; readonly name: string; readonly secret: string }

const ABSENT = { status: 'absent' } as const
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function readBasic(rawHeaders: readonly string[]): BasicCredentials {
  const values = headerValues(rawHeaders, 'authorization')
  const value = values[0]
  if (value === undefined || !values.some(isBasic)) return ABSENT
  // A proxy in front or a backend behind us might use the other one of two.
  if (values.length > 1) return denied('more than one Authorization')
  const text = decoded(value.slice(5).trim())
  const colon = text?.indexOf(':') ?? -1
  if (text === undefined || colon < 1) return denied('Authorization: Basic holds no base64 of name:password in UTF-8')
  // RFC 7617 2 forbids them in both.
  if (/[\x00-\x1f\x7f]/.test(text)) return denied('Authorization: Basic holds a control character')
  return { status: 'given', name: text.slice(0, colon), secret: text.slice(colon + 1) }
}

/** `name` in lower case. */
export function isBasicHeader(name: string, value: string): boolean {
  return name === 'authorization' && isBasic(value)
}

function isBasic(value: string): boolean {
  return /^basic(?: |$)/i.test(value)
}

/**
 * Buffer accepts anything as base64; what is not exactly base64, with its padding or without, is refused. The client's text meets no expression like
 * `=+$`, which looks again from each `=` on: on a header full of them it took half a second.
 */
function decoded(base64: string): string | undefined {
  const bytes = Buffer.from(base64, 'base64')
  const exact = bytes.toString('base64')
  if (base64 !== exact && base64 !== exact.replace(/={1,2}$/, '')) return undefined
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}

function denied(reason: string): BasicCredentials {
  return { status: 'denied', reason }
}
