import type { TLSSocket } from 'node:tls'
import { endGently } from '../end-gently.ts'
import type { GatewayError } from '../errors.ts'
import { headerValues } from '../header-values.ts'
import type { HttpRequest, HttpResponse } from '../http-messages.ts'
import type { Connection, Verification } from '../types.ts'
import { factsOf } from './connection.ts'
import type { Shown } from './demand.ts'
import type { TrustPolicy } from './trust-policy.ts'

/** So many requests may wait on one connection; then nothing is read from it until all of them have begun. */
const PIPELINE_LIMIT = 64

export interface LiveHandler {
  request(request: HttpRequest, response: HttpResponse, connection: Connection): void
  /** What to send to a client whose bytes are no HTTP request; it is logged there. */
  malformed(error: GatewayError, connection: Connection): Buffer
}

/**
 * An open connection and what happens on it. Requests are served one after the other: node:http parses pipelined ones at
 * once, but one that follows the last answer of its connection is never answered, and so must never be carried out.
 */
export class Live {
  readonly socket: TLSSocket
  /** When time may have changed what the client is worth. */
  judgedUntil = Number.POSITIVE_INFINITY
  /** Why it may not be used any more, and from when on an answer that has begun is cut. */
  doom: { readonly reason: string; readonly from: number } | undefined
  readonly #handler: LiveHandler
  #policy: TrustPolicy
  #shown: Shown | undefined
  #connection: Connection
  /** The answer that is being written, or was the last to be. */
  #response: HttpResponse | undefined
  #waiting: HttpResponse[] | undefined
  /** Whose end `#next` is called at. */
  #awaited: HttpResponse | undefined
  #refusal: GatewayError | undefined
  #requests = 0
  /** The request that did. */
  #upgraded: HttpRequest | undefined
  #declined = false
  /** No request is served after those that have been taken. */
  #last = false
  /** Whether what the client still sends is nobody's. */
  #dropping = false
  #ended = false
  /** Milliseconds that one more request may take to come once the answer under way has ended. */
  #grace: number | undefined

  constructor(
    socket: TLSSocket,
    {
      policy,
      shown,
      connection,
      until,
    }: { policy: TrustPolicy; shown: Shown | undefined; connection: Connection; until: number },
    handler: LiveHandler,
  ) {
    this.socket = socket
    this.#policy = policy
    this.#shown = shown
    this.judgedUntil = until
    this.#connection = connection
    this.#handler = handler
  }

  get connection(): Connection {
    return this.#connection
  }

  /** By which its client is judged. */
  get policy(): TrustPolicy {
    return this.#policy
  }

  /** What its client has shown, as it was verified last. */
  get shown(): Shown | undefined {
    return this.#shown
  }

  /** From now on another policy judges its client, for whom what the handshake has proved must hold there too. */
  move(policy: TrustPolicy): void {
    this.#policy = policy
    this.#connection = Object.freeze({ ...this.#connection, policy: policy.id })
    this.judgedUntil = 0
  }

  /** The same was verified by other issuers. */
  verifiedAnew(shown: Shown): void {
    this.#shown = shown
    this.#connection = Object.freeze({ ...this.#connection, ...factsOf(shown, this.#connection.verification) })
  }

  /** Requests that come from now on have this verdict. */
  rejudged(verification: Verification): void {
    this.#connection = Object.freeze({ ...this.#connection, verification })
  }

  /** Whether an answer is being written. */
  get busy(): boolean {
    return this.#response !== undefined && !this.#response.closed
  }

  /** Whether its end has begun. */
  get ended(): boolean {
    return this.#ended || this.socket.destroyed
  }

  get hasAsked(): boolean {
    return this.#requests > 0 || this.upgraded
  }

  get upgraded(): boolean {
    return this.#upgraded !== undefined
  }

  /** What is being answered, or was by an upgrade. */
  get request(): HttpRequest | undefined {
    return this.#upgraded ?? (this.busy ? this.#response?.req : undefined)
  }

  /** Whether it carries what may go on for ever: an upgrade, a request that is still being sent, or an answer that has begun. */
  get streams(): boolean {
    const response = this.#response
    if (this.upgraded || !response || !this.busy) return this.upgraded
    return response.headersSent || !response.req.complete
  }

  /** Serves a request when it is its turn. The `requests`th is the last one. */
  serve(response: HttpResponse, requests: number): void {
    if (this.#last) {
      this.#dropRest()
      response.req.body.resume()
      return
    }
    this.#requests += 1
    // node:http's own maxRequestsPerSocket announces the end but then answers further requests with a bare 503.
    if (this.#requests >= requests || this.#declined) response.shouldKeepAlive = false
    if (!response.shouldKeepAlive) this.#last = true
    if (this.busy) this.#wait(response)
    else this.#begin(response)
  }

  /** Whether the next request may upgrade the connection; it is served as any other where not (RFC 9110 7.8). */
  mayUpgrade(request: HttpRequest): boolean {
    if (isWebSocket(request) && !this.busy) return true
    // Of what came together with it, node:http's parser drops the rest and would begin anew anywhere in a later request.
    this.#declined = true
    return false
  }

  /** Takes the connection from node:http for good; false where it is ending already. */
  upgrade(request: HttpRequest): boolean {
    if (this.#last) return false
    this.#upgraded = request
    this.socket.on('error', ignore)
    return true
  }

  /** Refuses what follows the requests that have been taken, once these are answered, and ends the connection. */
  refuse(refusal: GatewayError): void {
    if (this.#ended || this.#refusal) return
    this.#last = true
    const response = this.#response
    if (!response || !this.busy) {
      // What cannot be understood, or is cut off, is the rest of a body that was answered before its end: another answer would be taken for that of the client's next request.
      this.#end(response?.req.complete === false ? undefined : refusal)
      return
    }
    if (!response.req.complete) {
      this.#refuseBody(response, refusal)
      return
    }
    // A waiting request without its end will never be whole.
    if (this.#waiting?.at(-1)?.req.complete === false) this.#waiting.pop()
    this.#refusal = refusal
    this.#awaitAnswer()
  }

  /**
   * Ends it as soon as it carries no answer any more. Where its end cannot be announced by an answer, a request may be under way that would be
   * lost: it has `grace` milliseconds to arrive. Upgraded ones are left alone.
   */
  close(grace = 0): void {
    if (this.#upgraded || this.#ended || this.#last) return
    const response = this.#waiting?.at(-1) ?? (this.busy ? this.#response : undefined)
    if (!response) {
      this.#endAfter(grace)
      return
    }
    if (response.headersSent) this.#grace = grace
    else {
      response.shouldKeepAlive = false
      this.#last = true
    }
    this.#awaitAnswer()
  }

  #begin(response: HttpResponse): void {
    this.#response = response
    this.#handler.request(response.req, response, this.connection)
  }

  /**
   * What still comes is read, so that a reset cannot overtake the last answer, but not parsed: of each request node:http makes an answer that waits for those before it,
   * without end where the client does not take these.
   */
  #dropRest(): void {
    if (this.#dropping) return
    this.#dropping = true
    this.socket.removeAllListeners('data').on('data', ignore)
  }

  #wait(response: HttpResponse): void {
    this.#waiting ??= []
    this.#waiting.push(response)
    if (this.#waiting.length >= PIPELINE_LIMIT) this.socket.pause()
    this.#awaitAnswer()
  }

  #awaitAnswer(): void {
    if (this.#awaited === this.#response) return
    this.#awaited = this.#response
    this.#response?.once('close', () => this.#next())
  }

  #next(): void {
    // The answer announced the end of the connection, or the client has left.
    if (!this.socket.writable) {
      this.#waiting = undefined
      return
    }
    const response = this.#waiting?.shift()
    if (response) {
      this.#begin(response)
      if (this.#waiting?.length === 0) this.#waiting = undefined
      if (this.#waiting || this.#refusal) this.#awaitAnswer()
      if (!this.#waiting) this.socket.resume()
    } else if (this.#last) this.#end(this.#refusal)
    else if (this.#grace !== undefined) this.#endAfter(this.#grace)
  }

  /** Unless one more request comes: the answer to it ends the connection. */
  #endAfter(grace: number): void {
    const end = () => {
      if (!this.#last && !this.#upgraded) this.#end()
    }
    if (grace === 0) end()
    else setTimeout(end, grace).unref()
  }

  /** What cannot be understood is the body of the request that is being answered. */
  #refuseBody(response: HttpResponse, refusal: GatewayError): void {
    // It was refused by its head, and the answer says that the connection ends.
    if (response.writableEnded) {
      this.#ended = true
      response.once('close', () => this.socket.destroy())
    }
    // Half an answer cannot be turned into a refusal: the client must see that it is incomplete.
    else if (response.headersSent) this.socket.destroy()
    else this.#end(refusal)
  }

  #end(refusal?: GatewayError): void {
    this.#ended = true
    if (this.socket.writable) endGently(this.socket, refusal && this.#handler.malformed(refusal, this.connection))
    else this.socket.destroy()
  }
}

/** Only WebSocket is upgraded; for h2c and the rest the header is one hop's offer that we do not take, and in HTTP/1.0 it says nothing (RFC 9110 7.8). */
function isWebSocket({ method, httpVersion, rawHeaders }: HttpRequest): boolean {
  const mayAsk = method === 'GET' && httpVersion !== '1.0'
  return mayAsk && headerValues(rawHeaders, 'upgrade').join().toLowerCase() === 'websocket'
}

function ignore(): void {}
