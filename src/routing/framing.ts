/** How a request's body is delimited (RFC 9112 6), checked a second time after node:http's parser. */
import { GatewayError } from '../errors.ts'
import type { BodyFraming } from '../types.ts'

const NONE: BodyFraming = Object.freeze({ kind: 'none' })
const CHUNKED: BodyFraming = Object.freeze({ kind: 'chunked' })
const EMPTY: BodyFraming = Object.freeze({ kind: 'length', length: 0 })

const DIGITS = /^[0-9]+$/
const CODINGS = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:[ \t]*,[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+)*$/

/**
 * @param transferEncoding the value of the only Transfer-Encoding
 * @param contentLength the value of the only Content-Length
 * @throws GatewayError GW_BAD_REQUEST where the two contradict each other, the version or the syntax; GW_TRANSFER_CODING (501) for a
 * coding that we do not know; GW_BODY_TOO_LARGE above 2^53
 */
export function readFraming(
  transferEncoding: string | undefined,
  contentLength: string | undefined,
  httpVersionMinor: number,
): BodyFraming {
  if (transferEncoding === undefined) return contentLength === undefined ? NONE : readLength(contentLength)
  // Each of these has been used to smuggle requests past some proxy: a backend that believes the other header sees another body.
  if (contentLength !== undefined) throw badRequest('both Transfer-Encoding and Content-Length')
  if (httpVersionMinor < 1) throw badRequest('Transfer-Encoding in HTTP/1.0')
  const coding = transferEncoding.toLowerCase()
  if (coding === 'chunked') return CHUNKED
  throw isUnknownCoding(coding)
    ? new GatewayError('GW_TRANSFER_CODING', `Transfer-Encoding is ${JSON.stringify(coding.slice(0, 100))}`)
    : badRequest('Transfer-Encoding is not exactly "chunked"')
}

function readLength(text: string): BodyFraming {
  if (text === '0') return EMPTY
  if (!DIGITS.test(text)) throw badRequest('Content-Length is not a decimal number')
  const length = Number(text)
  if (!Number.isSafeInteger(length)) throw new GatewayError('GW_BODY_TOO_LARGE', 'Content-Length is above 2^53')
  return { kind: 'length', length }
}

/** A well-formed coding other than `chunked` and the abolished `identity`: not wrong, only not supported (RFC 9112 6.1). */
function isUnknownCoding(codings: string): boolean {
  if (!CODINGS.test(codings)) return false
  return codings.split(',').some((coding) => !['chunked', 'identity'].includes(coding.trim()))
}

function badRequest(detail: string): GatewayError {
  return new GatewayError('GW_BAD_REQUEST', detail)
}
