import { GatewayError } from '../errors.ts'
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
  /** How many connections there may be; one more request is refused with GW_OVERLOADED. */
  readonly maxConnections: number
}

/** The connections to one target under one full TLS identity; nobody else uses them. */
export class ConnectionPool implements ConnectionOwner {
  /** The one that was used last goes first, so that those which are not needed grow old. */
  readonly #idle: UpstreamConnection[] = []
  readonly #all = new Set<UpstreamConnection>()
  readonly #connect: Connector
  readonly #origin: string
  readonly #limits: PoolLimits
  #retired = false

  constructor(origin: string, connect: Connector, limits: PoolLimits) {
    this.#origin = origin
    this.#connect = connect
    this.#limits = limits
  }

  /** Upgraded ones too. */
  get size(): number {
    return this.#all.size
  }

  get idleConnections(): number {
    return this.#idle.length
  }

  /** Sends one request. @throws GatewayError GW_OVERLOADED */
  send(request: OutgoingRequest, handler: AnswerHandler): UpstreamConnection {
    const connection = this.#idle.pop() ?? this.#open()
    connection.send(request, handler)
    return connection
  }

  /** No new requests: idle connections close now, busy ones with the end of their exchange. */
  retire(): void {
    this.#retired = true
    for (const connection of [...this.#idle]) connection.close()
  }

  /** ConnectionOwner */
  idle(connection: UpstreamConnection): void {
    if (this.#retired || this.#idle.length >= this.#limits.maxIdle) connection.close()
    else this.#idle.push(connection)
  }

  /** ConnectionOwner */
  closed(connection: UpstreamConnection): void {
    this.#all.delete(connection)
    const position = this.#idle.indexOf(connection)
    if (position !== -1) this.#idle.splice(position, 1)
  }

  /** ConnectionOwner: an upgraded connection counts until its socket closes. */
  released(connection: UpstreamConnection): void {
    this.#all.delete(connection)
  }

  #open(): UpstreamConnection {
    if (this.#all.size >= this.#limits.maxConnections) {
      throw new GatewayError(
        'GW_OVERLOADED',
        `${this.#origin}: upstream_max_connections, ${this.#limits.maxConnections}, are all in use`,
      )
    }
    const connection = new UpstreamConnection(this.#connect, this.#limits, this)
    this.#all.add(connection)
    return connection
  }
}
