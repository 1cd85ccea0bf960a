import { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { GatewayError } from '../../errors.ts'
import { headerValues } from '../../http-fields/header-values.ts'
import type { HttpRequest, HttpResponse } from '../../http-messages.ts'
import { whyClosed } from '../../sockets/cut-off.ts'
import type { OwedAnswers } from './owed-answers.ts'
import type { PlainRequest } from './plain-request.ts'

const LAST = 'Connection: close\r\n'

/**
 * The answer to a request that was read without node:http. An answer that is sent whole goes straight to the socket. For any other, node:http's
 * ServerResponse is created, which does the framing.
 */
export class SocketResponse implements HttpResponse {
  readonly req: HttpRequest
  statusCode = 200
  shouldKeepAlive: boolean
  destroyed = false
  closed = false
  readonly #owed: OwedAnswers
  #isOwed = true
  readonly #answered: (response: SocketResponse) => void
  #keptLines = ''
  #framed: ServerResponse | undefined
  #whole = false
  /** An answer that is sent whole, until it is written. */
  #message: string | Buffer | undefined
  #written: (() => void) | undefined
  #afterWrite: ((lost?: GatewayError) => void) | undefined
  #flushed = false
  /**
   * Not an EventEmitter: its table of listeners, made and dropped with each answer, would be a twentieth of the cost of a small request
   * (docs/performance-log.md).
   */
  #listeners: Listener[] | undefined

  /** @param answered called once all of it has left the process; not called where the client is gone before */
  constructor(
    req: HttpRequest & Pick<PlainRequest, 'isLast'>,
    owed: OwedAnswers,
    answered: (response: SocketResponse) => void,
  ) {
    this.req = req
    this.shouldKeepAlive = !req.isLast
    this.#owed = owed
    this.#answered = answered
    owed.owe()
  }

  get socket(): Socket | null {
    return this.closed ? null : this.req.socket
  }

  get persistence(): string {
    return this.shouldKeepAlive ? this.#keptLines : LAST
  }

  /** Set by the listener, for a connection that is kept. */
  set persistence(lines: string) {
    this.#keptLines = lines
  }

  /** Not as long as it waits to be written together with others. */
  get headersSent(): boolean {
    return (this.#whole && this.#message === undefined) || this.#framed?.headersSent === true
  }

  get chunkedEncoding(): boolean {
    return this.#framed?.chunkedEncoding === true
  }

  get writableEnded(): boolean {
    return this.#whole || this.#framed?.writableEnded === true
  }

  get writableFinished(): boolean {
    return this.#flushed || this.#framed?.writableFinished === true
  }

  get writableLength(): number {
    return (this.#framed ?? this.req.socket).writableLength
  }

  get takesWhole(): boolean {
    return !this.#whole && !this.#framed && this.req.socket.writable
  }

  sendWhole(status: number, message: string | Buffer, done?: () => void): void {
    this.statusCode = status
    this.#whole = true
    this.#message = message
    this.#written = done
    this.#owed.ready(this)
  }

  /** Writes the answer that is sent whole and still waits for others, if there is one. */
  flush(): void {
    const message = this.#message
    const { socket } = this.req
    // Whatever still waits when its client is gone is given up with 'close'.
    if (message === undefined || socket.destroyed) return
    this.#message = undefined
    this.settle()
    socket.write(message as string, 'latin1', (error) => {
      this.#written?.()
      // After an error, 'close' follows.
      if (error || socket.errored) return
      this.#flushed = true
      this.#end()
    })
    this.#afterWrite?.()
  }

  /** Answers to others wait no more for this one, or for the rest of it: it takes long, as a long poll, a stream or one that is read slowly. */
  settle(): void {
    if (!this.#isOwed) return
    this.#isOwed = false
    this.#owed.settle()
  }

  afterWrite(then: (lost?: GatewayError) => void): void {
    if (this.#message === undefined) then()
    else this.#afterWrite = then
  }

  writeHead(status: number, message: string | undefined, headers: string[]): void {
    const framed = this.#frame()
    this.statusCode = status
    // An HTTP/1.0 client knows the end of such an answer only by the end of the connection.
    if (this.req.httpVersionMinor === 0 && !has(headers, 'content-length')) this.shouldKeepAlive = false
    framed.shouldKeepAlive = this.shouldKeepAlive
    framed.writeHead(status, message, this.shouldKeepAlive ? this.#lasting(headers) : headers)
  }

  write(chunk: Buffer | string, done?: () => void): boolean {
    return this.#frame().write(chunk, done)
  }

  end(chunk?: Buffer | string, encoding: BufferEncoding = 'utf8'): void {
    this.#frame().end(chunk, encoding)
  }

  addTrailers(trailers: readonly [string, string][]): void {
    this.#frame().addTrailers(trailers)
  }

  writeContinue(): void {
    this.#frame().writeContinue()
  }

  writeInformation(status: number, headers: string[]): void {
    this.#frame().writeInformation(status, headers)
  }

  destroy(): void {
    this.destroyed = true
    this.req.socket.destroy()
  }

  /** The connection is gone. */
  abandon(): void {
    this.destroyed = true
    this.#close()
    if (this.#message === undefined) return
    this.#written?.()
    this.#afterWrite?.(whyClosed(this.req.socket, 'the client closed the connection before its answer was written'))
  }

  on(event: Listener['event'], heard: () => void): this {
    this.#listeners ??= []
    this.#listeners.push({ event, heard })
    return this
  }

  once(event: Listener['event'], heard: () => void): this {
    const first = () => {
      this.off(event, first)
      heard()
    }
    return this.on(event, first)
  }

  off(event: Listener['event'], heard: () => void): this {
    const listeners = this.#listeners
    const last = listeners?.at(-1)
    // As nearly always.
    if (last?.event === event && last.heard === heard) {
      listeners?.pop()
      return this
    }
    const at = listeners?.findIndex((listener) => listener.event === event && listener.heard === heard) ?? -1
    if (at >= 0) listeners?.splice(at, 1)
    return this
  }

  /** Only the listeners that exist when the event begins. */
  #emit(event: Listener['event']): void {
    for (const listener of this.#listeners?.slice() ?? []) if (listener.event === event) listener.heard()
  }

  #frame(): ServerResponse {
    if (this.#framed) return this.#framed
    const { method, httpVersion, httpVersionMajor, httpVersionMinor, socket } = this.req
    const asked = Object.assign(new IncomingMessage(socket), {
      method,
      httpVersion,
      httpVersionMajor,
      httpVersionMinor,
    })
    const framed = new ServerResponse(asked)
    this.#framed = framed
    this.settle()
    framed.assignSocket(socket)
    // It does not notice by itself that its socket has drained: node:http's server has that listener.
    const drained = () => this.#emit('drain')
    framed.on('drain', drained)
    socket.on('drain', drained)
    framed.once('finish', () => {
      socket.off('drain', drained)
      framed.detachSocket(socket)
      this.#end()
    })
    return framed
  }

  /** In the order of node:http's own. */
  #lasting(headers: string[]): string[] {
    const date = has(headers, 'date') ? [] : ['Date', new Date().toUTCString()]
    return [...headers, ...date, ...fieldsOf(this.persistence)]
  }

  #end(): void {
    this.#close()
    this.#answered(this)
  }

  #close(): void {
    if (this.closed) return
    this.closed = true
    this.settle()
    this.#emit('close')
  }
}

interface Listener {
  readonly event: 'close' | 'drain'
  readonly heard: () => void
}

function has(headers: readonly string[], name: string): boolean {
  return headerValues(headers, name).length > 0
}

/** Of lines that each end with CR LF. */
function fieldsOf(lines: string): string[] {
  return lines.split(/: |\r\n/).slice(0, -1)
}
