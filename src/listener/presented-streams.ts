import type { Socket } from 'node:net'
import { cutOff } from '../cut-off.ts'
import type { Connection, Verification } from '../types.ts'
import type { Shown } from './demand.ts'

/** How often clients behind a load balancer are judged again while their requests may still go on, in milliseconds. */
const INTERVAL = 500

export interface PresentedStreamsOptions {
  readonly judge: (shown: Shown) => Verification
  readonly accepts: (verification: Verification) => boolean
  /** Called when a connection is ended because its client may no longer use it. */
  readonly ended: (connection: Connection, reason: string) => void
}

interface Latest {
  readonly shown: Shown
  readonly connection: Connection
}

/**
 * Tracks the client of the latest request on each of the load balancers' connections. An upgrade or a streaming answer may outlast the client's
 * certificate; then the connection ends. So does one whose latest request was answered already: load balancers open another.
 */
export class PresentedStreams {
  readonly #options: PresentedStreamsOptions
  readonly #latest = new Map<Socket, Latest>()
  /** Known sockets, so that each gets one listener. */
  readonly #known = new WeakSet<Socket>()
  #timer: NodeJS.Timeout | undefined

  constructor(options: PresentedStreamsOptions) {
    this.#options = options
  }

  /** @param latest undefined for a request without a certificate */
  note(socket: Socket, latest: Latest | undefined): void {
    if (!latest) {
      this.#latest.delete(socket)
      return
    }
    this.#latest.set(socket, latest)
    this.#timer ??= setInterval(() => this.#judgeAgain(), INTERVAL).unref()
    if (this.#known.has(socket)) return
    this.#known.add(socket)
    socket.once('close', () => this.#latest.delete(socket))
  }

  #refusal(shown: Shown): string | undefined {
    try {
      const verification = this.#options.judge(shown)
      if (this.#options.accepts(verification)) return undefined
      return verification.result === 'FAILED' ? verification.reason : 'no certificate'
    } catch (error) {
      // What cannot be judged is neither admitted nor kept.
      return (error as Error).message
    }
  }

  #judgeAgain(): void {
    for (const [socket, { shown, connection }] of this.#latest) {
      const reason = this.#refusal(shown)
      if (reason === undefined) continue
      this.#latest.delete(socket)
      const refusal = `client certificate verify error: ${reason}`
      this.#options.ended(connection, refusal)
      cutOff(socket, refusal)
    }
    if (this.#latest.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
