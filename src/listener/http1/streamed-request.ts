import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import type { BodyTaker, HttpRequest, RequestStream } from '../../http-messages.ts'
import { type PlainHead, PlainRequest } from './plain-request.ts'

/** A body of a known length, as it arrives on its connection. It takes no byte beyond that length. */
export class CountedBody extends Readable implements RequestStream {
  readonly #socket: Socket
  #remaining: number
  #taker: BodyTaker | undefined

  constructor(socket: Socket, length: number) {
    super()
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
    if (this.#taker) this.#hand(this.#taker, own)
    else this.#queue(own)
    return own.length
  }

  handTo(taker: BodyTaker): boolean {
    if (this.complete) return false
    const waiting: Buffer[] = []
    // The last of these reads resumes the socket, so they must come before the taker may pause it.
    for (let piece = this.read(); piece !== null; piece = this.read()) waiting.push(piece)
    this.#taker = taker
    for (const piece of waiting) if (this.#taker) taker.data(piece)
    return true
  }

  takeBack(): void {
    if (!this.#taker) return
    this.#taker = undefined
    this.#socket.resume()
    // Nothing else reads the rest, or waits for 'close'.
    super.resume()
  }

  override pause(): this {
    if (!this.#taker) return super.pause()
    this.#socket.pause()
    return this
  }

  override resume(): this {
    if (!this.#taker) return super.resume()
    this.#socket.resume()
    return this
  }

  override _read(): void {
    this.#socket.resume()
  }

  #hand(taker: BodyTaker, bytes: Buffer): void {
    taker.data(bytes)
    if (!this.complete) return
    this.push(null)
    // It may have been given up while these bytes were handled.
    if (this.#taker) taker.end()
    this.takeBack()
  }

  #queue(bytes: Buffer): void {
    const takesMore = this.push(bytes)
    if (this.complete) this.push(null)
    else if (!takesMore) this.#socket.pause()
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
