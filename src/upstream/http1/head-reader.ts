import { GatewayError } from '../../errors.ts'
import { FIELD_LINES, type FieldReader, readFields } from '../../http-fields/field-lines.ts'
import { isNamed } from '../../http-fields/field-names.ts'
import type { ReceivedFields } from '../../types.ts'

/** The head of an answer. Texts are Latin-1: one character for each byte. */
export interface AnswerHead extends ReceivedFields {
  readonly status: number
  readonly reason: string
  readonly headers: string[]
  readonly keepAlive: boolean
  /** Milliseconds for which the upstream says that it keeps an idle connection (RFC 2068 19.7.1.1); infinite where it does not say. */
  readonly keptFor: number
  readonly chunked: boolean
  readonly length: number | undefined
}

const REASON = /^[\t\x20-\x7e\x80-\xff]*$/
/** Unsafe characters in a head that is incomplete: a CR at the very end may still get its LF. */
const UNSAFE_SO_FAR = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n|$)|(?<!\r)\n/g

/** @param text with the empty line that ends it. @throws GatewayError GW_UPSTREAM_RESPONSE */
export function readHeadText(text: string): AnswerHead {
  const lineEnd = text.indexOf('\r\n')
  const status = readStatus(text, lineEnd)
  const reason = text.slice(STATUS_END + 1, lineEnd)
  if (status === undefined || (reason !== 'OK' && !REASON.test(reason))) {
    const isUnsafe = hasUnsafe(text.slice(0, lineEnd), 0)
    throw malformed(isUnsafe ? 'a head with control characters or bare line ends' : 'what is no HTTP/1.1 answer')
  }
  const framing = new Framing(text.charCodeAt(VERSION) === ONE)
  const headers = readFields(text, lineEnd + 2, text.length - 2, FIELD_LINES, framing)
  if (typeof headers === 'string') throw malformed(headers)
  const { keepAlive, keptFor, chunked, length, lineEnds } = framing
  return { status, reason, headers, text, linesStart: lineEnd + 2, lineEnds, keepAlive, keptFor, chunked, length }
}

/** Where the parts of `HTTP/1.1 200 OK` stand. */
const VERSION = 7
const STATUS_START = 9
const STATUS_END = 12
const [ZERO, ONE, NINE, BLANK] = [0x30, 0x31, 0x39, 0x20]

/** The status, from 100 to 999; undefined where the line does not begin as RFC 9112 4 has it. */
function readStatus(text: string, lineEnd: number): number | undefined {
  if (!text.startsWith('HTTP/1.') || text.charCodeAt(STATUS_START - 1) !== BLANK) return undefined
  const version = text.charCodeAt(VERSION)
  if (version !== ONE && version !== ZERO) return undefined
  if (lineEnd !== STATUS_END && text.charCodeAt(STATUS_END) !== BLANK) return undefined
  const status = decimal(text.slice(STATUS_START, STATUS_END))
  return status === undefined || status < 100 ? undefined : status
}

/** Whether incomplete lines hold what no line may hold. Everything before `from` was found safe, except for a CR at its end. */
export function hasUnsafe(text: string, from: number): boolean {
  UNSAFE_SO_FAR.lastIndex = Math.max(0, from - 1)
  return UNSAFE_SO_FAR.test(text)
}

/** What the head says about the message's end and the connection. */
export class Framing implements FieldReader {
  keepAlive: boolean
  keptFor = Number.POSITIVE_INFINITY
  chunked = false
  length: number | undefined = undefined
  readonly lineEnds: number[] = []
  readonly #persistent: boolean
  #close = false

  constructor(persistent: boolean) {
    this.#persistent = persistent
    this.keepAlive = persistent
  }

  read(name: string, value: string, end: number): void {
    this.lineEnds.push(end)
    switch (name.length) {
      case 10:
        if (isNamed(name, 'connection')) this.#connection(value)
        else if (isNamed(name, 'keep-alive')) this.#keepAlive(value)
        break
      case 14:
        if (isNamed(name, 'content-length')) this.#contentLength(value)
        break
      case 17:
        if (isNamed(name, 'transfer-encoding')) this.#transferEncoding(value.toLowerCase())
    }
  }

  #connection(value: string): void {
    if (isNamed(value, 'keep-alive')) {
      this.keepAlive = !this.#close
      return
    }
    const options = value
      .toLowerCase()
      .split(',')
      .map((option) => option.trim())
    if (!options.includes('close')) return
    // It wins, wherever it stands (RFC 9112 9.3).
    this.#close = true
    this.keepAlive = false
  }

  #keepAlive(value: string): void {
    const seconds = Number(/(?:^|[,\t ])timeout=([1-9]\d{0,5})(?:$|[,\t ])/i.exec(value)?.[1])
    if (seconds > 0) this.keptFor = 1000 * seconds
  }

  /** A second length, equal or not, or one beside chunked, is the basis of smuggling (RFC 9112 6.3). */
  #contentLength(value: string): void {
    const length = decimal(value)
    if (length === undefined) throw malformed('a Content-Length that is no number')
    if (this.length !== undefined || this.chunked) throw malformed('two statements of the length of its answer')
    this.length = length
  }

  #transferEncoding(value: string): void {
    if (value !== 'chunked' || !this.#persistent) throw malformed('a Transfer-Encoding other than chunked')
    if (this.length !== undefined || this.chunked) throw malformed('two statements of the length of its answer')
    this.chunked = true
  }
}

/** Of at most 15 digits; undefined for anything else. Number() would call into C++ for each. */
function decimal(text: string): number | undefined {
  if (text.length === 0 || text.length > 15) return undefined
  let number = 0
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i)
    if (!(digit >= ZERO && digit <= NINE)) return undefined
    number = 10 * number + digit - ZERO
  }
  return number
}

/** What is no answer, in the words of the log. */
export function malformed(what: string): GatewayError {
  return new GatewayError('GW_UPSTREAM_RESPONSE', `the upstream sent ${what}`)
}
