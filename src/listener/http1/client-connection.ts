import type { Socket } from 'node:net'
import { EarlyBytes } from '../../early-bytes.ts'
import { readPlainRequest } from './request-reader.ts'
import { SocketResponse } from './socket-response.ts'
import type { CountedBody } from './streamed-request.ts'

export interface ClientConnectionOwner {
  /** Bytes of a request's head. */
  readonly maxHeaderSize: number
  /** Characters of a request's target. */
  readonly maxTarget: number
  request(response: SocketResponse): void
  /** From here on the socket is served by node:http. */
  handOver(connection: ClientConnection): void
  /** The line of a request is longer than its target may be, and goes on. */
  endlessLine(connection: ClientConnection): void
  closed(connection: ClientConnection): void
}

/**
 * Serves a connection as long as the head of each request is there as a whole when it is read, and as plain as most are. With the first one that is not, node:http gets the
 * connection for the rest of its life: whatever could be read in two ways is read by its parser, and chunked bodies, trailers, upgrades and the rest are its own.
 */
export class ClientConnection {
  readonly socket: Socket
  readonly #owner: ClientConnectionOwner
  /** Since when the client is waited for, on the clock of performance.now(). */
  waitingSince = performance.now()
  handedOver = false
  #hasAsked = false
  #response: SocketResponse | undefined
  /** The body of the last request, as long as more of it is to come. */
  #body: CountedBody | undefined
  /** What came while an answer was under way. */
  #early: EarlyBytes | undefined

  constructor(socket: Socket, owner: ClientConnectionOwner) {
    this.socket = socket
    this.#owner = owner
    socket.on('data', this.#data).on('end', this.#end).on('error', ignore).on('close', this.#closed)
  }

  /** Whether a request has ever come; node:http tells of its own. */
  get hasAsked(): boolean {
    return this.#hasAsked
  }

  /** Whether it is the client's turn. As long as there is no answer, whoever reads the body has an eye on it. */
  get isWaiting(): boolean {
    return this.#response === undefined
  }

  /** Whether more of the body is to come of a request that was answered before its end. */
  get owesBody(): boolean {
    return this.#body !== undefined
  }

  readonly #data = (read: Buffer): void => {
    const bytes = this.#body ? this.#takeBody(this.#body, read) : read
    if (!bytes) return
    // It is ending: what still comes is read, so that a reset cannot overtake the last answer, and dropped.
    if (!this.socket.writable) return
    if (this.#response) this.#keep(bytes)
    else this.#take(bytes)
  }

  /** @returns what is behind the body, if anything */
  #takeBody(body: CountedBody, bytes: Buffer): Buffer | undefined {
    const taken = body.receive(bytes)
    if (!this.#response) this.waitingSince = performance.now()
    if (!body.complete) return undefined
    this.#body = undefined
    return taken < bytes.length ? bytes.subarray(taken) : undefined
  }

  #take(bytes: Buffer): void {
    const request = readPlainRequest(this.socket, bytes, this.#owner.maxHeaderSize)
    if (!request) {
      if (isEndlessLine(bytes, this.#owner.maxTarget)) this.#owner.endlessLine(this)
      else this.#handOver(bytes)
      return
    }
    this.#hasAsked = true
    if (!request.complete) this.#body = request.body
    this.#response = new SocketResponse(request, this.#answered)
    this.#owner.request(this.#response)
  }

  #keep(bytes: Buffer): void {
    this.#early ??= new EarlyBytes()
    if (!this.#early.keep(bytes)) this.socket.pause()
  }

  readonly #answered = ({ shouldKeepAlive }: SocketResponse): void => {
    this.#response = undefined
    this.waitingSince = performance.now()
    if (!shouldKeepAlive) {
      this.#early = undefined
      this.socket.destroySoon()
      return
    }
    const early = this.#early
    if (!early) return
    this.#early = undefined
    this.socket.resume()
    if (this.socket.writable) this.#take(early.all())
  }

  #handOver(bytes: Buffer): void {
    const socket = this.socket
    this.handedOver = true
    socket.off('data', this.#data).off('end', this.#end)
    socket.pause()
    socket.unshift(bytes)
    this.#owner.handOver(this)
    // node:http takes what the system reads from now on past the stream, and goes on reading for a request's body even where the stream is paused: what waits in the
    // stream behind these bytes would be taken after it. As soon as anybody else listens, everything comes by the stream.
    if (socket.readableLength > bytes.length) socket.on('data', ignore)
    socket.resume()
  }

  /** As node:http does: nobody answers a client that has ended its side. */
  readonly #end = (): void => {
    this.socket.end()
  }

  readonly #closed = (): void => {
    this.#owner.closed(this)
    this.#response?.abandon()
    this.#body?.destroy()
  }
}

/**
 * node:http only tells that a head is too large, of which it shows the last packet: by then nobody knows whether the line of the request or a header was to blame (414 or 431).
 */
function isEndlessLine(bytes: Buffer, maxTarget: number): boolean {
  const start = bytes.toString('latin1', 0, LONGEST_METHOD + 1)
  return bytes.length > maxTarget + start.length && REQUEST_START.test(start) && !bytes.includes('\n')
}

const LONGEST_METHOD = 20
const REQUEST_START = /^[A-Z]+ \S/

function ignore(): void {}
