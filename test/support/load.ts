/** Clients that never pause, for what must go on while something happens to the gateway. */
import { Agent } from 'node:https'
import type { Gateway } from './gateway.ts'
import type { Issued } from './pki.ts'
import { waitFor } from './wait.ts'

/** Clients on kept connections, half of them with a POST each time, and others on a new connection for each request. */
const KEPT = 8
const NEW = 2

export class Load {
  /** Answers with status 200. */
  answered = 0
  /** Everything else: other statuses, and errors of connections. Nothing is tried twice. */
  readonly failures: unknown[] = []
  readonly #gateway: Gateway
  readonly #as: Issued
  readonly #clients: Promise<void>
  #going = true

  constructor(gateway: Gateway, as: Issued) {
    this.#gateway = gateway
    this.#as = as
    const kept = Array.from({ length: KEPT }, (_, i) => this.#client(i % 2 === 0 ? 'GET' : 'POST', true))
    const fresh = Array.from({ length: NEW }, () => this.#client('GET', false))
    this.#clients = Promise.all([...kept, ...fresh]).then(() => {})
  }

  /** Waits for so many further answers, so that the load has met what happened before. */
  async goesOn(count = 50): Promise<void> {
    const enough = this.answered + count
    await waitFor('further answers', () => this.answered >= enough || this.failures.length > 0, 30)
  }

  async stop(): Promise<void> {
    this.#going = false
    await this.#clients
  }

  async #client(method: 'GET' | 'POST', keepAlive: boolean): Promise<void> {
    const agent = new Agent({ keepAlive, maxSockets: 1 })
    const body = method === 'POST' ? { body: 'a body' } : {}
    while (this.#going) {
      const asked = this.#gateway.get('/', { as: this.#as, agent, method, ...body })
      const outcome: unknown = await asked.then(({ status }) => status).catch((error: unknown) => error)
      if (outcome === 200) this.answered += 1
      else this.failures.push(outcome)
    }
    agent.destroy()
  }
}
