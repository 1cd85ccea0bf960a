import { GatewayError } from '../errors.ts'
import { whyClosed } from '../sockets/cut-off.ts'
import type { Call } from '../types.ts'
import type { BodySink, OutgoingBody } from './http1/outgoing-request.ts'
import { Silence } from './http1/silence.ts'
import { SmallPieces } from './small-pieces.ts'

/** The largest body that is copied to leave in one write with the head: two writes cost a third of a small request (docs/performance-log.md). */
const MAX_WHOLE = 16 * 1024

/**
 * The client's body on its way to one upstream. It stands between the two because the sender may give the body up (after an early answer, or on a
 * failed connection), and destroying the request's own stream would cut off the client's answer.
 */
export class RequestBody implements OutgoingBody {
  /** Whether any of the body has been asked for: from then on the request cannot be sent again. */
  started = false
  #sink: BodySink | undefined
  #received = 0
  #paused = false
  readonly #silence = new Silence(() => this.#fail(this.#overdue()))
  readonly #call: Call
  readonly #writeTimeout: number
  readonly #begin: () => void
  readonly #pieces = new SmallPieces({
    write: (bytes) => this.#sink?.data(bytes),
    hold: () => {
      this.#holds = true
      // Pauses the socket and not the stream: the stream would queue what is still read, piece by piece.
      this.#call.request.socket.pause()
    },
    goOn: () => {
      if (!this.#paused) this.#letGo()
    },
  })
  /** Whether the client's connection is paused. */
  #holds = false

  /**
   * @param writeTimeout milliseconds between two reads of the upstream
   * @param begin called when the upstream is ready for the first byte
   */
  constructor(call: Call, writeTimeout: number, begin: () => void) {
    this.#call = call
    this.#writeTimeout = writeTimeout
    this.#begin = begin
  }

  /** The whole body, where it has come already and is small; undefined where it has to flow. */
  takeWhole(): Buffer | undefined {
    const { request, body } = this.#call
    const stream = request.body
    if (body.kind !== 'length' || body.length > MAX_WHOLE || this.started) return undefined
    // In a paused stream nothing has been taken yet: what is in it is the whole body.
    if (!request.complete || stream.readableFlowing !== null || stream.readableLength !== body.length) return undefined
    this.started = true
    const pieces: Buffer[] = []
    // Node 26 returns one piece at a time, Node 24 all of them as one.
    for (let piece = stream.read(); piece !== null; piece = stream.read()) pieces.push(piece)
    return pieces.length === 1 ? pieces[0] : Buffer.concat(pieces)
  }

  flow(sink: BodySink): void {
    const stream = this.#call.request.body
    this.#sink = sink
    this.started = true
    this.#expectClient()
    stream.once('close', this.#closed)
    const taker = { data: this.#data, end: this.#end }
    if (!stream.handTo?.(taker)) stream.on('data', taker.data).once('end', taker.end).resume()
    this.#begin()
  }

  pause(): void {
    if (this.#paused || !this.#sink) return
    this.#paused = true
    this.#call.request.body.pause()
    this.#silence.begin(this.#writeTimeout)
  }

  resume(): void {
    if (!this.#paused || !this.#sink) return
    this.#paused = false
    this.#expectClient()
    this.#call.request.body.resume()
    this.#letGo()
  }

  giveUp(): void {
    this.#silence.end()
    this.#pieces.drop()
    this.#letGo()
    this.#sink = undefined
    const stream = this.#call.request.body
    stream.off('data', this.#data).off('end', this.#end).off('close', this.#closed)
    stream.takeBack?.()
  }

  #letGo(): void {
    if (!this.#holds) return
    this.#holds = false
    this.#call.request.socket.resume()
  }

  #fail(error: GatewayError): void {
    const sink = this.#sink
    this.giveUp()
    sink?.failed(error)
  }

  #expectClient(): void {
    this.#silence.begin(this.#call.limits.bodyTimeout)
  }

  #overdue(): GatewayError {
    const { limit } = this.#silence
    return this.#paused
      ? new GatewayError('GW_UPSTREAM_TIMEOUT', `the upstream took nothing of the body for ${limit} ms`)
      : new GatewayError('GW_REQUEST_TIMEOUT', `the client sent nothing of the body for ${limit} ms`)
  }

  readonly #data = (chunk: Buffer): void => {
    this.#received += chunk.length
    const { maxBodySize } = this.#call.limits
    if (maxBodySize > 0 && this.#received > maxBodySize) {
      this.#pieces.flush()
      this.#fail(new GatewayError('GW_BODY_TOO_LARGE', `the body exceeds client_max_body_size, ${maxBodySize} bytes`))
      return
    }
    // While it is paused, the upstream is waited for.
    if (!this.#paused) this.#silence.break()
    this.#pieces.add(chunk)
  }

  readonly #end = (): void => {
    this.#pieces.flush()
    const sink = this.#sink
    this.giveUp()
    sink?.end()
  }

  readonly #closed = (): void => {
    if (this.#call.request.complete) return
    this.#fail(whyClosed(this.#call.request.socket, 'the client closed the connection within the body'))
  }
}
