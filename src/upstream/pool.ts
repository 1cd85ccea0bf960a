import { Client, type Dispatcher } from 'undici'
import { GatewayError } from '../errors.ts'
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

/**
 * The connections to one target under one full TLS identity; nobody else uses them. A free list of undici clients, each
 * with one connection and one request at a time: pipelined answers could be mixed up, and undici's own Pool searches
 * its clients on every request.
 */
export class ConnectionPool {
  readonly #idle: Client[] = []
  readonly #all = new Set<Client>()
  /** What each connection reported first: undici forgets it for the end of the connection that follows. */
  readonly #reported = new WeakMap<Client, Error>()
  readonly #connect: Connector
  readonly #origin: string
  readonly #limits: PoolLimits
  #retired = false

  constructor(origin: string, connect: Connector, limits: PoolLimits) {
    this.#origin = origin
    this.#connect = connect
    this.#limits = limits
  }

  get size(): number {
    return this.#all.size
  }

  get idle(): number {
    return this.#idle.length
  }

  /** Sends one request; the handler must call `done(client)` exactly once, when the exchange is over. */
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): Client {
    const client = this.#idle.pop() ?? this.#open()
    client.dispatch(options, handler)
    return client
  }

  /** The exchange on `client` is over: it waits for the next one, or goes. */
  done(client: Client): void {
    if (this.#retired || client.destroyed || this.#idle.length >= this.#limits.maxIdle) {
      this.#all.delete(client)
      void client.close()
      return
    }
    this.#idle.push(client)
  }

  /** Why an exchange failed: where the connection itself had a reason, such as a TLS alert, it is that. */
  causeOf(error: Error, client: Client | undefined): Error {
    const { code } = error as NodeJS.ErrnoException
    return (code === 'UND_ERR_SOCKET' && client && this.#reported.get(client)) || error
  }

  /** No new requests: idle connections close now, busy ones with the end of their exchange. */
  retire(): void {
    this.#retired = true
    for (const client of this.#idle.splice(0)) {
      this.#all.delete(client)
      void client.close()
    }
  }

  #open(): Client {
    if (this.#all.size >= this.#limits.maxConnections) {
      throw new GatewayError(
        'GW_OVERLOADED',
        `${this.#origin}: upstream_max_connections, ${this.#limits.maxConnections}, are all in use`,
      )
    }
    // `http:` whatever the transport is: the connector makes the TLS connection, so undici neither chooses a server
    // name by the Host header nor reconnects when Host changes.
    const client: Client = new Client(`http://${this.#origin}`, {
      connect: (_options, done) => {
        this.#reported.delete(client)
        this.#connect((error, socket) => {
          socket?.once('error', (reported) => this.#reported.set(client, reported))
          if (socket) done(null, socket)
          else done(error as Error, null)
        })
      },
      pipelining: 1,
      allowH2: false,
      headersTimeout: this.#limits.readTimeout,
      bodyTimeout: this.#limits.readTimeout,
      keepAliveTimeout: this.#limits.idleTimeout,
      keepAliveMaxTimeout: this.#limits.idleTimeout,
      maxHeaderSize: 64 * 1024,
    })
    this.#all.add(client)
    client.on('disconnect', () => this.#forget(client))
    return client
  }

  /** An idle client whose connection has closed is of no more use than a new one. */
  #forget(client: Client): void {
    const position = this.#idle.indexOf(client)
    if (position === -1) return
    this.#idle.splice(position, 1)
    this.#all.delete(client)
    void client.close()
  }
}
