import type { Socket } from 'node:net'
import { ASCII_FIELD_LINES, type FieldReader, readFields } from '../../field-lines.ts'
import { CountedBody, StreamedRequest } from './streamed-request.ts'
import { WholeRequest } from './whole-request.ts'

/** A larger body is worth a stream. */
const MAX_BODY = 16 * 1024

/** A path and a query in visible ASCII; a fragment, which no client has to send, is left to node:http. */
const REQUEST_LINE = /^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (\/[!"$-~]*) HTTP\/1\.([01])\r\n/
/** In one spelling: what is parsed as a number here and there must be the same number. */
const LENGTH = /^(?:0|[1-9]\d{0,14})$/

/**
 * The request that `bytes` begin, where its head is there as a whole and nothing is behind its body, and so plain that everybody reads it alike. Anything else is node:http's:
 * this must accept only what that accepts, as the same request (test/fuzz/request-reader.test.ts).
 * @param maxHeaderSize bytes of the head; it has fewer
 */
export function readPlainRequest(
  socket: Socket,
  bytes: Buffer,
  maxHeaderSize: number,
): WholeRequest | StreamedRequest | undefined {
  const text = bytes.toString('latin1')
  const lastLine = text.indexOf('\r\n\r\n') + 2
  const size = lastLine + 2
  if (lastLine === 1 || size >= maxHeaderSize) return undefined
  const [line, method, url, version] = REQUEST_LINE.exec(text) ?? []
  if (line === undefined || method === undefined || url === undefined) return undefined
  const plain = new PlainFields()
  const rawHeaders = readFields(text, line.length, lastLine, ASCII_FIELD_LINES, plain)
  const { length = 0 } = plain
  const received = bytes.length - size
  if (typeof rawHeaders === 'string' || plain.isUnusual || received > length) return undefined
  const minor = version === '0' ? 0 : 1
  // Connections of HTTP/1.0 are kept only where the client says so.
  const isLast = plain.isLast ?? minor === 0
  const message = { method, url, minor, rawHeaders, isLast } as const
  if (received === length && length <= MAX_BODY)
    return new WholeRequest(socket, message, length > 0 ? bytes.subarray(size) : undefined)
  // An answer may come before the end of such a body, and what is still sent then must not make the end of the connection a reset.
  if (isLast) return undefined
  const body = new CountedBody(socket, length)
  body.receive(bytes.subarray(size))
  return new StreamedRequest(socket, message, body)
}

/** Whether any field but Content-Length has to do with framing, or with the connection beyond whether it is kept. */
class PlainFields implements FieldReader {
  length: number | undefined = undefined
  isUnusual = false
  /** Whether the connection ends with the answer; undefined where the client does not say. */
  isLast: boolean | undefined = undefined

  read(name: string, value: string): void {
    // By length first: lower-casing every name would cost more than all the rest.
    if (LENGTHS.has(name.length)) this.#judge(name.toLowerCase(), value)
  }

  #judge(name: string, value: string): void {
    if (name === 'content-length') {
      if (this.length !== undefined || !LENGTH.test(value)) this.isUnusual = true
      this.length = Number(value)
    } else if (name === 'connection') {
      const option = value.toLowerCase()
      if (this.isLast !== undefined || (option !== 'keep-alive' && option !== 'close')) this.isUnusual = true
      this.isLast = option === 'close'
    } else if (UNUSUAL.includes(name)) this.isUnusual = true
  }
}

/** No Set: V8 would look for the one string of all that are equal first (docs/performance.md). */
const UNUSUAL: readonly string[] = [
  'te',
  'expect',
  'trailer',
  'upgrade',
  'keep-alive',
  'http2-settings',
  'proxy-connection',
  'transfer-encoding',
]

const LENGTHS: ReadonlySet<number> = new Set(['content-length', 'connection', ...UNUSUAL].map((name) => name.length))
