import type { TLSSocket } from 'node:tls'
import { connectionOf } from '../connection-notes.ts'
import type { GatewayError } from '../errors.ts'
import { headerValues } from '../http-fields/header-values.ts'
import type { HttpRequest, HttpResponse } from '../http-messages.ts'
import { endGently } from '../sockets/end-gently.ts'
import type { Connection, Verification } from '../types.ts'
import { factsOf } from './connection.ts'
import type { Shown } from './demand.ts'
import type { TrustPolicy } from './trust-policy.ts'

/** About how many bytes the requests that wait on one connection may take; then nothing is read from it until all of them have begun. */
const MOST_WAITING = 64 * 1024
/** What node:http makes of a request, and of each of its fields, beside their bytes. */
const COST_OF_REQUEST = 1024
const COST_OF_FIELD = 64

export interface LiveConnectionHandler {
  request(request: HttpRequest, response: HttpResponse, connection: Connection): void
  /** Logs a client whose bytes are no HTTP request, and returns what to send to it. */
  malformed(error: GatewayError, connection: Connection): Buffer
}

/** Why a connection may not be used any more, or one request on it not go on, and when an answer that has begun is cut off. */
export interface Doom {
  readonly reason: string
  readonly request: HttpRequest | undefined
  readonly from: number
}

/** Judges a connection again. @param beginning the request that waits for this and is answered afterwards */
export type Look = (live: LiveConnection, beginning?: HttpRequest) => void

/**
 * An open connection and its requests, which are served one after the other. node:http parses pipelined requests at once; but a request after the
 * last answer of its connection is never answered, and so must never be carried out.
 */
export class LiveConnection {
  readonly socket: TLSSocket
  /** When the client has to be judged again because time has passed. */
  judgedUntil = Number.POSITIVE_INFINITY
  doom: Doom | undefined
  /** Set where the connection has yet to be looked at again, as after a reload: no request is served before that. */
  look: Look | undefined
  readonly #handler: LiveConnectionHandler
  #policy: TrustPolicy
  #shown: Shown | undefined
  #connection: Connection
  /** The answer that is being written, or the last one. */
  #response: HttpResponse | undefined
  #waiting: HttpResponse[] | undefined
  /** What those that wait, or have waited since the last time that none did, take about. */
  #waitingSize = 0
  /** The response at whose end `#next` is called. */
  #awaited: HttpResponse | undefined
  #refusal: GatewayError | undefined
  #requests = 0
  /** The request that upgraded the connection. */
  #upgraded: HttpRequest | undefined
  #declined = false
  /** No more requests are served after those that were accepted. */
  #last = false
  /** Whether everything that the client still sends is dropped. */
  #dropping = false
  #ended = false
  /** How many milliseconds one more request may take to arrive after the current answer. */
  #grace: number | undefined

  constructor(
    socket: TLSSocket,
    {
      policy,
      shown,
      connection,
      until,
    }: { policy: TrustPolicy; shown: Shown | undefined; connection: Connection; until: number },
    handler: LiveConnectionHandler,
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

  /** The policy that judges its client. */
  get policy(): TrustPolicy {
    return this.#policy
  }

  /** What its client has shown, as it was verified last. */
  get shown(): Shown | undefined {
    return this.#shown
  }

  /** Another policy judges its client from now on. What the handshake has proved must be valid for that policy too. */
  move(policy: TrustPolicy): void {
    this.#policy = policy
    this.#connection = connectionOf({ ...this.#connection, policy: policy.id })
    this.judgedUntil = 0
  }

  /** The same was verified by other issuers. */
  verifiedAnew(shown: Shown): void {
    this.#shown = shown
    this.#connection = connectionOf({ ...this.#connection, ...factsOf(shown, this.#connection.verification) })
  }

  /** Requests that come from now on have this verdict. */
  rejudged(verification: Verification): void {
    this.#connection = connectionOf({ ...this.#connection, verification })
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

  /** Whether so much waits that no more is to be read. */
  get isFull(): boolean {
    return this.#waiting !== undefined && this.#waitingSize >= MOST_WAITING
  }

  /** So many bytes were parsed. */
  parsed(bytes: number): void {
    if (this.#waiting) this.#waitingSize += bytes
  }

  get upgraded(): boolean {
    return this.#upgraded !== undefined
  }

  /** The request that is being answered, or that upgraded the connection. */
  get request(): HttpRequest | undefined {
    return this.#upgraded ?? (this.busy ? this.#response?.req : undefined)
  }

  /** Whether it carries something without an end: an upgrade, a request that is still being sent, or an answer that has begun. */
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
    // node:http's own maxRequestsPerSocket announces the end but answers further requests with a bare 503.
    if (this.#requests >= requests || this.#declined) response.shouldKeepAlive = false
    if (!response.shouldKeepAlive) this.#last = true
    if (this.busy) this.#wait(response)
    else this.#begin(response)
  }

  /** Whether the next request may upgrade the connection; it is served as any other where not (RFC 9110 7.8). */
  mayUpgrade(request: HttpRequest): boolean {
    if (isWebSocket(request) && !this.busy) return true
    // node:http's parser drops the rest of what came with it, and would go on in the middle of a later request.
    this.#declined = true
    return false
  }

  /** Takes the connection over from node:http for good; false where it is ending already. */
  upgrade(request: HttpRequest): boolean {
    if (this.#last || this.#ended) return false
    this.#upgraded = request
    this.socket.on('error', ignore)
    this.look?.(this, request)
    return true
  }

  /** Answers the accepted requests, then refuses what follows them and ends the connection. */
  refuse(refusal: GatewayError): void {
    if (this.#ended || this.#refusal) return
    this.#last = true
    const response = this.#response
    if (!response || !this.busy) {
      // The malformed bytes are the rest of a body that was answered before its end: another answer would be taken for that of the client's next
      // request.
      this.#end(response?.req.complete === false ? undefined : refusal)
      return
    }
    if (!response.req.complete) {
      this.#refuseBody(response, refusal)
      return
    }
    // A waiting request whose end has not come will never be complete.
    if (this.#waiting?.at(-1)?.req.complete === false) this.#waiting.pop()
    this.#refusal = refusal
    this.#awaitAnswer()
  }

  /**
   * Ends it once it carries no answer. Where the end cannot be announced in an answer, a request that is on its way would be lost, so it gets `grace`
   * milliseconds to arrive. Upgraded connections are left alone.
   */
  close(grace = 0): void {
    if (this.#upgraded || this.#ended || this.#last) return
    const response = this.#waiting?.at(-1) ?? (this.busy ? this.#response : undefined)
    if (!response) {
      this.#endAfter(grace)
      return
    }
    if (response.headersSent || response.writableEnded) this.#grace = grace
    else {
      response.shouldKeepAlive = false
      this.#last = true
    }
    this.#awaitAnswer()
  }

  #begin(response: HttpResponse): void {
    this.#response = response
    this.look?.(this, response.req)
    this.#handler.request(response.req, response, this.connection)
  }

  /**
   * Reads what still comes, so that a reset cannot overtake the last answer, but does not parse it: node:http would queue an answer for each request,
   * without end where the client does not read its answers.
   */
  #dropRest(): void {
    if (this.#dropping) return
    this.#dropping = true
    this.socket.removeAllListeners('data').on('data', ignore)
  }

  #wait(response: HttpResponse): void {
    if (!this.#waiting) this.#waitingSize = 0
    this.#waiting ??= []
    this.#waiting.push(response)
    this.#waitingSize += COST_OF_REQUEST + (response.req.rawHeaders.length / 2) * COST_OF_FIELD
    if (this.isFull) this.socket.pause()
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

  /** Unless one more request comes: then its answer ends the connection. */
  #endAfter(grace: number): void {
    const end = () => {
      if (!this.#last && !this.#upgraded) this.#end()
    }
    if (grace === 0) end()
    else setTimeout(end, grace).unref()
  }

  /** The malformed bytes are the body of the request that is being answered. */
  #refuseBody(response: HttpResponse, refusal: GatewayError): void {
    // It was refused because of its head, and the answer announces the end of the connection.
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

/**
 * Only WebSocket is upgraded. For h2c and others, the header is an offer for one hop that we decline; in HTTP/1.0 it means nothing (RFC 9110 7.8).
 */
function isWebSocket({ method, httpVersion, rawHeaders }: HttpRequest): boolean {
  const mayAsk = method === 'GET' && httpVersion !== '1.0'
  return mayAsk && headerValues(rawHeaders, 'upgrade').join().toLowerCase() === 'websocket'
}

function ignore(): void {}
