import type { Socket } from 'node:net'
import { endGently } from '../../sockets/end-gently.ts'
import type { HttpLimits } from '../http-server.ts'
import { ClientConnection, type ClientConnectionOwner } from './client-connection.ts'
import { OwedAnswers } from './owed-answers.ts'
import type { SocketResponse } from './socket-response.ts'

/** How often to check which clients, and which answers, are late, in milliseconds. A timer for each connection would be set twice in each request. */
const INTERVAL = 500
/** A request that was sent in time may take this long to arrive (node:http's keepAliveTimeoutBuffer), in milliseconds. */
const UNDER_WAY = 1000

interface ClientLimits extends HttpLimits {
  /** Characters of a request's target. */
  readonly maxTarget: number
}

export interface ClientConnectionsHandler {
  request(response: SocketResponse): void
  /** The socket is now served by node:http. */
  handOver(socket: Socket): void
  /** Whether it has received a request since then. */
  hasAsked(socket: Socket): boolean
  /** A request line is longer than a target may be, and does not end. */
  endlessLine(socket: Socket): void
  /** A new client has not sent a request in time. */
  late(socket: Socket): void
}

/** The connections of a listener that are served without node:http, and the time limits for their clients. */
export class ClientConnections implements ClientConnectionOwner {
  settings: ClientLimits
  readonly owed = new OwedAnswers()
  readonly #handler: ClientConnectionsHandler
  readonly #open = new Set<ClientConnection>()
  #timer: NodeJS.Timeout | undefined

  constructor(settings: ClientLimits, handler: ClientConnectionsHandler) {
    this.settings = settings
    this.#handler = handler
  }

  serve(socket: Socket): void {
    this.#open.add(new ClientConnection(socket, this))
  }

  start(): void {
    this.#timer = setInterval(() => this.#look(performance.now()), INTERVAL).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  get maxHeaderSize(): number {
    return this.settings.maxHeaderSize
  }

  get maxTarget(): number {
    return this.settings.maxTarget
  }

  request(response: SocketResponse): void {
    this.#handler.request(response)
  }

  handOver(connection: ClientConnection): void {
    // The time for the first request goes on: a client that sends one byte at its end does not get it twice.
    if (connection.hasAsked) this.#open.delete(connection)
    this.#handler.handOver(connection.socket)
  }

  endlessLine(connection: ClientConnection): void {
    this.#open.delete(connection)
    this.#handler.endlessLine(connection.socket)
  }

  closed(connection: ClientConnection): void {
    this.#open.delete(connection)
  }

  #look(now: number): void {
    const { headerTimeout, keepaliveTimeout, bodyTimeout } = this.settings
    for (const connection of this.#open) {
      if (connection.handedOver && this.#handler.hasAsked(connection.socket)) this.#open.delete(connection)
      // Among them may be long polls; those that were just received are written alone for once.
      else if (!connection.isWaiting) connection.settle()
      else if (connection.hasAsked) {
        const patience = connection.owesBody ? bodyTimeout : keepaliveTimeout + UNDER_WAY
        if (now - connection.waitingSince >= patience) this.#end(connection)
      } else if (now - connection.waitingSince >= headerTimeout) {
        this.#open.delete(connection)
        this.#handler.late(connection.socket)
      }
    }
  }

  /** What still comes is dropped. */
  #end(connection: ClientConnection): void {
    this.#open.delete(connection)
    endGently(connection.socket)
  }
}
