import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import type { HttpRequest } from '../../http-messages.ts'
import { type PlainHead, PlainRequest } from './plain-request.ts'

/** A body of a known length as it comes on its connection. It takes no byte beyond that. */
export class CountedBody extends Readable {
  readonly #socket: Socket
  #remaining: number

  constructor(socket: Socket, length: number) {
    super({ highWaterMark: 64 * 1024 })
    this.#socket = socket
    this.#remaining = length
  }

  get complete(): boolean {
    return this.#remaining === 0
  }

  /** @returns how many of `bytes` are its own */
  receive(bytes: Buffer): number {
    const own = bytes.length > this.#remaining ? bytes.subarray(0, this.#remaining) : bytes
    this.#remaining -= own.length
    const takesMore = this.push(own)
    if (this.complete) this.push(null)
    else if (!takesMore) this.#socket.pause()
    return own.length
  }

  override _read(): void {
    this.#socket.resume()
  }
}

/** A request of which the body, or the rest of it, is still to come. */
export class StreamedRequest extends PlainRequest implements HttpRequest {
  readonly wholeBody = undefined
  readonly body: CountedBody

  constructor(socket: Socket, head: PlainHead, body: CountedBody) {
    super(socket, head)
    this.body = body
  }

  get complete(): boolean {
    return this.body.complete
  }
}
