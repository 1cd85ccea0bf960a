import { Readable } from 'node:stream'
import { GatewayError } from '../errors.ts'
import type { Call } from '../types.ts'

/** What is worth a copy to leave in one write with the head: two writes cost a third of a small request (docs/performance.md). */
const MAX_WHOLE = 16 * 1024

/**
 * The client's body on its way to one upstream. It stands between the two because whoever consumes a body may destroy it
 * (an early answer, a failed connection), and destroying the request's own stream would cut off the client's answer.
 */
export class RequestBody extends Readable {
  /** Whether any of the body has been asked for: from then on the request cannot be sent again. */
  started = false
  #received = 0
  #timer: NodeJS.Timeout | undefined
  readonly #call: Call
  readonly #writeTimeout: number
  readonly #begin: () => void

  /**
   * @param writeTimeout milliseconds between two reads of the upstream
   * @param begin called when the upstream is ready for the first byte
   */
  constructor(call: Call, writeTimeout: number, begin: () => void) {
    super({ highWaterMark: 64 * 1024 })
    this.#call = call
    this.#writeTimeout = writeTimeout
    this.#begin = begin
  }

  /** The whole body, where it has come already and is small; undefined where it has to be read. */
  takeWhole(): Buffer | undefined {
    const { request, body } = this.#call
    const stream = request.body
    if (body.kind !== 'length' || body.length > MAX_WHOLE || this.started) return undefined
    // In a paused stream nobody has taken anything yet; what lies there is all of it.
    if (!request.complete || stream.readableFlowing !== null || stream.readableLength !== body.length) return undefined
    this.started = true
    const pieces: Buffer[] = []
    // Node 26 hands out one piece at a time, Node 24 all of them as one.
    for (let piece = stream.read(); piece !== null; piece = stream.read()) pieces.push(piece)
    return pieces.length === 1 ? pieces[0] : Buffer.concat(pieces)
  }

  override _read(): void {
    if (!this.started) this.#start()
    this.#expectWithin(this.#call.limits.bodyTimeout, 'GW_REQUEST_TIMEOUT', 'the client sent nothing of the body')
    this.#call.request.body.resume()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#timer)
    this.#call.request.body.off('data', this.#data).off('end', this.#end).off('close', this.#closed)
    done(error)
  }

  #start(): void {
    this.started = true
    this.#call.request.body.on('data', this.#data).once('end', this.#end).once('close', this.#closed)
    this.#begin()
  }

  #expectWithin(milliseconds: number, code: 'GW_REQUEST_TIMEOUT' | 'GW_UPSTREAM_TIMEOUT', what: string): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.destroy(new GatewayError(code, `${what} for ${milliseconds} ms`))
    }, milliseconds)
  }

  readonly #data = (chunk: Buffer): void => {
    this.#received += chunk.length
    const { maxBodySize } = this.#call.limits
    if (maxBodySize > 0 && this.#received > maxBodySize) {
      this.destroy(new GatewayError('GW_BODY_TOO_LARGE', `the body exceeds client_max_body_size, ${maxBodySize} bytes`))
      return
    }
    if (this.push(chunk)) {
      this.#timer?.refresh()
      return
    }
    this.#call.request.body.pause()
    this.#expectWithin(this.#writeTimeout, 'GW_UPSTREAM_TIMEOUT', 'the upstream took nothing of the body')
  }

  readonly #end = (): void => {
    clearTimeout(this.#timer)
    this.push(null)
  }

  readonly #closed = (): void => {
    if (!this.#call.request.complete) {
      this.destroy(new GatewayError('GW_CLIENT_CLOSED', 'the client closed the connection within the body'))
    }
  }
}
