import type { Socket } from 'node:net'
import { EarlyBytes } from '../../sockets/early-bytes.ts'
import type { OwedAnswers } from './owed-answers.ts'
import { readPlainRequest } from './request-reader.ts'
import { SocketResponse } from './socket-response.ts'
import type { CountedBody } from './streamed-request.ts'

export interface ClientConnectionOwner {
  /** Bytes of a request's head. */
  readonly maxHeaderSize: number
  /** Characters of a request's target. */
  readonly maxTarget: number
  /** To all of its clients. */
  readonly owed: OwedAnswers
  request(response: SocketResponse): void
  /** The socket is now served by node:http. */
  handOver(connection: ClientConnection): void
  /** A request line is longer than a target may be, and does not end. */
  endlessLine(connection: ClientConnection): void
  closed(connection: ClientConnection): void
}

/**
 * Serves a connection as long as each request's head arrives whole in one read and is as plain as most are. With the first that is not, node:http
 * takes the connection over for good. Its parser reads whatever could be ambiguous, and it handles chunked bodies, trailers, upgrades and the rest.
 */
export class ClientConnection {
  readonly socket: Socket
  readonly #owner: ClientConnectionOwner
  /** Since when the client's next bytes are awaited, on the clock of performance.now(). */
  waitingSince = performance.now()
  handedOver = false
  #hasAsked = false
  #response: SocketResponse | undefined
  /** The body of the last request, as long as it is incomplete. */
  #body: CountedBody | undefined
  /** Bytes that came while an answer was being written. */
  #early: EarlyBytes | undefined

  constructor(socket: Socket, owner: ClientConnectionOwner) {
    this.socket = socket
    this.#owner = owner
    socket.on('data', this.#data).on('end', this.#end).on('error', ignore).on('close', this.#closed)
    // A client may leave right after its handshake, before it is its turn to be served: then the event has come already.
    if (socket.readableEnded) this.#end()
  }

  /** Whether any request was received here; node:http counts its own. */
  get hasAsked(): boolean {
    return this.#hasAsked
  }

  /** Whether it is the client's turn. Until there is an answer, the reader of the body watches the time. */
  get isWaiting(): boolean {
    return this.#response === undefined
  }

  /** Whether a request was answered before the end of its body, and more of the body is to come. */
  get owesBody(): boolean {
    return this.#body !== undefined
  }

  /** Answers to others wait no more for the one that is owed here. */
  settle(): void {
    this.#response?.settle()
  }

  readonly #data = (read: Buffer): void => {
    const bytes = this.#body ? this.#takeBody(this.#body, read) : read
    if (!bytes) return
    // It is ending. What still comes is read and dropped, so that a reset cannot overtake the last answer.
    if (!this.socket.writable) return
    if (this.#response) this.#keep(bytes)
    else this.#take(bytes)
  }

  /** @returns what follows the body, if anything */
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
    this.#response = new SocketResponse(request, this.#owner.owed, this.#answered)
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
    socket.resume()
  }

  /** As node:http does: a client that has ended its side gets no answer, unless it is there already. */
  readonly #end = (): void => {
    this.#response?.flush()
    this.socket.end()
  }

  readonly #closed = (): void => {
    this.#owner.closed(this)
    this.#response?.abandon()
    this.#body?.destroy()
  }
}

/**
 * node:http only reports that a head is too large, with its last packet. By then it is unknown whether the request line or a header was too long (414
 * or 431).
 */
function isEndlessLine(bytes: Buffer, maxTarget: number): boolean {
  const start = bytes.toString('latin1', 0, LONGEST_METHOD + 1)
  return bytes.length > maxTarget + start.length && REQUEST_START.test(start) && !bytes.includes('\n')
}

const LONGEST_METHOD = 20
const REQUEST_START = /^[A-Z]+ \S/

function ignore(): void {}
