import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Client, Dispatcher } from 'undici'
import { GatewayError } from '../errors.ts'
import type { AnswerHeaders, Balancer, Call, Service, Target } from '../types.ts'
import { Exchange, type ExchangeOutcome } from './exchange.ts'
import { upstreamFailure } from './failures.ts'
import type { ConnectionPool } from './pool.ts'
import { RequestBody } from './request-body.ts'
import { carryUpgrade } from './upgrade.ts'

export interface BackendOptions {
  readonly name: string
  readonly balancer: Balancer
  readonly poolOf: (target: Target) => ConnectionPool
  /** The Host to send where the route does not preserve the client's. */
  readonly hostOf: (target: Target) => string
  /** How many further attempts follow a failed one, Kong's `retries`. */
  readonly retries: number
  /** Milliseconds without a byte either way after which an upgraded connection is cut. */
  readonly readTimeout: number
  readonly writeTimeout: number
  readonly answerHeaders: AnswerHeaders
}

/** nginx's list: requests with these methods are not sent a second time once they may have reached the upstream. */
const NOT_IDEMPOTENT = new Set(['POST', 'LOCK', 'PATCH'])

/** An upstream of one or several targets behind one TLS identity. */
export class Backend implements Service {
  readonly name: string
  readonly #options: BackendOptions

  constructor(options: BackendOptions) {
    this.name = options.name
    this.#options = options
  }

  async forward(call: Call, response: ServerResponse): Promise<void> {
    const tried = new Set<Target>()
    for (let attempt = 0; ; attempt++) {
      const target = this.#pick(tried)
      const body = this.#bodyOf(call, response)
      const outcome = await this.#send(call, target, body, response)
      if (!outcome.error) return
      const failure = upstreamFailure(outcome.error, target.name)
      if (attempt >= this.#options.retries || !mayTryAgain(call, outcome, failure, body)) throw failure
    }
  }

  async upgrade(call: Call, protocol: string, socket: Duplex, head: Buffer): Promise<void> {
    const target = this.#pick(new Set())
    const pool = this.#options.poolOf(target)
    note(call, this.name, target)
    try {
      await carryUpgrade(
        pool,
        { ...this.#dispatchOptions(call, target), upgrade: protocol },
        call,
        this.#options,
        socket,
        head,
      )
    } catch (error) {
      throw upstreamFailure(error as Error, target.name)
    }
  }

  /** Once every target has been tried, they are tried again: with one target, a retry means the same one. */
  #pick(tried: Set<Target>): Target {
    let target = this.#options.balancer.pick(tried)
    if (!target && tried.size > 0) {
      tried.clear()
      target = this.#options.balancer.pick(tried)
    }
    if (!target) throw new GatewayError('GW_NO_TARGET', `service ${this.name} has no target with a weight above 0`)
    tried.add(target)
    return target
  }

  #send(call: Call, target: Target, body: RequestBody | null, response: ServerResponse): Promise<ExchangeOutcome> {
    const pool = this.#options.poolOf(target)
    note(call, this.name, target)
    return new Promise((resolve, reject) => {
      let client: Client | undefined
      let over = false
      const finished = (outcome: ExchangeOutcome) => {
        over = true
        if (client) pool.done(client)
        resolve(outcome.error ? { ...outcome, error: pool.causeOf(outcome.error, client) } : outcome)
      }
      const exchange = new Exchange(call, response, this.#options.answerHeaders, finished)
      try {
        client = pool.dispatch({ ...this.#dispatchOptions(call, target), body }, exchange)
        if (over) pool.done(client)
      } catch (error) {
        reject(error)
      }
    })
  }

  #dispatchOptions(call: Call, target: Target): Dispatcher.DispatchOptions {
    const headers = ['host', call.host ?? this.#options.hostOf(target)]
    if (call.body.kind === 'length') headers.push('content-length', String(call.body.length))
    for (const text of call.headers) headers.push(text)
    return { method: call.method as Dispatcher.HttpMethod, path: call.target, headers }
  }

  #bodyOf(call: Call, response: ServerResponse): RequestBody | null {
    const { body, limits } = call
    if (body.kind === 'none' || (body.kind === 'length' && body.length === 0)) return null
    if (body.kind === 'length' && limits.maxBodySize > 0 && body.length > limits.maxBodySize) {
      throw new GatewayError(
        'GW_BODY_TOO_LARGE',
        `Content-Length ${body.length} exceeds client_max_body_size, ${limits.maxBodySize} bytes`,
      )
    }
    return new RequestBody(call, this.#options.writeTimeout, () => {
      if (call.expectContinue) response.writeContinue()
    })
  }
}

/**
 * Another attempt is safe where nothing of the request can have reached the upstream, or where repeating it does no
 * harm (RFC 9110 9.2.2) and its body, if any, is still whole. An answer that has begun is never followed by another.
 */
function mayTryAgain(call: Call, outcome: ExchangeOutcome, failure: GatewayError, body: RequestBody | null): boolean {
  if (outcome.answered || failure.code === 'GW_CLIENT_CLOSED' || failure.entry.fault === 'client') return false
  if (body?.started) return false
  return !outcome.sent || !NOT_IDEMPOTENT.has(call.method)
}

function note(call: Call, service: string, target: Target): void {
  call.record.service = service
  call.record.target = target.name
  call.record.attempts += 1
}
