import type { Duplex } from 'node:stream'
import { type ErrorCode, GatewayError } from '../errors.ts'
import { headerLines } from '../http-fields/own-headers.ts'
import type { HttpResponse } from '../http-messages.ts'
import type { AnswerHeaders, Call, Service } from '../types.ts'
import type { Balancer, Target } from './balancer.ts'
import { Exchange, type ExchangeOutcome, type FailedExchange } from './exchange.ts'
import { upstreamFailure } from './failures.ts'
import type { OutgoingRequest } from './http1/outgoing-request.ts'
import type { ConnectionPool } from './pool.ts'
import { RequestBody } from './request-body.ts'
import { carryUpgrade, type UpgradeAttempt } from './upgrade.ts'

export interface BackendOptions {
  readonly name: string
  readonly balancer: Balancer
  readonly poolOf: (target: Target) => ConnectionPool
  /** Whether targets are spoken to without TLS; false where it is not set. */
  readonly isPlain?: boolean
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

/** Failures that would occur again with the same target: it is not asked again, but another one may be. */
const LASTING: ReadonlySet<ErrorCode> = new Set(['GW_UPSTREAM_TLS', 'GW_UPSTREAM_REFUSED_CERTIFICATE'])

/** An upstream of one or several targets behind one TLS identity. */
export class Backend implements Service {
  readonly name: string
  readonly #options: BackendOptions

  constructor(options: BackendOptions) {
    this.name = options.name
    this.#options = options
  }

  forward(call: Call, response: HttpResponse): Promise<void> {
    return new Promise((resolve, reject) => {
      const tried = new Set<Target>()
      const attempt = (target: Target, retries: number) => {
        const body = this.#bodyOf(call, response)
        const pool = this.#options.poolOf(target)
        note(call, this.name, target)
        const exchange = new Exchange(call, response, this.#options.answerHeaders, (outcome) => {
          if (!outcome.error) return resolve()
          const failure = upstreamFailure(outcome.error, target.name, this.#options.isPlain)
          if (retries === 0 || !mayTryAgain(call, outcome, failure, body)) return reject(failure)
          try {
            attempt(this.#pick(tried, failure), retries - 1)
          } catch (error) {
            reject(error)
          }
        })
        exchange.connection = pool.send(this.#outgoing(call, target, body), exchange)
      }
      attempt(this.#pick(tried), this.#options.retries)
    })
  }

  async upgrade(call: Call, protocol: string, socket: Duplex, head: Buffer): Promise<void> {
    const { answerHeaders, readTimeout, poolOf } = this.#options
    const tried = new Set<Target>()
    let retries = this.#options.retries
    let target = this.#pick(tried)
    const attempt = (): UpgradeAttempt => {
      note(call, this.name, target)
      return { pool: poolOf(target), outgoing: this.#outgoing(call, target, null, protocol) }
    }
    const again = (outcome: FailedExchange): UpgradeAttempt => {
      const failure = upstreamFailure(outcome.error, target.name, this.#options.isPlain)
      if (retries === 0 || !mayTryAgain(call, outcome, failure, null)) throw failure
      retries -= 1
      target = this.#pick(tried, failure)
      return attempt()
    }
    await carryUpgrade({ ...attempt(), again, protocol, call, answerHeaders, readTimeout, socket, head })
  }

  /** Once every target has been tried, they are tried again: with one target, a retry goes to the same one. */
  #pick(tried: Set<Target>, failure?: GatewayError): Target {
    let target = this.#options.balancer.pick(tried)
    if (!target && tried.size > 0) {
      if (failure && LASTING.has(failure.code)) throw failure
      tried.clear()
      target = this.#options.balancer.pick(tried)
    }
    if (!target) throw new GatewayError('GW_NO_TARGET', `service ${this.name} has no target with a weight above 0`)
    if (this.#options.poolOf(target).isUnavailable) target = this.#passOver(target, tried)
    tried.add(target)
    return target
  }

  /** As nginx does when max_conns or max_fails is reached. Where no target is available, the one that was picked is asked all the same. */
  #passOver(unavailable: Target, tried: ReadonlySet<Target>): Target {
    const { balancer, poolOf } = this.#options
    const passed = new Set(tried)
    for (let other: Target | undefined = unavailable; other; other = balancer.pick(passed)) {
      if (!poolOf(other).isUnavailable) return other
      passed.add(other)
    }
    return unavailable
  }

  #outgoing(call: Call, target: Target, body: Buffer | RequestBody | null, upgrade?: string): OutgoingRequest {
    const { method, body: framing } = call
    let head = `${method} ${call.target} HTTP/1.1\r\nHost: ${call.host ?? this.#options.hostOf(target)}\r\n`
    if (upgrade !== undefined) head += `Connection: Upgrade\r\nUpgrade: ${upgrade}\r\n`
    if (framing.kind === 'length') head += `Content-Length: ${framing.length}\r\n`
    if (framing.kind === 'chunked') head += 'Transfer-Encoding: chunked\r\n'
    const { received, own, constant } = call.headers
    head += receivedLines(received) + headerLines(own)
    for (const { lines } of constant) head += lines
    return { method, head, body, chunked: framing.kind === 'chunked', upgrade: upgrade !== undefined }
  }

  #bodyOf(call: Call, response: HttpResponse): Buffer | RequestBody | null {
    const { body, limits } = call
    if (body.kind === 'none' || (body.kind === 'length' && body.length === 0)) return null
    if (body.kind === 'length' && limits.maxBodySize > 0 && body.length > limits.maxBodySize) {
      throw new GatewayError(
        'GW_BODY_TOO_LARGE',
        `Content-Length ${body.length} exceeds client_max_body_size, ${limits.maxBodySize} bytes`,
      )
    }
    if (call.request.wholeBody) return call.request.wholeBody
    return new RequestBody(call, this.#options.writeTimeout, () => {
      if (call.expectContinue) response.writeContinue()
    })
  }
}

function receivedLines(list: readonly string[]): string {
  let lines = ''
  for (let i = 0; i + 1 < list.length; i += 2) lines += `${list[i]}: ${list[i + 1]}\r\n`
  return lines
}

/**
 * Another attempt is safe where nothing of the request can have reached the upstream, or where repeating it does no harm (RFC 9110 9.2.2) and its
 * body, if any, is still complete. An answer that has begun is never followed by another. A malformed answer counts as an answer (nginx's
 * `invalid_header`, which is not among its default retries).
 */
function mayTryAgain(
  call: Call,
  outcome: ExchangeOutcome,
  failure: GatewayError,
  body: Buffer | RequestBody | null,
): boolean {
  if (outcome.answered || failure.entry.fault !== 'upstream') return false
  if (Buffer.isBuffer(body) ? outcome.sent : body?.started) return false
  if (!outcome.sent) return true
  return failure.code !== 'GW_UPSTREAM_RESPONSE' && !NOT_IDEMPOTENT.has(call.method)
}

function note(call: Call, service: string, target: Target): void {
  call.record.service = service
  call.record.target = target.name
  call.record.attempts += 1
}
