import { Agent, type ClientRequest, type IncomingMessage, request as plainRequest } from 'node:http'
import { Agent as TlsAgent, request as tlsRequest } from 'node:https'
import { GatewayError } from '../../errors.ts'
import { LONGEST_ANSWER, type Plugin, type PluginAnswer, type PluginCall } from './plugin.ts'

export interface HttpPluginOptions {
  readonly address: { readonly kind: 'unix'; readonly socketPath: string } | { readonly kind: 'url'; readonly url: URL }
  readonly timeout: number
  readonly maxPending: number
}

/** A program of its own behind HTTP or a Unix socket: POST with the three arguments as JSON, 200 with the result object, 401 for no. */
export class HttpPlugin implements Plugin {
  readonly #options: HttpPluginOptions
  readonly #agent: Agent
  #pending = 0

  constructor(options: HttpPluginOptions) {
    this.#options = options
    const isTls = options.address.kind === 'url' && options.address.url.protocol === 'https:'
    const settings = { keepAlive: true, maxSockets: options.maxPending, timeout: options.timeout }
    this.#agent = isTls ? new TlsAgent(settings) : new Agent(settings)
  }

  /** It may start later than the gateway. */
  async ready(): Promise<void> {}

  async ask(call: PluginCall): Promise<PluginAnswer> {
    const { timeout, maxPending } = this.#options
    if (this.#pending >= maxPending) {
      throw new GatewayError('GW_OVERLOADED', `${maxPending} answers of the plugin are waited for (max_pending)`)
    }
    this.#pending += 1
    const signal = AbortSignal.timeout(timeout)
    try {
      const response = await this.#send(JSON.stringify(call), signal)
      return answerOf(response.statusCode ?? 0, await textOf(response))
    } catch (cause) {
      if (cause instanceof GatewayError) throw cause
      const reason = signal.aborted
        ? `did not answer within ${timeout} ms`
        : `cannot be asked: ${(cause as Error).message}`
      throw new GatewayError('GW_UNDECIDED', `the plugin ${reason}`, { cause })
    } finally {
      this.#pending -= 1
    }
  }

  close(): void {
    this.#agent.destroy()
  }

  #send(body: string, signal: AbortSignal): Promise<IncomingMessage> {
    const { address } = this.#options
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      accept: 'application/json',
    }
    const options = { method: 'POST', agent: this.#agent, headers, signal }
    return new Promise((resolve, reject) => {
      const request = ((): ClientRequest => {
        if (address.kind === 'unix') {
          return plainRequest({
            ...options,
            socketPath: address.socketPath,
            path: '/authenticate',
            setDefaultHeaders: true,
          })
        }
        return (address.url.protocol === 'https:' ? tlsRequest : plainRequest)(address.url, options)
      })()
      request.once('response', resolve).once('error', reject)
      request.end(body)
    })
  }
}

/** Never more than an answer may hold. */
async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response) {
    length += (chunk as Buffer).length
    if (length > LONGEST_ANSWER) {
      response.destroy()
      throw new Error(`more than ${LONGEST_ANSWER} bytes`)
    }
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function answerOf(status: number, text: string): PluginAnswer {
  if (status === 401) return { kind: 'unauthorized', reason: 'said no' }
  if (status !== 200) throw new GatewayError('GW_UNDECIDED', `the plugin answered with status ${status}`)
  try {
    const value: unknown = JSON.parse(text)
    // Over the wire only the newer result object has a meaning: there is no auth_context to be set.
    const isResult = typeof (value as { status?: unknown } | null)?.status === 'boolean'
    return isResult ? { kind: 'returned', value, set: {} } : { kind: 'unusable', reason: 'answered without a "status"' }
  } catch {
    return { kind: 'unusable', reason: 'answered with what is no JSON' }
  }
}
