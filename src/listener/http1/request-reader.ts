import type { Socket } from 'node:net'
import { ASCII_FIELD_LINES, type FieldReader, readFields } from '../../http-fields/field-lines.ts'
import { isNamed } from '../../http-fields/field-names.ts'
import { CountedBody, StreamedRequest } from './streamed-request.ts'
import { WholeRequest } from './whole-request.ts'

/** Larger bodies are streamed. */
const MAX_BODY = 16 * 1024

/** A path and a query in visible ASCII. A fragment, which clients need not send, is left to node:http. */
const REQUEST_LINE = /^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (\/[!"$-~]*) HTTP\/1\.([01])\r\n/
/** Exactly one spelling for each number, so that every parser reads the same number. */
const LENGTH = /^(?:0|[1-9]\d{0,14})$/

/**
 * The request at the start of `bytes`, if its head is there as a whole, nothing follows its body, and it is so plain that everybody reads it alike.
 * Everything else is left to node:http: this must accept only what node:http accepts, as the same request (test/fuzz/request-reader.test.ts).
 * @param maxHeaderSize bytes; the head must be smaller
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
  // HTTP/1.0 keeps a connection only where the client says so.
  const isLast = plain.isLast ?? minor === 0
  const message = { method, url, minor, rawHeaders, isLast } as const
  if (received === length && length <= MAX_BODY)
    return new WholeRequest(socket, message, length > 0 ? bytes.subarray(size) : undefined)
  // Such a body may be answered before its end, and what is still sent must not reset the connection.
  if (isLast) return undefined
  const body = new CountedBody(socket, length)
  body.receive(bytes.subarray(size))
  return new StreamedRequest(socket, message, body)
}

/** Checks whether any field other than Content-Length concerns framing, or the connection beyond whether it is kept. */
class PlainFields implements FieldReader {
  length: number | undefined = undefined
  isUnusual = false
  /** Whether the connection ends with the answer; undefined where the client does not say. */
  isLast: boolean | undefined = undefined

  read(name: string, value: string): void {
    if (isNamed(name, 'content-length')) {
      if (this.length !== undefined || !LENGTH.test(value)) this.isUnusual = true
      this.length = Number(value)
    } else if (isNamed(name, 'connection')) {
      const option = value.toLowerCase()
      if (this.isLast !== undefined || (option !== 'keep-alive' && option !== 'close')) this.isUnusual = true
      this.isLast = option === 'close'
    } else if (UNUSUAL[name.length]?.some((unusual) => isNamed(name, unusual))) this.isUnusual = true
  }
}

/** By their lengths. Not a Set: before a look-up V8 would intern the string (docs/performance-log.md). */
const UNUSUAL: string[][] = []
for (const name of [
  'te',
  'expect',
  'trailer',
  'upgrade',
  'keep-alive',
  'http2-settings',
  'proxy-connection',
  'transfer-encoding',
]) {
  const ofThisLength = UNUSUAL[name.length] ?? []
  UNUSUAL[name.length] = [...ofThisLength, name]
}
