import type { Socket } from 'node:net'
import type { GatewayError } from '../errors.ts'
import type { HttpResponse } from '../http-messages.ts'
import { whyClosed } from '../sockets/cut-off.ts'
import type { AnswerHeaders, Call } from '../types.ts'
import {
  demandedUpgrade,
  headersFor,
  linesOf,
  mayHaveLength,
  reasonPhrase,
  UPGRADE_REQUIRED,
  wholeHeadText,
} from './answer-head.ts'
import type { AnswerHandler, UpstreamConnection } from './http1/connection.ts'
import type { AnswerHead } from './http1/head-reader.ts'
import type { ReadBuffer } from './http1/read-buffer.ts'
import { watchUnread } from './unread.ts'

/** The largest answer that is copied with its head into one string, so that both leave in one write. */
const ONE_WRITE_LIMIT = 16 * 1024

/** How many bytes may wait for the client before the upstream is paused: stopping and starting a TLS socket costs as much as reading from it. */
const MAX_UNSENT = 256 * 1024

/** Smaller pieces of one read leave in one write: each write that waits for the client costs some hundred bytes, however small it is. */
const SMALL = 1024

export interface FailedExchange {
  readonly error: Error
  /** Whether the request may have reached the upstream. */
  readonly sent: boolean
  /** Whether the client has seen any of the answer. */
  readonly answered: boolean
}

/** `error` is undefined where the whole answer was passed on. */
export type ExchangeOutcome = Omit<FailedExchange, 'error'> & { readonly error: Error | undefined }

/**
 * One request on one connection to an upstream. It streams the answer into the client's response as it arrives, with back-pressure. It never answers
 * an error itself; `finished` gets the outcome.
 */
export class Exchange implements AnswerHandler {
  /** Set as soon as there is one, so that it can be paused and given up. */
  connection: UpstreamConnection | undefined
  readonly #response: HttpResponse
  readonly #call: Call
  readonly #answerHeaders: AnswerHeaders
  readonly #finished: (outcome: ExchangeOutcome) => void
  readonly #startedAt = performance.now()
  /** The answer's head, until it has been passed on. */
  #head: AnswerHead | undefined
  #sent = false
  /** Whether the client has yet to take what it was given. */
  #stalled = false
  #answered = false
  #over = false
  /** The buffer that holds parts of the body which are to leave together. */
  #gathered: ReadBuffer | undefined
  #flushing: NodeJS.Immediate | undefined
  #clientLeft = false
  /** Small pieces of the read under way; they are slices of its buffer. */
  #pieces: Buffer[] | undefined

  constructor(
    call: Call,
    response: HttpResponse,
    answerHeaders: AnswerHeaders,
    finished: (outcome: ExchangeOutcome) => void,
  ) {
    this.#call = call
    this.#response = response
    this.#answerHeaders = answerHeaders
    this.#finished = finished
    response.on('close', this.#closed)
  }

  sent(): void {
    // The rest of the request was refused meanwhile, and the client's connection ends: nothing more is started.
    if (!this.#call.request.socket.writable) this.connection?.abort(this.#clientError())
    else this.#sent = true
  }

  head(head: AnswerHead): void {
    this.#call.record.upstreamStatus = head.status
    this.#call.record.upstreamTime = performance.now() - this.#startedAt
    // The client has ended its side: what is written now is dropped.
    if (!this.#call.request.socket.writable) {
      this.connection?.abort(this.#clientError())
      return
    }
    this.#head = head
    // The body often arrives with the head, and then leaves in one write with it; otherwise see `pending`.
  }

  data(chunk: Buffer, buffer: ReadBuffer, rest: number): void {
    const head = this.#head
    if (head && head.length === chunk.length && chunk.length <= ONE_WRITE_LIMIT) {
      this.#sendWhole(head, chunk, buffer)
      return
    }
    if ((head || this.#gathered) && buffer.gather(chunk, rest)) {
      this.#gathered = buffer
      this.#flushing ??= setImmediate(() => this.#flush())
      return
    }
    if (head) this.#writeHead()
    if (chunk.length < SMALL) {
      this.#pieces ??= []
      this.#pieces.push(chunk)
      return
    }
    this.#writePieces()
    buffer.lend(chunk, (bytes, done) => this.#write(bytes, done))
    this.#holdBack()
  }

  #writePieces(): void {
    const pieces = this.#pieces
    if (!pieces) return
    this.#pieces = undefined
    this.#write(Buffer.concat(pieces))
    this.#holdBack()
  }

  /** Pauses the upstream where the client reads too slowly. */
  #holdBack(): void {
    if (this.#stalled || this.#response.writableLength < MAX_UNSENT) return
    this.#stalled = true
    this.connection?.pause()
    watchUnread(this.#call.request.socket, this.#call.limits.sendTimeout)
    const resume = () => {
      this.#stalled = false
      this.#response.off('drain', resume).off('close', resume)
      if (!this.#over) this.connection?.resume()
    }
    this.#response.on('drain', resume).on('close', resume)
  }

  end(trailers: string[]): void {
    this.#writePieces()
    if (this.#gathered) this.#sendGathered(this.#gathered)
    else if (this.#head && !(trailers.length === 0 && this.#sendEmpty(this.#head))) this.#writeHead()
    if (!this.#response.writableEnded) {
      if (trailers.length > 0 && this.#response.chunkedEncoding) {
        this.#response.addTrailers(pairs(this.#answerHeaders.trailers(trailers)))
      }
      this.#response.end()
    }
    this.#finish(undefined)
  }

  failed(error: Error): void {
    this.#head = undefined
    // These pieces came before the fault, in the same read.
    this.#writePieces()
    this.#finish(this.#clientLeft ? this.#clientError() : error)
  }

  /** Never asked for. */
  upgraded(_head: AnswerHead, socket: Socket): void {
    socket.destroy()
  }

  /** Interim answers (RFC 9110 15.2) are passed on; 100 has been answered by the gateway. */
  interim({ status, headers: received }: AnswerHead): void {
    const { socket, req } = this.#response
    if (status === 100 || req.httpVersion === '1.0') return
    // They are only hints, and writeInformation has no back-pressure: a client that does not read gets none.
    if (!socket || socket.writableNeedDrain) return
    this.#response.writeInformation(status, this.#answerHeaders.trailers(received))
  }

  /** The client must not wait for the head because the body takes its time (server-sent events). */
  pending(): void {
    this.#writePieces()
    if (!this.#head || this.#gathered) return
    this.#writeHead()
    // Not by flushHeaders: node:http would write the head in UTF-8 then, though its characters are bytes.
    this.#response.write(NOTHING)
  }

  #sendWhole(head: AnswerHead, body: Buffer, buffer: ReadBuffer): void {
    const response = this.#response
    const { status } = head
    const text = response.takesWhole ? this.#wholeHeadText(head) : undefined
    if (text === undefined) {
      this.#writeHead()
      response.end(body.toString('latin1'), 'latin1')
      return
    }
    this.#head = undefined
    this.#answered = true
    if (buffer.lendBehind(text, body, (bytes, done) => response.sendWhole(status, bytes, done))) return
    // Latin-1 maps each byte to one character and back, so this is the body itself in the string of the head.
    response.sendWhole(status, text + body.toString('latin1'))
  }

  /** The answer is complete: where nothing has been sent yet, all of it leaves in one write. */
  #sendGathered(buffer: ReadBuffer): void {
    const response = this.#response
    if (this.#head && response.takesWhole) {
      const { status } = this.#head
      const text = this.#wholeHeadText(this.#head)
      if (text && buffer.takeGatheredBehind(text, (bytes, done) => response.sendWhole(status, bytes, done))) {
        this.#head = undefined
        this.#answered = true
        return
      }
    }
    this.#flush()
  }

  /** What arrived in this turn of the event loop leaves in one write, without waiting for the rest. */
  #flush(): void {
    this.#flushing = undefined
    if (!this.#gathered?.hasGathered) return
    this.#writeHead()
    this.#gathered.takeGathered((bytes, done) => this.#write(bytes, done))
  }

  /** @returns false where it has to be framed, or the connection ends */
  #sendEmpty(head: AnswerHead): boolean {
    const response = this.#response
    if (!response.takesWhole) return false
    const { status } = head
    const { method, httpVersion } = response.req
    // An HTTP/1.0 client learns the end of an answer without a length from the end of the connection.
    const isBodiless = (status === 204 || status === 304 || method === 'HEAD') && httpVersion !== '1.0'
    const text = this.#wholeHeadText(head, isBodiless)
    if (text === undefined) return false
    this.#head = undefined
    this.#answered = true
    response.sendWhole(status, text)
    return true
  }

  #writeHead(): void {
    const head = this.#head
    if (!head) return
    this.#head = undefined
    this.#answered = true
    const { status, reason } = head
    this.#response.writeHead(status, reasonPhrase(status, reason), this.#headers(head))
  }

  #wholeHeadText(head: AnswerHead, isBodiless = false): string | undefined {
    const { status, reason } = head
    const asTheyCame = mayHaveLength(status) && status !== UPGRADE_REQUIRED
    const lines = asTheyCame ? this.#answerHeaders.lines(head, this.#call.id) : undefined
    return wholeHeadText(status, reason, lines ?? linesOf(this.#headers(head)), this.#response.persistence, isBodiless)
  }

  #headers(head: AnswerHead): string[] {
    const { shouldKeepAlive, req } = this.#response
    const headers = headersFor(head.status, this.#answerHeaders.forward(head.headers, this.#call.id))
    // To HTTP/1.0 it means nothing, and whether such a connection is kept may be decided only later.
    if (head.status !== UPGRADE_REQUIRED || req.httpVersion === '1.0') return headers
    return [...demandedUpgrade(head, shouldKeepAlive ? 'keep-alive' : 'close'), ...headers]
  }

  readonly #closed = (): void => {
    if (this.#response.writableFinished || this.#over) return
    this.#clientLeft = true
    this.connection?.abort(this.#clientError())
  }

  #clientError(): GatewayError {
    return whyClosed(this.#call.request.socket, 'the client closed the connection before the answer was complete')
  }

  #write(bytes: Buffer, done?: () => void): void {
    this.#response.write(bytes, done)
  }

  #finish(error: Error | undefined): void {
    if (this.#over) return
    this.#over = true
    // The next bytes in it may belong to another client.
    this.#gathered = undefined
    this.#response.off('close', this.#closed)
    this.#finished({ error, sent: this.#sent, answered: this.#answered })
  }
}

const NOTHING = Buffer.alloc(0)

function pairs(flat: readonly string[]): [string, string][] {
  return Array.from({ length: flat.length >> 1 }, (_, i) => [flat[2 * i] as string, flat[2 * i + 1] as string])
}
