/** Follows each request from its head to its end, for the access log and the metrics. */
import type { Fault, GatewayError } from './errors.ts'
import type { HttpRequest } from './http-messages.ts'
import type { AccessEntry, AccessLog } from './log/access-log.ts'
import type { Metrics } from './metrics/metrics.ts'
import type { Connection, RequestRecord, Route } from './types.ts'

export interface RecorderOptions {
  readonly accessLog: AccessLog
  readonly metrics: Metrics
}

/** Starts the record of one request. Whoever starts one must finish it. */
export function createRecorder({ accessLog, metrics }: RecorderOptions) {
  const finished = (record: Recorded): void => {
    metrics.requestsInFlight.decrement()
    metrics.route(record.route?.name ?? '', record.service ?? '').finished(record)
    if (record.error) metrics.refused(record.error.code)
    accessLog.write(record)
  }
  return (id: string, request: HttpRequest, connection: Connection): RequestRecord => {
    metrics.requestsInFlight.increment()
    return new Recorded(id, request, connection, finished)
  }
}

class Recorded implements RequestRecord, AccessEntry {
  readonly id: string
  readonly request: HttpRequest
  connection: Connection
  route: Route | undefined = undefined
  user: string | undefined = undefined
  service: string | undefined = undefined
  target: string | undefined = undefined
  upstreamStatus: number | undefined = undefined
  upstreamTime: number | undefined = undefined
  attempts = 0
  error: GatewayError | undefined = undefined
  status = 0
  duration = 0
  bytesReceived = 0
  bytesSent = 0
  termination: Fault | undefined = undefined
  readonly #startedAt = performance.now()
  readonly #finished: (record: Recorded) => void
  #over = false

  constructor(id: string, request: HttpRequest, connection: Connection, finished: (record: Recorded) => void) {
    this.id = id
    this.request = request
    this.connection = connection
    this.#finished = finished
  }

  finish(status: number): void {
    if (this.#over) return
    this.#over = true
    this.duration = performance.now() - this.#startedAt
    this.#judge(status)
    this.#count()
    this.#finished(this)
  }

  /**
   * The status and the termination that the access log shows. A request that got no answer, or was answered with its error, is logged with the
   * error's status. An answer that was cut off is logged with the status that it began with.
   */
  #judge(status: number): void {
    const { error } = this
    this.status = status
    if (error === undefined) return
    const { status: own, logStatus, fault } = error.entry
    if (status === 0 || status === own) this.status = logStatus ?? own
    else this.termination = fault
  }

  /** Bytes since the last request on this socket ended, from the socket's own counters. */
  #count(): void {
    const { socket } = this.request
    const before = counted.get(socket)
    const received = socket.bytesRead
    const sent = socket.bytesWritten ?? before?.sent ?? 0
    this.bytesReceived = Math.max(0, received - (before?.received ?? 0))
    this.bytesSent = Math.max(0, sent - (before?.sent ?? 0))
    if (before === undefined) counted.set(socket, { received, sent })
    else {
      before.received = received
      before.sent = sent
    }
  }
}

const counted = new WeakMap<HttpRequest['socket'], { received: number; sent: number }>()
