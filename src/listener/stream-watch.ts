/** Ends what goes on for long, such as an upgrade, an upload or a streaming answer, when the credential that let it in ends. */
import { cutOff } from '../sockets/cut-off.ts'
import type { LiveConnection } from './live-connection.ts'
import type { Ended, Objection } from './objection.ts'

/** Milliseconds between two rounds. */
const INTERVAL = 500
/** How many checks may wait at once: a store that several gateways share is asked about each token. */
const BATCH = 100
/** How long a round may run without a pause for requests, in milliseconds. */
const SLICE = 10
/** How long a stream may go on while its check cannot be decided, in milliseconds: a store that restarts must not end all streams. */
const DOUBT = 5000

export class StreamWatch {
  readonly #live: ReadonlyMap<object, LiveConnection>
  readonly #ended: Ended
  readonly #objection: Objection
  /** Since when the check cannot be decided. */
  readonly #doubted = new WeakMap<LiveConnection, number>()
  #timer: NodeJS.Timeout | undefined

  constructor(live: ReadonlyMap<object, LiveConnection>, ended: Ended, objection: Objection) {
    this.#live = live
    this.#ended = ended
    this.#objection = objection
  }

  start(): void {
    this.#timer = setTimeout(() => void this.#round(), INTERVAL).unref()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  async #round(): Promise<void> {
    let pause = performance.now() + SLICE
    let waiting: Promise<void>[] = []
    for (const live of this.#live.values()) {
      if (!live.streams) continue
      const asked = this.#ask(live)
      if (asked) waiting.push(asked)
      if (waiting.length < BATCH && performance.now() < pause) continue
      await Promise.all(waiting)
      await new Promise((resolve) => setImmediate(resolve))
      waiting = []
      pause = performance.now() + SLICE
    }
    await Promise.all(waiting)
    if (this.#timer) this.start()
  }

  /** Returns a promise only where the check must be waited for; it never rejects. */
  #ask(live: LiveConnection): Promise<void> | undefined {
    try {
      const objection = this.#objection(live.connection, live)
      if (!(objection instanceof Promise)) {
        this.#take(live, objection)
        return undefined
      }
      return objection.then(
        (settled) => this.#take(live, settled),
        (error) => this.#doubt(live, error),
      )
    } catch (error) {
      this.#doubt(live, error)
      return undefined
    }
  }

  #take(live: LiveConnection, reason: string | undefined): void {
    this.#doubted.delete(live)
    // The stream may have ended meanwhile.
    if (reason === undefined || !live.streams || live.ended) return
    this.#ended(live.connection, reason)
    cutOff(live.socket, reason)
  }

  #doubt(live: LiveConnection, error: unknown): void {
    const since = this.#doubted.get(live) ?? performance.now()
    this.#doubted.set(live, since)
    if (performance.now() - since < DOUBT) return
    this.#take(live, `nobody can tell whether it may go on: ${error instanceof Error ? error.message : String(error)}`)
  }
}
