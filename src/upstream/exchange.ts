import type { ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import { GatewayError } from '../errors.ts'
import type { AnswerHeaders, Call } from '../types.ts'

/** The largest answer whose body is copied into one string with its head, so that both leave in one write. */
const ONE_WRITE_LIMIT = 16 * 1024

export interface ExchangeOutcome {
  /** Undefined where the answer was passed on whole. */
  readonly error: Error | undefined
  /** Whether the request may have reached the upstream. */
  readonly sent: boolean
  /** Whether the client has seen any of the answer. */
  readonly answered: boolean
}

/**
 * One request on one connection to an upstream: undici calls it as the answer arrives, and it streams that into the
 * client's response with back-pressure. It never answers an error itself; `finished` says what became of it.
 */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse
  readonly #call: Call
  readonly #answerHeaders: AnswerHeaders
  readonly #finished: (outcome: ExchangeOutcome) => void
  readonly #startedAt = performance.now()
  #controller: Dispatcher.DispatchController | undefined
  #head: { status: number; message: string | undefined; headers: string[]; length: number | undefined } | undefined
  #answered = false
  #over = false
  #clientLeft = false

  constructor(
    call: Call,
    response: ServerResponse,
    answerHeaders: AnswerHeaders,
    finished: (outcome: ExchangeOutcome) => void,
  ) {
    this.#call = call
    this.#response = response
    this.#answerHeaders = answerHeaders
    this.#finished = finished
    response.on('close', this.#closed)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#clientLeft) controller.abort(clientLeft())
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    message?: string,
  ): void {
    const raw = controller.rawHeaders as unknown as Buffer[]
    if (status < 200) {
      this.#inform(status, raw)
      return
    }
    this.#call.record.upstreamStatus = status
    this.#call.record.upstreamTime = performance.now() - this.#startedAt
    const headers = this.#answerHeaders.forward(raw, this.#call.id)
    this.#head = { status, message, headers, length: contentLength(headers) }
    // The body often arrives with the head, within this same call of the parser, and then leaves in one write with it.
    // Where it does not, the client must not wait for the head (server-sent events).
    process.nextTick(flushHead, this)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const head = this.#head
    if (head && head.length === chunk.length && chunk.length <= ONE_WRITE_LIMIT && this.#call.method !== 'HEAD') {
      this.#writeHead()
      // Latin-1 maps each byte to one character and back, so this is the body itself in the string of the head.
      this.#response.end(chunk.toString('latin1'), 'latin1')
      return
    }
    if (head) this.#writeHead()
    if (this.#response.write(chunk)) return
    controller.pause()
    const { sendTimeout } = this.#call.limits
    const unread = setTimeout(() => this.#response.destroy(), sendTimeout)
    const resume = () => {
      clearTimeout(unread)
      this.#response.off('drain', resume).off('close', resume)
      controller.resume()
    }
    this.#response.on('drain', resume).on('close', resume)
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.#head) this.#writeHead()
    if (!this.#response.writableEnded) {
      const trailers = controller.rawTrailers as unknown as Buffer[] | null
      if (trailers && trailers.length > 0 && this.#response.chunkedEncoding) {
        this.#response.addTrailers(pairs(this.#answerHeaders.trailers(trailers)))
      }
      this.#response.end()
    }
    this.#finish(undefined)
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    this.#head = undefined
    this.#finish(this.#clientLeft ? clientLeft() : error)
  }

  flushHead(): void {
    if (!this.#head || this.#over) return
    this.#writeHead()
    this.#response.flushHeaders()
  }

  #writeHead(): void {
    const head = this.#head
    if (!head) return
    this.#head = undefined
    this.#answered = true
    if (head.message === undefined) this.#response.writeHead(head.status, head.headers)
    else this.#response.writeHead(head.status, head.message, head.headers)
  }

  /** Interim answers (RFC 9110 15.2) are passed on; 100 has been answered by the gateway, 101 never comes here. */
  #inform(status: number, raw: Buffer[]): void {
    if (status === 100 || this.#response.req.httpVersion === '1.0') return
    const headers: Record<string, string[]> = Object.create(null)
    for (const [name, value] of pairs(this.#answerHeaders.trailers(raw))) {
      headers[name] = [...(headers[name] ?? []), value]
    }
    this.#response.writeInformation(status, headers)
  }

  readonly #closed = (): void => {
    if (this.#response.writableFinished || this.#over) return
    this.#clientLeft = true
    this.#controller?.abort(clientLeft())
  }

  #finish(error: Error | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#response.off('close', this.#closed)
    this.#finished({ error, sent: this.#controller !== undefined, answered: this.#answered })
  }
}

function flushHead(exchange: Exchange): void {
  exchange.flushHead()
}

function pairs(flat: readonly string[]): [string, string][] {
  return Array.from({ length: flat.length >> 1 }, (_, i) => [flat[2 * i] as string, flat[2 * i + 1] as string])
}

function contentLength(headers: readonly string[]): number | undefined {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as string
    if (name.length === 14 && name.toLowerCase() === 'content-length') return Number(headers[i + 1])
  }
  return undefined
}

function clientLeft(): GatewayError {
  return new GatewayError('GW_CLIENT_CLOSED', 'the client closed the connection before the answer was complete')
}
