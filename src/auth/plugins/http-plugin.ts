import { Agent } from 'node:http'
import { Agent as TlsAgent } from 'node:https'
import { type Answer, boundedRequest } from '../../bounded-request.ts'
import { GatewayError } from '../../errors.ts'
import { PendingCalls } from './pending-calls.ts'
import { LONGEST_ANSWER, type Plugin, type PluginAnswer, type PluginCall } from './plugin.ts'

export interface HttpPluginOptions {
  readonly address: { readonly kind: 'unix'; readonly socketPath: string } | { readonly kind: 'url'; readonly url: URL }
  /** The authorities that may have issued its certificate; undefined trusts the public ones. */
  readonly ca?: readonly string[] | undefined
  readonly timeout: number
  readonly maxPending: number
}

/**
 * A separate program behind HTTP or a Unix socket: it gets the three arguments as JSON by POST, and answers 200 with the result object, or 401 to
 * refuse.
 */
export class HttpPlugin implements Plugin {
  readonly #options: HttpPluginOptions
  readonly #agent: Agent
  readonly #calls: PendingCalls

  constructor(options: HttpPluginOptions) {
    this.#options = options
    const isTls = options.address.kind === 'url' && options.address.url.protocol === 'https:'
    const settings = { keepAlive: true, maxSockets: options.maxPending, timeout: options.timeout }
    this.#agent = isTls
      ? new TlsAgent({ ...settings, ...(options.ca && { ca: [...options.ca] }) })
      : new Agent(settings)
    // The agent also ends connections that still wait for an answer. It opens new ones for later calls.
    this.#calls = new PendingCalls(options.maxPending, () => this.#agent.destroy())
  }

  /** It may start later than the gateway. */
  async ready(): Promise<void> {}

  ask(call: PluginCall): Promise<PluginAnswer> {
    return this.#calls.run(async () => {
      try {
        const { status, body } = await this.#post(JSON.stringify(call))
        return answerOf(status, body.toString())
      } catch (cause) {
        if (cause instanceof GatewayError) throw cause
        throw new GatewayError('GW_UNDECIDED', `the plugin cannot be asked: ${(cause as Error).message}`, { cause })
      }
    })
  }

  close(): void {
    this.#calls.close()
  }

  #post(question: string): Promise<Answer> {
    const { address, timeout } = this.#options
    const headers = { 'content-type': 'application/json', accept: 'application/json' }
    const target =
      address.kind === 'unix' ? { socketPath: address.socketPath, path: '/authenticate' } : { url: address.url }
    const post = { ...target, method: 'POST', agent: this.#agent, headers }
    return boundedRequest(post, question, { timeout, most: LONGEST_ANSWER })
  }
}

function answerOf(status: number, text: string): PluginAnswer {
  if (status === 401) return { kind: 'unauthorized', reason: 'said no' }
  if (status !== 200) throw new GatewayError('GW_UNDECIDED', `the plugin answered with status ${status}`)
  try {
    const value: unknown = JSON.parse(text)
    // Over HTTP only the newer result object makes sense: there is no auth_context that could be set.
    const isResult = typeof (value as { status?: unknown } | null)?.status === 'boolean'
    return isResult ? { kind: 'returned', value, set: {} } : { kind: 'unusable', reason: 'answered without a "status"' }
  } catch {
    return { kind: 'unusable', reason: 'answered with what is no JSON' }
  }
}
