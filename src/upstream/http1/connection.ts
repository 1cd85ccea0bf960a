import type { Socket } from 'node:net'
import { GatewayError } from '../../errors.ts'
import type { Connector } from '../tls-identity.ts'
import { type AnswerEvents, AnswerParser } from './answer-parser.ts'
import type { AnswerHead } from './head-reader.ts'
import { type OutgoingBody, type OutgoingRequest, writeChunk } from './outgoing-request.ts'
import { ReadBuffer } from './read-buffer.ts'
import { Silence } from './silence.ts'
import { writeAfterPoll } from './write-after-poll.ts'

/** Called with what happens to one request; the last call is exactly one of `end`, `failed` and `upgraded`. */
export interface AnswerHandler {
  /** From now on the request may have reached the upstream. */
  sent(): void
  interim(head: AnswerHead): void
  head(head: AnswerHead): void
  /**
   * `chunk` is overwritten by the next read: whoever needs it for longer must borrow it from `buffer`.
   * @param rest how many bytes of the body are known to follow
   */
  data(chunk: Buffer, buffer: ReadBuffer, rest: number): void
  /** Everything read so far was passed on, and the answer is not complete. */
  pending(): void
  end(trailers: string[]): void
  failed(error: Error): void
  /** The connection belongs to the handler now; `rest` followed the head. */
  upgraded(head: AnswerHead, socket: Socket, rest: Buffer): void
}

export interface ConnectionTimeouts {
  /** Milliseconds without a byte while an answer is awaited. */
  readonly readTimeout: number
  readonly idleTimeout: number
}

/** Takes a connection back when it is not needed; each event is reported once. */
export interface ConnectionOwner {
  /** How many answers have begun, on all connections. */
  readonly answers: number
  /** One more has. */
  answered(): void
  /** It cannot be connected to, or answers nobody. */
  unreachable(error: Error): void
  idle(connection: UpstreamConnection): void
  closed(connection: UpstreamConnection): void
  /** The socket of an upgraded connection has closed. */
  released(connection: UpstreamConnection): void
}

/**
 * One connection to an upstream, with one request at a time: pipelined answers could be mixed up.
 *
 * On a connection that was used before, a request is written only after the event loop has looked at all sockets once more. By then, unrequested
 * bytes, which would be taken for its answer, and the end of the connection have been seen.
 */
export class UpstreamConnection implements AnswerEvents {
  /** How many requests it was given. */
  requests = 0
  readonly #connect: Connector
  readonly #timeouts: ConnectionTimeouts
  readonly #owner: ConnectionOwner
  readonly #parser = new AnswerParser(this)
  readonly #buffer = new ReadBuffer()
  #socket: Socket | undefined
  /** The socket that is still connecting. */
  #connecting: Socket | undefined
  /** Since when, as `performance.now()` counts. */
  #connectingSince = 0
  #request: OutgoingRequest | undefined
  #handler: AnswerHandler | undefined
  /** The first error that the socket reported, such as a TLS alert before the end that follows it. */
  #reported: Error | undefined
  /** The body that is being sent. */
  #body: OutgoingBody | undefined
  /** Whether the request under way has been written. */
  #written = false
  /** How many answers the owner had when it was. */
  #answersBefore = 0
  #paused = false
  #closed = false
  #upgraded = false
  readonly #silence = new Silence(() => this.#silent())

  constructor(connect: Connector, timeouts: ConnectionTimeouts, owner: ConnectionOwner) {
    this.#connect = connect
    this.#timeouts = timeouts
    this.#owner = owner
  }

  get closed(): boolean {
    return this.#closed
  }

  send(request: OutgoingRequest, handler: AnswerHandler): void {
    this.requests += 1
    this.#request = request
    this.#handler = handler
    this.#written = false
    if (this.#socket) writeAfterPoll(this)
    else this.#open()
  }

  /** Gives up the request under way, and the connection with it. */
  abort(error: Error): void {
    // Where clients are less patient than the connect timeout, nobody would ever find out about a target that is silent.
    const waited = this.#connecting && !this.#closed ? performance.now() - this.#connectingSince : 0
    if (waited >= TOO_LONG_TO_CONNECT) {
      const seconds = Math.floor(waited / 1000)
      this.#owner.unreachable(new Error(`no connection within ${seconds} s, when the client left`))
    }
    this.#failed(error)
  }

  /** The client cannot take more for now. */
  pause(): void {
    this.#paused = true
    this.#socket?.pause()
  }

  resume(): void {
    this.#paused = false
    this.#silence.break()
    this.#socket?.resume()
  }

  /** Closes a connection that carries no request. */
  close(): void {
    // Clients that leave at once must not make us wait for an upstream that does not answer: their number would be unbounded.
    ;(this.#socket ?? this.#connecting)?.destroy()
    this.#shut()
  }

  /** Writes the waiting request; the connection is known to be silent and open. */
  write(): void {
    const socket = this.#socket
    const request = this.#request
    if (!request || !socket || this.#closed) return
    this.#written = true
    this.#answersBefore = this.#owner.answers
    const { method, head, body, upgrade } = request
    this.#parser.expect(method, upgrade)
    this.#silence.begin(this.#timeouts.readTimeout)
    this.#handler?.sent()
    if (this.#closed) return
    const whole = Buffer.isBuffer(body) ? body : body?.takeWhole?.()
    // Latin-1 maps each byte to one character and back.
    socket.write(whole ? `${head}\r\n${whole.toString('latin1')}` : `${head}\r\n`, 'latin1')
    if (body && !Buffer.isBuffer(body) && !whole) this.#sendBody(socket, body, request.chunked)
  }

  /** AnswerEvents */
  interim(head: AnswerHead): void {
    this.#handler?.interim(head)
  }

  /** AnswerEvents */
  head(head: AnswerHead): void {
    this.#owner.answered()
    this.#handler?.head(head)
  }

  /** AnswerEvents */
  data(chunk: Buffer, rest: number): void {
    this.#handler?.data(chunk, this.#buffer, rest)
  }

  /** AnswerEvents */
  end(trailers: string[]): void {
    const handler = this.#handler
    this.#handler = undefined
    this.#request = undefined
    if (this.#body) {
      // The answer came before the end of the request, so it is unknown where a next request would begin.
      this.#giveUpBody()
      this.#parser.reusable = false
    }
    if (!this.#parser.reusable || this.#closed) this.close()
    try {
      handler?.end(trailers)
    } catch (error) {
      this.close()
      handler?.failed(error as Error)
    }
    if (this.#closed) return
    this.#silence.begin(idleTime(this.#timeouts.idleTimeout, this.#parser.keptFor))
    if (this.#paused) this.resume()
    this.#owner.idle(this)
  }

  /** AnswerEvents */
  upgraded(head: AnswerHead, rest: Buffer): void {
    const handler = this.#handler
    const socket = this.#socket as Socket
    this.#owner.answered()
    this.#handler = undefined
    this.#request = undefined
    this.#closed = true
    this.#upgraded = true
    socket.off('end', this.#onEnd).off('error', this.#onError).off('close', this.#onClose).off('drain', this.#onDrain)
    this.#silence.end()
    socket.once('close', () => this.#owner.released(this))
    handler?.upgraded(head, socket, Buffer.from(rest))
  }

  #open(): void {
    const done = (error: Error | null, socket: Socket | null) => {
      if (socket) return this.#connected(socket)
      // An attempt that was given up meanwhile has been judged by then.
      if (!this.#closed) this.#owner.unreachable(error as Error)
      this.#failed(error as Error)
    }
    this.#connectingSince = performance.now()
    this.#connecting = this.#connect(done, { buffer: this.#buffer.next, callback: this.#onRead })
  }

  #connected(socket: Socket): void {
    if (this.#closed) {
      socket.on('error', ignore).destroy()
      return
    }
    this.#socket = socket
    this.#connecting = undefined
    socket.on('end', this.#onEnd).on('error', this.#onError).on('close', this.#onClose)
    socket.on('drain', this.#onDrain)
    this.write()
  }

  #sendBody(socket: Socket, body: OutgoingBody, chunked: boolean): void {
    this.#body = body
    body.flow({
      data: (chunk) => {
        const more = chunked ? writeChunk(socket, chunk) : socket.write(chunk)
        if (!more && socket.writableLength >= MAX_UNSENT) body.pause()
      },
      end: () => {
        if (chunked) socket.write('0\r\n\r\n', 'latin1')
        this.#body = undefined
        this.#silence.break()
      },
      failed: (error) => this.#failed(error),
    })
  }

  #silent(): void {
    // The idle time ran out while a request waits to be written; the request came in time.
    if (this.#handler && !this.#written) return
    const { limit } = this.#silence
    // While the client is waited for, to read or to send, its own timeouts apply.
    if (this.#handler && (this.#paused || this.#body)) this.#silence.begin(limit)
    else this.#timedOut(new GatewayError('GW_UPSTREAM_TIMEOUT', `the upstream sent nothing for ${limit} ms`))
  }

  #timedOut(error: GatewayError): void {
    // Where others were answered meanwhile, it is this request that takes so long.
    if (this.#handler && this.#owner.answers === this.#answersBefore) this.#owner.unreachable(error)
    this.#failed(error)
  }

  /** @returns whether to go on reading, for node:net */
  readonly #onRead = (length: number, buffer: Uint8Array): boolean => {
    const bytes = buffer as Buffer
    // The socket belongs to somebody else now, who expects a stream.
    if (this.#upgraded) return this.#socket?.push(Buffer.from(bytes.subarray(0, length))) ?? false
    this.#receive(bytes, length)
    return !this.#paused
  }

  #receive(bytes: Buffer, length: number): void {
    try {
      this.#parser.execute(bytes, length)
      if (!this.#handler) return
      this.#silence.break()
      this.#handler.pending()
    } catch (error) {
      this.#failed(error as Error)
    }
  }

  readonly #onEnd = (): void => {
    try {
      this.#parser.finish()
    } catch (error) {
      this.#failed(this.#reported ?? (error as Error))
    }
    this.close()
  }

  readonly #onError = (error: Error): void => {
    this.#reported ??= error
  }

  readonly #onClose = (): void => {
    this.#failed(
      this.#reported ?? new GatewayError('GW_UPSTREAM_RESET', 'the upstream closed the connection before its answer'),
    )
  }

  readonly #onDrain = (): void => {
    this.#silence.break()
    this.#body?.resume()
  }

  #failed(error: Error): void {
    const handler = this.#handler
    this.#handler = undefined
    this.#request = undefined
    this.close()
    this.#giveUpBody()
    handler?.failed(error)
  }

  #giveUpBody(): void {
    this.#body?.giveUp()
    this.#body = undefined
  }

  #shut(): void {
    if (this.#closed) return
    this.#closed = true
    this.#silence.end()
    this.#owner.closed(this)
  }
}

/** After so many milliseconds TCP has asked three times (RFC 6298 2.1, 5.5): it is the upstream, not an impatient client. */
const TOO_LONG_TO_CONNECT = 3_000

/** How many bytes of a body may wait for the upstream before the client is paused. */
const MAX_UNSENT = 256 * 1024

/** How long before its end, as the upstream has announced it, an idle connection is given up, in milliseconds. */
const MARGIN = 1_000

/**
 * A request that meets the upstream's end of the connection on its way fails, and is lost where it must not be sent twice. So we are the first to
 * close. @param limit 0 for none
 */
function idleTime(limit: number, keptFor: number): number {
  return Math.min(limit || Number.POSITIVE_INFINITY, Math.max(keptFor - MARGIN, keptFor / 2))
}

function ignore(): void {}
