import { existsSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { listenText } from '../config/index.ts'
import { Listener } from '../listener/listener.ts'
import type { Objection } from '../listener/objection.ts'
import type { Log } from '../log/log.ts'
import type { Metrics } from '../metrics/metrics.ts'
import type { Slots } from '../process/open-files.ts'
import type { ListenerRuntime, Runtime } from '../runtime/runtime.ts'
import { listenProblem } from '../sockets/listen-problem.ts'
import type { Connection } from '../types.ts'
import { createListenerHandler } from './listener-handler.ts'

export interface BoundListenersOptions {
  readonly log: Log
  readonly metrics: Metrics
  /** For the connections of clients. */
  readonly slots: Slots
}

interface Bound {
  readonly key: string
  readonly listener: Listener
  /** A path for a Unix socket. */
  readonly address: AddressInfo | string
  current: ListenerRuntime
  /** Whether the configuration in use has it no more. */
  gone: boolean
}

/**
 * The listeners from one configuration to the next: an address that stays keeps its listener, a new one is bound before anything else changes, and
 * one that is gone accepts nothing more and ends with its last connection.
 */
export class BoundListeners {
  readonly #options: BoundListenersOptions
  readonly #bound = new Map<string, Bound>()
  /** Listeners that accept nothing any more, until their last connection has ended. */
  readonly #leaving = new Map<Listener, Promise<void>>()
  /** The configuration in use. */
  #runtime: Runtime | undefined

  constructor(options: BoundListenersOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#bound.size
  }

  /** The ports where clients can connect. */
  get ports(): readonly AddressInfo[] {
    return [...this.#bound.values()].map(({ address }) => address).filter((address) => typeof address !== 'string')
  }

  /** How many connections of listeners that accept nothing any more are open. */
  get left(): number {
    return [...this.#leaving.keys()].reduce((sum, listener) => sum + listener.connections, 0)
  }

  /**
   * Binds the addresses that are new. Where one fails, or the gateway is stopped meanwhile, those that were just bound are released.
   * @throws ConfigError where an address cannot be listened on
   */
  async bind(runtime: Runtime, isStopping: () => boolean): Promise<void> {
    const fresh: Bound[] = []
    try {
      for (const current of runtime.listeners) {
        const key = listenText(current.config.listen)
        if (!this.#bound.has(key)) fresh.push(await this.#bind(key, current))
      }
      if (isStopping()) throw new Error('the gateway is being stopped')
    } catch (error) {
      for (const { listener } of fresh) void listener.close()
      throw error
    }
    for (const bound of fresh) this.#bound.set(bound.key, bound)
  }

  /** Serves by a configuration whose addresses are bound. Open connections are judged by it with `judgeAgain`. */
  use(runtime: Runtime): void {
    this.#runtime = runtime
    const wanted = new Map(runtime.listeners.map((listener) => [listenText(listener.config.listen), listener]))
    for (const bound of this.#bound.values()) {
      const listener = wanted.get(bound.key)
      if (listener) {
        bound.current = listener
        bound.listener.apply(listener.settings)
      } else {
        this.#bound.delete(bound.key)
        bound.gone = true
        this.#leave(bound.listener)
      }
    }
  }

  /** Judges open connections by the configuration in use. Resolves when all have been judged. */
  async judgeAgain(): Promise<void> {
    const listeners = this.#runtime?.listeners ?? []
    const policyIds = new Set(listeners.flatMap((listener) => [...listener.policyIds]))
    const welcome: Objection = (connection, carried) =>
      this.#heirOf(connection)?.settings.welcome?.(connection, carried)
    await Promise.all([
      ...[...this.#bound.values()].map(({ listener, current }) => listener.judgeAgain(current.policyIds)),
      ...[...this.#leaving.keys()].map((listener) => listener.judgeAgain(policyIds, welcome)),
    ])
  }

  /** They are not made again: their old sockets would have to be closed first, and a failed reload could not bring those back. */
  reportGoneSockets(): void {
    for (const { key, address } of this.#bound.values())
      if (typeof address === 'string' && !existsSync(address))
        this.#options.log.warn({ address: key }, 'the socket file of a listener is gone: nobody can connect')
  }

  /** Accepts no connection any more. Resolves when the last one has ended. */
  async leave(): Promise<void> {
    for (const { listener } of this.#bound.values()) this.#leave(listener)
    await Promise.all(this.#leaving.values())
  }

  /** Cuts the connections that are left. */
  destroy(reason: string): void {
    for (const listener of this.#leaving.keys()) listener.destroy(reason)
  }

  async #bind(key: string, current: ListenerRuntime): Promise<Bound> {
    const { log, metrics, slots } = this.#options
    const bound = { current, gone: false }
    const handler = createListenerHandler({
      gatewayFor: (connection) => this.#gatewayFor(bound, connection),
      accessLog: () => this.#runtime?.accessLog,
      ...{ metrics, log },
    })
    const listener = new Listener(current.settings, handler, slots)
    const { at, listen } = current.config
    const address = await listener.listen(listen).catch((error: NodeJS.ErrnoException) => {
      throw listenProblem(`${at}.listen`, listenText(listen), error)
    })
    const where = typeof address === 'string' ? { address: listenText(listen) } : address
    log.info({ kind: 'https', address: where.address, ...('port' in where && { port: where.port }) }, 'listening')
    return Object.assign(bound, { key, listener, address })
  }

  #leave(listener: Listener): void {
    this.#leaving.set(
      listener,
      listener.close().then(() => void this.#leaving.delete(listener)),
    )
  }

  /** What is left of a listener that is gone belongs to whichever has the same trust policy. */
  #heirOf({ policy }: Connection): ListenerRuntime | undefined {
    return this.#runtime?.listeners.find(({ policyIds }) => policyIds.has(policy))
  }

  /** Where no listener has the connection's policy any more, each of them refuses its requests. */
  #gatewayFor({ gone, current }: Pick<Bound, 'gone' | 'current'>, connection: Connection): ListenerRuntime['gateway'] {
    const listener = gone ? (this.#heirOf(connection) ?? this.#runtime?.listeners[0]) : current
    return (listener ?? current).gateway
  }
}
