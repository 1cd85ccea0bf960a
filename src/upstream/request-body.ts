import { Readable } from 'node:stream'
import { GatewayError } from '../errors.ts'
import type { Call } from '../types.ts'

/**
 * The client's body on its way to one upstream. It stands between the two because whoever consumes a body may destroy it
 * (an early answer, a failed connection), and destroying the IncomingMessage itself would cut off the client's answer.
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

  override _read(): void {
    if (!this.started) this.#start()
    this.#expectWithin(this.#call.limits.bodyTimeout, 'GW_REQUEST_TIMEOUT', 'the client sent nothing of the body')
    this.#call.request.resume()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#timer)
    this.#call.request.off('data', this.#data).off('end', this.#end).off('close', this.#closed)
    done(error)
  }

  #start(): void {
    this.started = true
    this.#call.request.on('data', this.#data).once('end', this.#end).once('close', this.#closed)
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
    this.#call.request.pause()
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
