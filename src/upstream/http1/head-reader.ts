import { GatewayError } from '../../errors.ts'
import { FIELD_LINES, type FieldReader, readFields } from '../../field-lines.ts'

/** The head of an answer. Texts are Latin-1: one character for each byte. */
export interface AnswerHead {
  readonly status: number
  readonly reason: string
  /** Flat name, value list, as received. */
  readonly headers: string[]
  readonly keepAlive: boolean
  readonly chunked: boolean
  readonly length: number | undefined
}

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?$/
/** Unsafe characters in a head that is incomplete: a CR at the very end may still get its LF. */
const UNSAFE_SO_FAR = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n|$)|(?<!\r)\n/g

/** @param text with the empty line that ends it. @throws GatewayError GW_UPSTREAM_RESPONSE */
export function readHeadText(text: string): AnswerHead {
  const lineEnd = text.indexOf('\r\n')
  const line = text.slice(0, lineEnd)
  const status = STATUS_LINE.exec(line)
  if (!status) {
    const isUnsafe = hasUnsafe(line, 0)
    throw malformed(isUnsafe ? 'a head with control characters or bare line ends' : 'what is no HTTP/1.1 answer')
  }
  const framing = new Framing(status[1] === '1')
  const headers = readFields(text, lineEnd + 2, text.length - 2, FIELD_LINES, framing)
  if (typeof headers === 'string') throw malformed(headers)
  return {
    status: Number(status[2]),
    reason: status[3] ?? '',
    headers,
    keepAlive: framing.keepAlive,
    chunked: framing.chunked,
    length: framing.length,
  }
}

/** Whether incomplete lines hold what no line may hold. Everything before `from` was found safe, except for a CR at its end. */
export function hasUnsafe(text: string, from: number): boolean {
  UNSAFE_SO_FAR.lastIndex = Math.max(0, from - 1)
  return UNSAFE_SO_FAR.test(text)
}

/** What the head says about the message's end and the connection. */
export class Framing implements FieldReader {
  keepAlive: boolean
  chunked = false
  length: number | undefined = undefined
  readonly #persistent: boolean
  #close = false

  constructor(persistent: boolean) {
    this.#persistent = persistent
    this.keepAlive = persistent
  }

  read(name: string, value: string): void {
    // By length first: lower-casing every name would cost more than everything else here.
    switch (name.length) {
      case 10:
        if (name.toLowerCase() === 'connection') this.#connection(value.toLowerCase())
        break
      case 14:
        if (name.toLowerCase() === 'content-length') this.#contentLength(value)
        break
      case 17:
        if (name.toLowerCase() === 'transfer-encoding') this.#transferEncoding(value.toLowerCase())
    }
  }

  #connection(value: string): void {
    if (value === 'keep-alive') {
      this.keepAlive = !this.#close
      return
    }
    const options = value.split(',').map((option) => option.trim())
    if (!options.includes('close')) return
    // It wins, wherever it stands (RFC 9112 9.3).
    this.#close = true
    this.keepAlive = false
  }

  /** A second length, equal or not, or one beside chunked, is the basis of smuggling (RFC 9112 6.3). */
  #contentLength(value: string): void {
    if (!/^\d{1,15}$/.test(value)) throw malformed('a Content-Length that is no number')
    if (this.length !== undefined || this.chunked) throw malformed('two statements of the length of its answer')
    this.length = Number(value)
  }

  #transferEncoding(value: string): void {
    if (value !== 'chunked' || !this.#persistent) throw malformed('a Transfer-Encoding other than chunked')
    if (this.length !== undefined || this.chunked) throw malformed('two statements of the length of its answer')
    this.chunked = true
  }
}

/** What is no answer, in the words of the log. */
export function malformed(what: string): GatewayError {
  return new GatewayError('GW_UPSTREAM_RESPONSE', `the upstream sent ${what}`)
}
