import type { Socket } from 'node:net'
import { cutOff } from '../sockets/cut-off.ts'
import type { Connection, Verification } from '../types.ts'
import type { Shown } from './demand.ts'

/** How often clients behind a load balancer are judged again while their requests may still go on, in milliseconds. */
const INTERVAL = 500

/** How a server judges the clients that load balancers tell it. */
export interface Judge {
  judge(shown: Shown): Verification
  accepts(verification: Verification): boolean
}

export interface Latest {
  readonly shown: Shown
  readonly connection: Connection
  readonly by: Judge
}

/**
 * Tracks the client of the latest request on each of the load balancers' connections, whichever server and configuration it was for. An upgrade or a
 * streaming answer may outlast the client's certificate; then the connection ends. So does one whose latest request was answered already: load
 * balancers open another.
 */
export class PresentedStreams {
  readonly #ended: (connection: Connection, reason: string) => void
  readonly #latest = new Map<Socket, Latest>()
  /** Known sockets, so that each gets one listener. */
  readonly #known = new WeakSet<Socket>()
  #timer: NodeJS.Timeout | undefined

  /** @param ended called when a connection is ended because its client may no longer use it */
  constructor(ended: (connection: Connection, reason: string) => void) {
    this.#ended = ended
  }

  /** To be told of each request on such a connection. @param latest undefined where it has no certificate of a client's */
  note(socket: Socket, latest: Latest | undefined): void {
    // Whoever is refused, or has left while a responder was waited for, has nothing that could go on.
    if (socket.destroyed || !latest?.by.accepts(latest.connection.verification)) {
      this.#latest.delete(socket)
      return
    }
    this.#latest.set(socket, latest)
    this.#timer ??= setInterval(() => this.#judgeAgain(), INTERVAL).unref()
    if (this.#known.has(socket)) return
    this.#known.add(socket)
    socket.once('close', () => this.#latest.delete(socket))
  }

  #refusal({ shown, by }: Latest): string | undefined {
    try {
      const verification = by.judge(shown)
      if (by.accepts(verification)) return undefined
      return verification.result === 'FAILED' ? verification.reason : 'no certificate'
    } catch (error) {
      // What cannot be judged is neither admitted nor kept.
      return (error as Error).message
    }
  }

  #judgeAgain(): void {
    for (const [socket, latest] of this.#latest) {
      const reason = this.#refusal(latest)
      if (reason === undefined) continue
      this.#latest.delete(socket)
      const refusal = `client certificate verify error: ${reason}`
      this.#ended(latest.connection, refusal)
      cutOff(socket, refusal)
    }
    if (this.#latest.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
