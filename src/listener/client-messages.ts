/** node:http's request and response, without some of the work that the gateway has no use for. */
import { IncomingMessage, ServerResponse } from 'node:http'
import type { HttpRequest, HttpResponse } from '../http-messages.ts'

/**
 * Before node:http emits a request, it looks up Content-Length, Transfer-Encoding, Expect and Upgrade in `headers`, and for that it makes an object
 * of all headers. The gateway itself only reads `rawHeaders`. Where none of the four is present, an empty object gives the same result at no cost.
 * With `requireHostHeader`, node:http would look up Host too.
 */
export class ClientRequest extends IncomingMessage implements HttpRequest {
  /** Whether `headers` must hold all of them; set by the code that passes the request on. */
  handedOut = false

  /** Nothing of the body has been read yet when the request is emitted. */
  get wholeBody(): undefined {
    return undefined
  }

  get body(): this {
    return this
  }

  static {
    const inherited = Object.getOwnPropertyDescriptor(IncomingMessage.prototype, 'headers')
    const all = inherited?.get
    if (!all) throw new Error('node:http no longer makes the object of headers only when it is asked for')
    // These are accessors in node:http but plain fields in its types, so TypeScript allows no other way to override them.
    Object.defineProperty(ClientRequest.prototype, 'headers', {
      ...inherited,
      get(this: ClientRequest) {
        return this.handedOut || hasFraming(this.rawHeaders) ? all.call(this) : NO_HEADERS
      },
    })
  }
}

const NO_HEADERS = Object.freeze(Object.create(null))

function hasFraming(rawHeaders: readonly string[]): boolean {
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (FRAMING_LENGTHS.has(name.length) && FRAMING.has(name.toLowerCase())) return true
  }
  return false
}

const FRAMING: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding', 'expect', 'upgrade'])
const FRAMING_LENGTHS: ReadonlySet<number> = new Set([...FRAMING].map((name) => name.length))

/**
 * node:http's response, with a way around its own head and buffers for answers whose head and body are complete at once, as most are: that work is a
 * tenth of the cost of a request (docs/performance-log.md). The server's book-keeping still relies on 'finish'.
 */
export class ClientResponse extends ServerResponse<ClientRequest> implements HttpResponse {
  /** Set by the listener. */
  persistence = ''
  #whole = false
  #flushed = false

  static {
    const inherited = (name: string, response: ClientResponse) => Reflect.get(ServerResponse.prototype, name, response)
    Object.defineProperties(ClientResponse.prototype, {
      headersSent: {
        get(this: ClientResponse) {
          return this.#whole || inherited('headersSent', this)
        },
      },
      writableFinished: {
        get(this: ClientResponse) {
          return this.#whole ? this.#flushed : inherited('writableFinished', this)
        },
      },
    })
  }

  get takesWhole(): boolean {
    return this.socket?.writable === true && this.shouldKeepAlive && !this.headersSent
  }

  afterWrite(then: () => void): void {
    then()
  }

  sendWhole(status: number, message: string | Buffer, done?: () => void): void {
    this.statusCode = status
    this.#whole = true
    this.finished = true
    this.socket?.write(message as string, 'latin1', (error) => {
      done?.()
      // After an error, 'close' follows.
      if (error || this.req.socket.errored) return
      this.#flushed = true
      this.emit('finish')
    })
  }
}
