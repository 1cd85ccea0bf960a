import { GatewayError } from '../../errors.ts'

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

const MAX_HEADERS = 500

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: ([^\r]*))?$/
/** Lines without controls that end with CR LF: some parsers would see other lines at a lone CR or LF (RFC 9112 2.2). */
const SAFE = /^(?:[^\0-\x08\x0a-\x1f\x7f]*\r\n)*$/
/** What is not safe, where more may follow: a CR at the very end may still get its LF. */
const UNSAFE_SO_FAR = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n|$)|(?<!\r)\n/g
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** @param text with the empty line that ends it. @throws GatewayError GW_UPSTREAM_RESPONSE */
export function readHeadText(text: string): AnswerHead {
  if (!SAFE.test(text)) throw malformed('a head with control characters or bare line ends')
  const lineEnd = text.indexOf('\r\n')
  const status = STATUS_LINE.exec(text.slice(0, lineEnd))
  if (!status) throw malformed('what is no HTTP/1.1 answer')
  const framing = new Framing(status[1] === '1')
  const headers = readFields(text, lineEnd + 2, framing)
  return {
    status: Number(status[2]),
    reason: status[3] ?? '',
    headers,
    keepAlive: framing.keepAlive,
    chunked: framing.chunked,
    length: framing.length,
  }
}

/** Whether lines that may still go on have what no line may have. What is before `from` was found good, but for a CR at its end. */
export function hasUnsafe(text: string, from: number): boolean {
  UNSAFE_SO_FAR.lastIndex = Math.max(0, from - 1)
  return UNSAFE_SO_FAR.test(text)
}

/** The fields from `from` up to the empty line. @throws GatewayError GW_UPSTREAM_RESPONSE */
export function readFields(text: string, from: number, framing?: Framing): string[] {
  const fields: string[] = []
  let at = from
  while (at < text.length - 2) {
    const end = text.indexOf('\r\n', at)
    const colon = text.indexOf(':', at)
    if (colon === -1 || colon > end) throw malformed('a header line without a colon')
    const name = text.slice(at, colon)
    // A blank before the colon, or at the start of a line (obs-fold), is no part of a token either.
    if (!isToken(name)) throw malformed('a header line whose name is no token')
    const value = withoutBlanks(text, colon + 1, end)
    fields.push(name, value)
    if (fields.length > 2 * MAX_HEADERS) throw malformed(`more than ${MAX_HEADERS} header lines`)
    framing?.read(name, value)
    at = end + 2
  }
  return fields
}

/** What the head says of the message's end and of the connection. */
export class Framing {
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
    // By length first: lower-casing every name would cost more than all the rest.
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

  /** A second length, equal or not, and one beside chunked, are what smuggling is made of (RFC 9112 6.3). */
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

const tokens = new Set<string>()
const MAX_TOKENS = 500

/** Names repeat: those that were found good are remembered, up to a bound. */
function isToken(name: string): boolean {
  if (tokens.has(name)) return true
  if (!TOKEN.test(name)) return false
  // A copy: the name is a slice that would keep its whole head in memory, with all that is secret there.
  if (tokens.size < MAX_TOKENS && name.length < 64) tokens.add(Buffer.from(name, 'latin1').toString('latin1'))
  return true
}

function withoutBlanks(text: string, from: number, to: number): string {
  let start = from
  let end = to
  while (start < end && isBlank(text.charCodeAt(start))) start += 1
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1
  return text.slice(start, end)
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}

/** What is no answer, in the words of the log. */
export function malformed(what: string): GatewayError {
  return new GatewayError('GW_UPSTREAM_RESPONSE', `the upstream sent ${what}`)
}
