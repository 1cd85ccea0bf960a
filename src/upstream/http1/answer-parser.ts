import { GatewayError } from '../../errors.ts'
import { type ChunkEvents, ChunkReader } from './chunk-reader.ts'
import { type AnswerHead, hasUnsafe, malformed, readHeadText } from './head-reader.ts'

/** The largest head of an answer, in bytes; the same bounds trailers. */
export const MAX_HEAD = 64 * 1024
/** How much is searched first for the end of a head: a body that came with it must not be turned into text too. */
const HEAD_STEP = 4 * 1024
/** Interim answers before one final one. */
const MAX_INTERIM = 32

export interface AnswerEvents {
  interim(head: AnswerHead): void
  head(head: AnswerHead): void
  /** @param rest how many bytes of the body are known to follow */
  data(chunk: Buffer, rest: number): void
  end(trailers: string[]): void
  /** The upstream has agreed to an upgrade: from here on the bytes are no HTTP. `rest` came with the head. */
  upgraded(head: AnswerHead, rest: Buffer): void
}

type State = 'head' | 'length' | 'chunked' | 'close' | 'done' | 'upgraded'

/**
 * Reads the answers on one connection to an upstream (RFC 9112), one at a time. It is at least as strict as llhttp: whatever could be framed in two
 * ways is an error, since one client's answer must never become another's. It exists because a parser that produces the head as text and the body as
 * slices costs a third of undici's (docs/performance-log.md). A fuzz test compares it with Node's own parser.
 */
export class AnswerParser implements ChunkEvents {
  /** Whether the connection may carry another request once the answer is complete. */
  reusable = true
  /** Milliseconds for which the upstream keeps the connection after the last answer. */
  keptFor = Number.POSITIVE_INFINITY
  readonly #events: AnswerEvents
  #state: State = 'done'
  #withoutBody = false
  #upgradable = false
  #interims = 0
  /** The beginning of a head that is incomplete so far. */
  #partial = ''
  #remaining = 0
  #chunks: ChunkReader | undefined
  #trailers: string[] = []

  constructor(events: AnswerEvents) {
    this.#events = events
  }

  /** Whether no answer is expected or incomplete. */
  get done(): boolean {
    return this.#state === 'done'
  }

  /** An answer to a request with this method comes next. */
  expect(method: string, upgrade: boolean): void {
    this.#state = 'head'
    this.#withoutBody = method === 'HEAD'
    this.#upgradable = upgrade
    this.#interims = 0
  }

  /**
   * @param end where the bytes that were read end: most answers need no slice of their buffer
   * @throws GatewayError GW_UPSTREAM_RESPONSE for what is no answer; nothing more may be read then
   */
  execute(bytes: Buffer, end = bytes.length): void {
    let at = 0
    let complete = this.done
    while (at < end && !complete) {
      at = this.#read(bytes, at, end)
      complete = this.done
    }
    if (!complete) return
    // Unrequested bytes must not become the next answer (response-queue poisoning), not even where the next request is sent as soon as this answer is
    // complete. So that is reported last.
    const surplus = at < end
    if (surplus) this.reusable = false
    if (at > 0) this.#finished()
    if (surplus) throw malformed('bytes after the end of the answer')
  }

  /** The connection has ended. @throws GatewayError where the answer is not complete */
  finish(): void {
    if (this.#state === 'done' || this.#state === 'upgraded') return
    if (this.#state !== 'close') {
      const isMute = this.#state === 'head' && this.#partial === '' && this.#interims === 0
      throw new GatewayError(
        'GW_UPSTREAM_RESET',
        isMute ? NO_ANSWER : 'the upstream closed the connection before its answer was complete',
      )
    }
    this.#finished()
  }

  /** ChunkEvents */
  data(chunk: Buffer): void {
    this.#events.data(chunk, 0)
  }

  /** ChunkEvents */
  end(trailers: string[]): void {
    this.#trailers = trailers
    this.#state = 'done'
  }

  #read(bytes: Buffer, at: number, end: number): number {
    switch (this.#state) {
      case 'head':
        return this.#readHead(bytes, at, end)
      case 'length':
        return this.#readCounted(bytes, at, end)
      case 'chunked':
        return (this.#chunks as ChunkReader).execute(bytes.subarray(0, end), at)
      case 'close':
        this.#events.data(bytes.subarray(at, end), 0)
    }
    return end
  }

  #readHead(bytes: Buffer, from: number, readTo: number): number {
    const before = this.#partial.length
    const to = Math.min(readTo, from + HEAD_STEP, from + MAX_HEAD - before)
    const text = this.#partial + bytes.toString('latin1', from, to)
    // The end may be split between two reads.
    const end = text.indexOf('\r\n\r\n', Math.max(0, before - 3))
    if (end === -1) {
      if (text.length >= MAX_HEAD) throw malformed(`a head of more than ${MAX_HEAD} bytes`)
      refuseEarly(text, before)
      this.#partial = text
      return to
    }
    this.#partial = ''
    const next = from + end + 4 - before
    const head = readHeadText(end + 4 === text.length ? text : text.slice(0, end + 4))
    this.#begin(head)
    if (this.#state !== 'upgraded') return next
    this.#events.upgraded(head, bytes.subarray(next, readTo))
    return readTo
  }

  #begin(head: AnswerHead): void {
    const { status } = head
    if (status === 101) {
      if (!this.#upgradable) throw malformed('101 to a request that asked for no upgrade')
      if (!agreesToUpgrade(head.headers)) throw malformed('101 without Upgrade and Connection: upgrade')
      this.#state = 'upgraded'
      this.reusable = false
      return
    }
    if (status < 200) {
      this.#interims += 1
      if (this.#interims > MAX_INTERIM) throw malformed(`more than ${MAX_INTERIM} interim answers`)
      // For llhttp the connection ends with this answer, and the final answer would belong to nobody.
      if (!head.keepAlive) throw malformed('an interim answer that closes the connection')
      this.#events.interim(head)
      return
    }
    this.reusable &&= head.keepAlive
    this.keptFor = head.keptFor
    this.#state = this.#framing(head)
    this.#events.head(head)
  }

  /** RFC 9112 6.3. */
  #framing({ status, chunked, length }: AnswerHead): State {
    if (this.#withoutBody || status === 204 || status === 304) return 'done'
    if (chunked) {
      this.#chunks = new ChunkReader(this, MAX_HEAD)
      return 'chunked'
    }
    if (length !== undefined) {
      this.#remaining = length
      return length === 0 ? 'done' : 'length'
    }
    this.reusable = false
    return 'close'
  }

  #readCounted(bytes: Buffer, from: number, end: number): number {
    const to = Math.min(end, from + this.#remaining)
    this.#remaining -= to - from
    this.#events.data(bytes.subarray(from, to), this.#remaining)
    if (this.#remaining === 0) this.#state = 'done'
    return to
  }

  #finished(): void {
    const trailers = this.#trailers
    this.#state = 'done'
    this.#chunks = undefined
    this.#trailers = []
    this.#events.end(trailers)
  }
}

/** What OpenSSL's servers do to plain HTTP; those of Java send an alert. */
export const NO_ANSWER = 'the upstream closed the connection without an answer'
const TLS_ALERT = '\x15'

/** Bytes that can no longer become an answer are refused at once: the sender may be waiting for us, and a timeout would explain nothing. */
function refuseEarly(text: string, before: number): void {
  if (text.startsWith(TLS_ALERT)) throw malformed('an alert of TLS: write https:// in its url')
  if (!text.startsWith('HTTP/1.'.slice(0, text.length))) throw malformed('what is no HTTP/1.1 answer')
  if (hasUnsafe(text, before)) throw malformed('a head with control characters or bare line ends')
}

/** RFC 9110 7.8: both fields are needed. */
function agreesToUpgrade(headers: string[]): boolean {
  let named = false
  let agreed = false
  for (let i = 0; i < headers.length; i += 2) {
    const name = (headers[i] as string).toLowerCase()
    if (name === 'upgrade') named = true
    else if (name === 'connection') agreed ||= /(?:^|,)[ \t]*upgrade[ \t]*(?:,|$)/i.test(headers[i + 1] as string)
  }
  return named && agreed
}
