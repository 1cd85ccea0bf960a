/** Reads everything that the gateway needs from a request's head, strictly and in one pass over its fields. */
import { GatewayError } from '../errors.ts'
import { isNamed } from '../http-fields/field-names.ts'
import type { RequestHead } from '../types.ts'
import { type DestinationSource, readDestination } from './destination.ts'
import { readFraming } from './framing.ts'

/** What node:http's IncomingMessage has. */
export interface HeadSource extends DestinationSource {
  readonly rawHeaders: readonly string[]
}

export interface HeadLimits {
  /** Header fields of one request (nginx's `max_headers`); more are 431. */
  readonly maxHeaders: number
  /** Characters of the target (nginx's `large_client_header_buffers`); more are 414. */
  readonly maxTarget: number
}

export interface HeadWithUpgrade extends RequestHead {
  /** Upgrade's value in lower case, only where Connection lists it too and the version is 1.1 (RFC 9110 7.8). */
  readonly upgrade: string | undefined
}

interface HeadFields {
  host: string | undefined
  transferEncoding: string | undefined
  contentLength: string | undefined
  connection: string | undefined
  upgrade: string | undefined
  expect: string | undefined
}

/**
 * @throws GatewayError GW_HEADERS_TOO_LARGE, GW_URI_TOO_LONG, GW_METHOD_NOT_ALLOWED, GW_BAD_PATH, GW_BAD_REQUEST, GW_TRANSFER_CODING,
 * GW_BODY_TOO_LARGE (a Content-Length above 2^53), GW_EXPECTATION_FAILED; nothing else, whatever the client sends
 */
export function readHead(request: HeadSource, limits: HeadLimits): HeadWithUpgrade {
  checkHeaderLimits(request, limits)
  const fields = collectFields(request.rawHeaders)
  const minor = request.httpVersionMinor
  const connectionOptions = fields.connection === undefined ? undefined : readConnection(fields.connection)
  return {
    destination: readDestination(request, fields.host),
    framing: readFraming(fields.transferEncoding, fields.contentLength, minor),
    connectionOptions,
    upgrade: minor >= 1 && connectionOptions?.has('upgrade') ? fields.upgrade?.toLowerCase() : undefined,
    expectContinue: fields.expect !== undefined && readExpect(fields.expect) && minor >= 1,
  }
}

/**
 * The server must run with `maxHeadersCount = 0`: with any other, node:http hides the fields beyond it and still frames the body by
 * them (CVE-2026-58044).
 */
function checkHeaderLimits({ url, rawHeaders }: HeadSource, { maxHeaders, maxTarget }: HeadLimits): void {
  if (rawHeaders.length > 2 * maxHeaders) {
    throw new GatewayError('GW_HEADERS_TOO_LARGE', `${rawHeaders.length / 2} header fields; the limit is ${maxHeaders}`)
  }
  if (url !== undefined && url.length > maxTarget) {
    throw new GatewayError('GW_URI_TOO_LONG', `the target has ${url.length} characters; the limit is ${maxTarget}`)
  }
}

function collectFields(rawHeaders: readonly string[]): HeadFields {
  const fields: HeadFields = {
    host: undefined,
    transferEncoding: undefined,
    contentLength: undefined,
    connection: undefined,
    upgrade: undefined,
    expect: undefined,
  }
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    keepField(fields, rawHeaders[i] as string, rawHeaders[i + 1] as string)
  }
  return fields
}

function keepField(fields: HeadFields, name: string, value: string): void {
  if (isNamed(name, 'host')) fields.host = only(fields.host, value, 'Host')
  else if (isNamed(name, 'content-length')) {
    fields.contentLength = only(fields.contentLength, value, 'Content-Length')
  } else if (isNamed(name, 'transfer-encoding')) {
    fields.transferEncoding = only(fields.transferEncoding, value, 'Transfer-Encoding')
  } else if (isNamed(name, 'connection')) fields.connection = joined(fields.connection, value)
  else if (isNamed(name, 'upgrade')) fields.upgrade = joined(fields.upgrade, value)
  else if (isNamed(name, 'expect')) fields.expect = joined(fields.expect, value)
}

/** For fields that may occur only once: two readers could use different ones, which is an attack even where both are equal. */
function only(earlier: string | undefined, value: string, name: string): string {
  if (earlier !== undefined) throw new GatewayError('GW_BAD_REQUEST', `more than one ${name}`)
  return value
}

/** For lists (RFC 9110 5.3). */
function joined(earlier: string | undefined, value: string): string {
  return earlier === undefined ? value : `${earlier}, ${value}`
}

const KEEP_ALIVE: ReadonlySet<string> = new Set(['keep-alive'])
const CLOSE: ReadonlySet<string> = new Set(['close'])

function readConnection(text: string): ReadonlySet<string> {
  const value = text.toLowerCase()
  if (value === 'keep-alive') return KEEP_ALIVE
  if (value === 'close') return CLOSE
  const options = new Set<string>()
  for (const option of value.split(',')) {
    const name = option.trim()
    if (name !== '') options.add(name)
  }
  return options
}

function readExpect(text: string): boolean {
  if (text.toLowerCase() === '100-continue') return true
  throw new GatewayError('GW_EXPECTATION_FAILED', `Expect is ${JSON.stringify(text.slice(0, 100))}`)
}
