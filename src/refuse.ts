/** Turns a GatewayError into an answer, in one place, so that every refusal looks the same. `detail` and `cause` never reach the client. */
import { STATUS_CODES } from 'node:http'
import type { GatewayError } from './errors.ts'
import { headerValues } from './http-fields/header-values.ts'
import type { HttpRequest, HttpResponse } from './http-messages.ts'

/**
 * Answers `response` with the error's status, title and remedy. Where an answer has begun already, the stream is destroyed instead, so that the
 * client notices that its answer is incomplete. Where the request's body is still coming, the answer is sent at once and the connection is closed
 * soon after.
 */
export function refuse(error: GatewayError, requestId: string, request: HttpRequest, response: HttpResponse): void {
  if (response.writableEnded || response.destroyed) return
  if (response.headersSent) {
    response.destroy()
    return
  }
  const { type, body } = render(error, requestId, acceptOf(request))
  const rest = expectsMore(request)
  const closes = error.entry.closes === true || rest === 'long'
  if (closes) response.shouldKeepAlive = false
  // With the standard phrase: the response may still hold the upstream's own, and that one may be the reason for this refusal.
  const { status } = error.entry
  response.writeHead(status, STATUS_CODES[status] ?? '', refusalHeaders(error, requestId, type, body))

  if (rest !== 'none') request.body.resume()
  if (rest !== 'none' && closes) lingeringEnd(request, response, body)
  else response.end(body)
}

/** The Accept headers of a request, joined to one list (RFC 9110 5.3). */
export function acceptOf({ rawHeaders }: Pick<HttpRequest, 'rawHeaders'>): string | undefined {
  return headerValues(rawHeaders, 'accept').join(', ') || undefined
}

/**
 * The same answer as the bytes of an HTTP/1.1 message, for a socket that has no response: after a parse error, for plain
 * HTTP on the TLS port, for a refused upgrade. It always announces that the connection closes.
 * @param accept the request's Accept header, where it is known
 */
export function refusalBytes(error: GatewayError, requestId: string, accept?: string): Buffer {
  const { type, body } = render(error, requestId, accept)
  const ours = refusalHeaders(error, requestId, type, body)
  const headers = ['Date', new Date().toUTCString(), ...ours, 'Connection', 'close']
  let head = `HTTP/1.1 ${error.entry.status} ${STATUS_CODES[error.entry.status] ?? ''}\r\n`
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`
  return Buffer.from(`${head}\r\n${body}`, 'utf8')
}

function refusalHeaders(error: GatewayError, requestId: string, type: MediaType, body: string): string[] {
  const headers = ['Content-Type', `${type}; charset=utf-8`, 'Content-Length', String(Buffer.byteLength(body))]
  // 404, 405, 414 and 501 may be kept by caches (RFC 9110 15.1), but the next client may have a certificate.
  headers.push('Cache-Control', 'no-store', 'X-Content-Type-Options', 'nosniff', 'X-Request-ID', requestId)
  const extra = REQUIRED_HEADERS[error.entry.status]
  if (extra) headers.push(...extra)
  headers.push(...error.headers)
  return headers
}

/** What RFC 9110 demands with a status: 15.5.6. */
const REQUIRED_HEADERS: Readonly<Record<number, readonly string[]>> = {
  405: ['Allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'],
}

/** Whether more of the body may come; `short` where reading it costs less than a new connection. */
function expectsMore(request: HttpRequest): 'none' | 'short' | 'long' {
  if (request.complete) return 'none'
  const [coding] = headerValues(request.rawHeaders, 'transfer-encoding')
  // With any other coding it is unknown where the body ends, so there is nothing to wait for.
  if (coding !== undefined) return coding.toLowerCase() === 'chunked' ? 'long' : 'none'
  const length = Number(headerValues(request.rawHeaders, 'content-length')[0] ?? 0)
  if (length === 0) return 'none'
  return length <= MAX_DRAINED_BODY ? 'short' : 'long'
}

/**
 * Sends the whole answer, but closes only when the client has stopped sending or LINGER has passed (nginx's lingering_close):
 * closing while bytes arrive resets the connection, and the client would lose the answer that says why.
 */
function lingeringEnd(request: HttpRequest, response: HttpResponse, body: string): void {
  const end = (): void => {
    clearTimeout(timer)
    response.end()
  }
  const timer = setTimeout(end, LINGER)
  request.body.once('close', end).once('end', end).once('error', end)
  response.once('close', () => clearTimeout(timer))
  response.write(body)
}

const MAX_DRAINED_BODY = 64 * 1024
const LINGER = 5_000

type MediaType = 'application/json' | 'text/html' | 'text/plain'

function render(
  error: GatewayError,
  requestId: string,
  accept: string | undefined,
): { readonly type: MediaType; readonly body: string } {
  if (error.body) return { type: 'application/json', body: `${JSON.stringify(error.body)}\n` }
  const type = preferredType(accept)
  return { type, body: BODIES[type](error, requestId) }
}

const BODIES: Readonly<Record<MediaType, (error: GatewayError, requestId: string) => string>> = {
  'application/json': ({ code, entry, members }, requestId) =>
    `${JSON.stringify({ code, message: entry.title, remedy: entry.remedy, request_id: requestId, ...members })}\n`,

  'text/html': ({ code, entry }, requestId) => {
    const heading = escapeHtml(`${entry.status} ${entry.title}`)
    const footer = escapeHtml(`${code} · request id ${requestId}`)
    return (
      `<html>\n<head><title>${heading}</title></head>\n<body>\n<center><h1>${heading}</h1></center>\n` +
      `<center>${escapeHtml(entry.remedy)}</center>\n<hr><center>${footer}</center>\n</body>\n</html>\n`
    )
  },

  'text/plain': ({ code, entry }, requestId) =>
    `${entry.status} ${entry.title}\n${entry.remedy}\n${code}, request id ${requestId}\n`,
}

/**
 * RFC 9110 12.5.1. HTML or plain text only for clients that prefer it to JSON, as browsers prefer HTML. JSON for all others: for curl's `*`/`*`,
 * without an Accept, or with one that we cannot meet. More programs than people call this gateway.
 */
function preferredType(accept: string | undefined): MediaType {
  if (accept === undefined) return 'application/json'
  const ranges = accept.slice(0, MAX_ACCEPT).split(',').map(parseRange)
  let best: MediaType = 'application/json'
  for (const type of ['text/html', 'text/plain'] as const) {
    if (quality(ranges, type) > quality(ranges, best)) best = type
  }
  return best
}

const MAX_ACCEPT = 1024

interface MediaRange {
  readonly range: string
  readonly quality: number
}

function parseRange(text: string): MediaRange {
  const [range = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase())
  const weight = parameters.find((parameter) => parameter.startsWith('q='))
  const value = weight === undefined ? 1 : Number(weight.slice(2))
  return { range, quality: value >= 0 && value <= 1 ? value : 0 }
}

function quality(ranges: readonly MediaRange[], type: MediaType): number {
  for (const range of [type, `${type.split('/')[0]}/*`, '*/*']) {
    const found = ranges.find((candidate) => candidate.range === range)
    if (found) return found.quality
  }
  return 0
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
