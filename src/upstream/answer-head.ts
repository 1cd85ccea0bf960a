/** Writes the head of an upstream's answer for a client. The upstream chooses every byte of it, so every byte is checked. */
import { STATUS_CODES } from 'node:http'
import { GatewayError } from '../errors.ts'
import { isNamed } from '../http-fields/field-names.ts'
import { headerValues } from '../http-fields/header-values.ts'
import type { AnswerLines } from '../types.ts'
import type { AnswerHead } from './http1/head-reader.ts'

/** Without obs-text: node:http refuses it in a reason phrase, and nobody needs it. */
const REASON_PHRASE = /^[\t\x20-\x7e]*$/
/** RFC 9110 5.6.2 and 5.5. Here obs-text is one Latin-1 character for each byte, and becomes the same byte again when written. */
const FIELD_NAME = /^[\w!#$%&'*+.^`|~-]+$/
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/** The upstream's own reason phrase where it can be passed on; undefined for the standard one. */
export function reasonPhrase(status: number, message: string | undefined): string | undefined {
  if (message === undefined || message === STATUS_CODES[status]) return undefined
  return REASON_PHRASE.test(message) ? message : undefined
}

/**
 * The head of an answer with a body of known length, or with none, as node:http would write it. Undefined where the lines do not give the length.
 * @param persistence header lines that say whether the connection is kept, and how long
 * @param isBodiless whether there cannot be a body (RFC 9112 6.3)
 */
export function wholeHeadText(
  status: number,
  message: string | undefined,
  lines: AnswerLines,
  persistence: string,
  isBodiless = false,
): string | undefined {
  if (!isBodiless && !lines.hasLength) return undefined
  const date = lines.hasDate ? '' : `Date: ${new Date().toUTCString()}\r\n`
  return `${statusLine(status, message)}${lines.text}${date}${persistence}\r\n`
}

/**
 * An answer's head in Latin-1, for a socket without ServerResponse.
 * @throws GatewayError where a header could become another one
 */
export function headText(status: number, message: string | undefined, headers: readonly string[]): string {
  return `${statusLine(status, message)}${linesOf(headers).text}\r\n`
}

/** Those with the standard phrase, by their status. */
const standardLines: string[] = []

function statusLine(status: number, message: string | undefined): string {
  const phrase = reasonPhrase(status, message)
  if (phrase !== undefined) return `HTTP/1.1 ${status} ${phrase}\r\n`
  standardLines[status] ??= `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`
  return standardLines[status]
}

/** @throws GatewayError where a header could become another one */
export function linesOf(headers: readonly string[]): AnswerLines {
  let [text, hasLength, hasDate] = ['', false, false]
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as string
    const value = headers[i + 1] as string
    if (!FIELD_NAME.test(name) || !FIELD_VALUE.test(value)) {
      throw new GatewayError(
        'GW_UPSTREAM_RESPONSE',
        `a header of the answer cannot be passed on: ${JSON.stringify(name)}`,
      )
    }
    text += `${name}: ${value}\r\n`
    hasLength ||= isNamed(name, 'content-length')
    hasDate ||= isNamed(name, 'date')
  }
  return { text, hasLength, hasDate }
}

/** RFC 9110 8.6: 1xx and 204 must not carry Content-Length; 304 may. */
export function mayHaveLength(status: number): boolean {
  return status >= 200 && status !== 204
}

export function headersFor(status: number, headers: string[]): string[] {
  if (mayHaveLength(status)) return headers
  return headers.filter((_, i) => (headers[i - (i % 2)] as string).toLowerCase() !== 'content-length')
}

export const UPGRADE_REQUIRED = 426

/**
 * What an answer of 426 must say besides: which protocols it demands (RFC 9110 15.5.22), and that this is for one hop (7.8). Empty for any other.
 * @param persistence whether the connection is kept: beside this line node:http adds none of its own, and goes by this one
 */
export function demandedUpgrade({ status, headers }: AnswerHead, persistence: 'keep-alive' | 'close'): string[] {
  const protocols = status === UPGRADE_REQUIRED ? headerValues(headers, 'upgrade') : []
  return protocols.length === 0 ? [] : ['Connection', `${persistence}, Upgrade`, 'Upgrade', protocols.join(', ')]
}
