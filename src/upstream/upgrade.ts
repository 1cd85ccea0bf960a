import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { headerValues } from '../http-fields/header-values.ts'
import { whyClosed } from '../sockets/cut-off.ts'
import { EarlyBytes } from '../sockets/early-bytes.ts'
import { endGently } from '../sockets/end-gently.ts'
import type { AnswerHeaders, Call } from '../types.ts'
import { demandedUpgrade, headersFor, headText } from './answer-head.ts'
import type { FailedExchange } from './exchange.ts'
import type { AnswerHandler, UpstreamConnection } from './http1/connection.ts'
import { type AnswerHead, malformed } from './http1/head-reader.ts'
import type { OutgoingRequest } from './http1/outgoing-request.ts'
import type { ConnectionPool } from './pool.ts'
import { SmallPieces } from './small-pieces.ts'
import { watchUnread } from './unread.ts'

export interface UpgradeAttempt {
  readonly pool: ConnectionPool
  readonly outgoing: OutgoingRequest
}

export interface UpgradeRequest extends UpgradeAttempt {
  /**
   * What to try after a failure.
   * @throws the refusal for the client, where nothing more may be tried
   */
  readonly again: (outcome: FailedExchange) => UpgradeAttempt
  /** The protocol that was asked for. */
  readonly protocol: string
  readonly call: Call
  readonly answerHeaders: AnswerHeaders
  /** Milliseconds without a byte either way after which an upgraded connection is cut. */
  readonly readTimeout: number
  /** The client's side; `head` holds what was read of it after the request. */
  readonly socket: Duplex
  readonly head: Buffer
}

/**
 * Asks the upstream for an upgrade and, after its 101, carries bytes both ways until one side ends. Any other answer is passed to the client as it
 * is, and the connection ends with it. Rejects where there was no answer.
 */
export function carryUpgrade(request: UpgradeRequest): Promise<void> {
  return new Promise((resolve, reject) => new Upgrade(request, resolve, reject).start())
}

class Upgrade implements AnswerHandler {
  readonly #request: UpgradeRequest
  readonly #resolve: () => void
  readonly #reject: (error: Error) => void
  #startedAt = 0
  #attempts = 0
  #sent = false
  #answered = false
  /** What the client sends before the answer. */
  readonly #early = new EarlyBytes()
  #connection: UpstreamConnection | undefined
  #over = false
  /** Whether the client has yet to take what it was given. */
  #stalled = false

  constructor(request: UpgradeRequest, resolve: () => void, reject: (error: Error) => void) {
    this.#request = request
    this.#resolve = resolve
    this.#reject = reject
    if (request.head.length > 0) this.#early.keep(request.head)
  }

  start(): void {
    const { socket } = this.#request
    // A socket that is not read never notices that its peer has left.
    socket.on('data', this.#keep).once('end', this.#left).once('close', this.#left)
    socket.resume()
    this.#try(() => this.#request)
  }

  sent(): void {
    if (this.#request.socket.destroyed || this.#request.socket.readableEnded) this.#left()
    else this.#sent = true
  }

  interim(): void {}

  pending(): void {}

  upgraded(head: AnswerHead, upstream: Socket, rest: Buffer): void {
    const { protocol, socket, readTimeout } = this.#request
    try {
      if (!turnsTo(protocol, head)) throw malformed(`101 to another protocol than ${protocol}`)
      this.#writeHead(head, undefined, ['Connection', 'Upgrade', 'Upgrade', protocol])
    } catch (error) {
      upstream.on('error', ignore).destroy()
      this.failed(error as Error)
      return
    }
    this.#finish()
    if (rest.length > 0) socket.write(rest)
    if (!this.#early.isEmpty) upstream.write(this.#early.all())
    join(socket, upstream, readTimeout, this.#resolve)
  }

  head(head: AnswerHead): void {
    const demanded = demandedUpgrade(head, 'close')
    this.#writeHead(head, head.reason, demanded.length > 0 ? demanded : ['Connection', 'close'])
    // A client that got an HTTP answer may end its side; what it still sends is dropped.
    const { socket } = this.#request
    socket.off('data', this.#keep).off('end', this.#left).resume()
  }

  data(chunk: Buffer): void {
    const { socket } = this.#request
    // Copied, since its buffer is reused; it is never large.
    if (socket.write(Buffer.from(chunk)) || this.#stalled) return
    this.#stalled = true
    this.#connection?.pause()
    this.#watchUnread()
    socket.once('drain', () => {
      this.#stalled = false
      // Once the answer is complete, the connection may carry another client's request.
      if (!this.#over) this.#connection?.resume()
    })
  }

  end(): void {
    const { socket } = this.#request
    // The time for the last bytes begins when they have left: a slow client may still have much to read.
    socket.write(NOTHING, () => {
      if (!socket.destroyed) endGently(socket)
    })
    this.#watchUnread()
    this.#finish()
    this.#resolve()
  }

  failed(error: Error): void {
    if (this.#over) return
    this.#try(() => this.#request.again({ error, sent: this.#sent, answered: this.#answered }))
  }

  /** What the client sends meanwhile is kept for all attempts. */
  #try(next: () => UpgradeAttempt): void {
    try {
      const { pool, outgoing } = next()
      this.#attempts += 1
      const attempt = this.#attempts
      this.#startedAt = performance.now()
      this.#sent = false
      const connection = pool.send(outgoing, this)
      // It may have failed by now, and another attempt may have taken its place.
      if (attempt === this.#attempts) this.#connection = connection
    } catch (error) {
      this.#finish()
      this.#reject(error as Error)
    }
  }

  #writeHead(head: AnswerHead, reason: string | undefined, ours: readonly string[]): void {
    const { call, answerHeaders, socket } = this.#request
    const headers = headersFor(head.status, answerHeaders.forward(head.headers, call.id))
    const text = headText(head.status, reason, [...ours, ...headers])
    // Set only once the head is known to be good: a status here means that the client has begun to receive an answer.
    call.record.upstreamStatus = head.status
    call.record.upstreamTime = performance.now() - this.#startedAt
    this.#answered = true
    socket.write(text, 'latin1')
  }

  #watchUnread(): void {
    watchUnread(this.#request.socket as Socket, this.#request.call.limits.sendTimeout)
  }

  #finish(): void {
    this.#over = true
    this.#ignoreClient()
  }

  #ignoreClient(): void {
    this.#request.socket.off('data', this.#keep).off('end', this.#left).off('close', this.#left)
  }

  readonly #keep = (chunk: Buffer): void => {
    if (!this.#early.keep(chunk)) this.#request.socket.pause()
  }

  readonly #left = (): void => {
    this.#connection?.abort(whyClosed(this.#request.socket, 'the client left before the upgrade was answered'))
  }
}

/** RFC 9110 7.8: only to the protocol that was asked for. The client would take the bytes of one protocol for another. */
function turnsTo(protocol: string, { headers }: AnswerHead): boolean {
  return headerValues(headers, 'upgrade').join().toLowerCase() === protocol
}

const NOTHING = Buffer.alloc(0)

function ignore(): void {}

/** Carries bytes both ways with back-pressure. The end of one side ends the other; an error or a cut cuts both. */
function join(client: Duplex, upstream: Socket, idleTimeout: number, over: () => void): void {
  let open = 2
  const closed = (one: Duplex, other: Duplex) => () => {
    // A clean end: earlier bytes may still wait for a slow reader.
    if (one.readableEnded && !one.errored && !other.writableFinished) {
      other.once('finish', () => other.destroy())
      watchUnread(other as Socket, idleTimeout)
    } else other.destroy()
    open -= 1
    if (open === 0) over()
  }
  client.on('error', () => upstream.destroy())
  upstream.on('error', () => client.destroy())
  client.once('close', closed(client, upstream))
  upstream.once('close', closed(upstream, client))
  // A timeout of the socket counts what passes in either direction.
  upstream.setTimeout(idleTimeout, () => upstream.destroy())
  carry(client, upstream)
  carry(upstream, client)
}

/** Like `from.pipe(to)`, but joins small pieces. */
function carry(from: Duplex, to: Duplex): void {
  const goOn = () => {
    if (!to.writableNeedDrain) from.resume()
  }
  const write = (bytes: Buffer) => {
    if (!to.write(bytes)) from.pause()
  }
  const pieces = new SmallPieces({ write, hold: () => from.pause(), goOn })
  from.on('data', (chunk: Buffer) => pieces.add(chunk))
  to.on('drain', goOn)
  from.once('end', () => {
    pieces.flush()
    to.end()
  })
  from.once('close', () => pieces.drop())
  from.resume()
}
