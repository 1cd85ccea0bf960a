import { GatewayError } from '../errors.ts'
import type { Slots } from '../process/open-files.ts'
import { FAIL_TIMEOUT, reasonOf } from './failures.ts'
import { type AnswerHandler, type ConnectionOwner, UpstreamConnection } from './http1/connection.ts'
import type { OutgoingRequest } from './http1/outgoing-request.ts'
import type { Connector } from './tls-identity.ts'

export interface PoolLimits {
  /** Milliseconds without a byte from the upstream, for the head of the answer and between two reads of its body. */
  readonly readTimeout: number
  /** Milliseconds that an idle connection is kept. */
  readonly idleTimeout: number
  /** How many idle connections are kept. */
  readonly maxIdle: number
  /** How many requests a connection carries. */
  readonly maxRequests: number
  /** How many connections there may be; one more request is refused. */
  readonly maxConnections: number
}

/** What all pools share. */
export interface PoolOwner {
  /** For the connections of all pools. */
  readonly slots: Slots
  refused(reason: PoolLimit, origin: string): void
  /** Called with the reason when a target cannot be reached, and with undefined once it has answered again. */
  reached(origin: string, reason: string | undefined): void
}

/** Why a request gets no connection. */
export type PoolLimit = 'upstream_max_connections' | 'open_files'

/** The connections to one target with one full TLS identity; no other requests use them. */
export class ConnectionPool implements ConnectionOwner {
  /** The one that was used last goes first, so that those which are not needed time out. */
  readonly #idle: UpstreamConnection[] = []
  readonly #all = new Set<UpstreamConnection>()
  readonly #connect: Connector
  readonly #origin: string
  readonly #limits: PoolLimits
  readonly #owner: PoolOwner
  #retired = false
  /** ConnectionOwner */
  answers = 0
  /** Until when it is left alone, as `performance.now()` counts; 0 where it was reached last. */
  #restsUntil = 0

  constructor(origin: string, connect: Connector, limits: PoolLimits, owner: PoolOwner) {
    this.#origin = origin
    this.#connect = connect
    this.#limits = limits
    this.#owner = owner
  }

  /** Upgraded ones too. */
  get size(): number {
    return this.#all.size
  }

  get idleConnections(): number {
    return this.#idle.length
  }

  /** Whether another target should be used: this one takes no more, or could not be reached a short time ago. */
  get isUnavailable(): boolean {
    if (this.#restsUntil > 0 && performance.now() < this.#restsUntil) return true
    return this.#idle.length === 0 && this.#all.size >= this.#limits.maxConnections
  }

  /** Sends one request. @throws GatewayError GW_OVERLOADED */
  send(request: OutgoingRequest, handler: AnswerHandler): UpstreamConnection {
    // One request finds out whether it is there again; the others need not wait for that.
    if (this.#restsUntil > 0) this.#restsUntil = performance.now() + FAIL_TIMEOUT
    const connection = this.#idle.pop() ?? this.#open()
    connection.send(request, handler)
    return connection
  }

  /** @returns whether there was an idle one */
  closeOneIdle(): boolean {
    // The one that was not used for the longest time.
    const connection = this.#idle[0]
    connection?.close()
    return connection !== undefined
  }

  /** Takes no new requests: idle connections close now, busy ones when their exchange ends. */
  retire(): void {
    this.#retired = true
    for (const connection of [...this.#idle]) connection.close()
  }

  /** ConnectionOwner */
  answered(): void {
    this.answers += 1
    if (this.#restsUntil === 0) return
    this.#restsUntil = 0
    this.#owner.reached(this.#origin, undefined)
  }

  /** ConnectionOwner */
  unreachable(error: Error): void {
    if (this.#restsUntil === 0) this.#owner.reached(this.#origin, reasonOf(error))
    this.#restsUntil = performance.now() + FAIL_TIMEOUT
  }

  /** ConnectionOwner */
  idle(connection: UpstreamConnection): void {
    const { maxIdle, maxRequests } = this.#limits
    if (this.#retired || this.#idle.length >= maxIdle || connection.requests >= maxRequests) connection.close()
    else this.#idle.push(connection)
  }

  /** ConnectionOwner */
  closed(connection: UpstreamConnection): void {
    this.#leave(connection)
    const position = this.#idle.indexOf(connection)
    if (position !== -1) this.#idle.splice(position, 1)
  }

  /** ConnectionOwner: an upgraded connection counts until its socket closes. */
  released(connection: UpstreamConnection): void {
    this.#leave(connection)
  }

  #leave(connection: UpstreamConnection): void {
    if (this.#all.delete(connection)) this.#owner.slots.leave()
  }

  #open(): UpstreamConnection {
    const { maxConnections } = this.#limits
    if (this.#all.size >= maxConnections) {
      throw this.#refusal('upstream_max_connections', `upstream_max_connections, ${maxConnections}, are all in use`)
    }
    if (!this.#owner.slots.enter()) {
      throw this.#refusal('open_files', 'the limit of open files has room for no more connections to upstreams')
    }
    const connection = new UpstreamConnection(this.#connect, this.#limits, this)
    this.#all.add(connection)
    return connection
  }

  #refusal(reason: PoolLimit, detail: string): GatewayError {
    this.#owner.refused(reason, this.#origin)
    return new GatewayError('GW_OVERLOADED', `${this.#origin}: ${detail}`)
  }
}
