import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ConfigError, describeProblem } from '../errors.ts'
import type { Log } from '../log/log.ts'
import { type BindAddress, bind } from '../sockets/bind.ts'
import { listenProblem } from '../sockets/listen-problem.ts'
import { type AdminOptions, createAdminServer } from './server.ts'

export interface AdminParts extends Pick<AdminOptions, 'metrics' | 'ready'> {
  readonly log: Log
}

type Listen = 'off' | BindAddress

/** The admin listener of a gateway, where its configuration wants one. It runs in the supervisor or in a single process, and is never shared. */
export class Admin {
  readonly #parts: AdminParts
  #listen: Listen = 'off'
  #server: Server | undefined

  constructor(parts: AdminParts) {
    this.#parts = parts
  }

  /** Undefined where it does not listen on a port. */
  get port(): AddressInfo | undefined {
    const address = this.#server?.address()
    return typeof address === 'object' ? (address ?? undefined) : undefined
  }

  /** @throws ConfigError where the address cannot be listened on */
  async start(listen: Listen): Promise<void> {
    if (listen !== 'off') this.#server = await this.#serve(listen)
    this.#listen = listen
  }

  /**
   * Takes another address. The old one is given up first, since the new one may be the same port on all addresses; it is taken again where the new
   * one cannot be listened on, which is logged.
   */
  async move(listen: Listen): Promise<void> {
    const before = this.#listen
    if (textOf(listen) === textOf(before)) return
    this.#server?.close()
    this.#server = undefined
    try {
      await this.start(listen)
    } catch (error) {
      const problems = error instanceof ConfigError ? error.problems.map(describeProblem) : [String(error)]
      this.#parts.log.error({ problems }, 'the admin listener stays where it was')
      await this.start(before).catch((err) => this.#parts.log.error({ err }, 'there is no admin listener any more'))
    }
  }

  close(): void {
    this.#server?.close()
    this.#server?.closeAllConnections()
  }

  async #serve(listen: BindAddress): Promise<Server> {
    const { metrics, ready, log } = this.#parts
    const server = createAdminServer({
      metrics,
      ready,
      failed: (err) => log.error({ err }, 'the admin failed to answer'),
    })
    const where = textOf(listen)
    const address = await bind(server, 'path' in listen ? listen : { ...listen, exclusive: true }).catch((error) => {
      throw listenProblem('admin.listen', where, error)
    })
    const logged = typeof address === 'string' ? { address: where } : { address: address.address, port: address.port }
    log.info({ kind: 'admin', ...logged }, 'listening')
    return server
  }
}

function textOf(listen: Listen): string {
  if (listen === 'off') return listen
  return 'path' in listen ? `unix:${listen.path}` : `${listen.host}:${listen.port}`
}
