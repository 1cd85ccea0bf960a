import { connect, Socket } from 'node:net'
import type { Readable } from 'node:stream'
import {
  type AnswerHandler,
  type ConnectionTimeouts,
  UpstreamConnection,
} from '../../../../src/upstream/http1/connection.ts'
import type { AnswerHead } from '../../../../src/upstream/http1/head-reader.ts'
import type { OutgoingBody, OutgoingRequest } from '../../../../src/upstream/http1/outgoing-request.ts'
import type { Connector } from '../../../../src/upstream/tls-identity.ts'
import { within } from '../../../support/wait.ts'
import { startTcp } from '../support.ts'

export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
export const GET: OutgoingRequest = {
  method: 'GET',
  head: 'GET / HTTP/1.1\r\nHost: api\r\n',
  body: null,
  chunked: false,
  upgrade: false,
}

/** A stream as the body of a request. */
export function bodyOf(stream: Readable): OutgoingBody {
  return {
    flow: ({ data, end, failed }) => {
      stream.on('data', (chunk: Buffer) => data(chunk))
      stream.once('end', end).once('error', failed)
    },
    pause: () => void stream.pause(),
    resume: () => void stream.resume(),
    giveUp: () => void stream.destroy(),
  }
}

const TIMEOUTS: ConnectionTimeouts = { readTimeout: 5000, idleTimeout: 5000 }

/** Keeps what it is told of one request, in its order; `over` resolves with `end`, `failed` or `upgraded`. */
export class Answer implements AnswerHandler {
  readonly told: string[] = []
  body = ''
  trailers: string[] = []
  error: Error | undefined
  /** How often an answer was not complete with what had come of it. */
  pendings = 0
  upgradedTo: { readonly socket: Socket; readonly rest: string } | undefined
  /** Called with each of them once it is kept. */
  on: (what: string) => void = () => {}
  #settle: (what: string) => void = () => {}
  readonly #settled = new Promise<string>((resolve) => {
    this.#settle = resolve
  })

  get over(): Promise<string> {
    return within(10, 'the end of the exchange', this.#settled)
  }

  sent(): void {
    this.#keep('sent')
  }
  interim({ status }: AnswerHead): void {
    this.#keep(`interim ${status}`)
  }
  head({ status }: AnswerHead): void {
    this.#keep(`head ${status}`)
  }
  data(chunk: Buffer): void {
    this.body += chunk.toString('latin1')
    if (this.told.at(-1) === 'data') this.on('data')
    else this.#keep('data')
  }
  pending(): void {
    this.pendings += 1
    this.on('pending')
  }
  end(trailers: string[]): void {
    this.trailers = trailers
    this.#keep('end')
    this.#settle('end')
  }
  failed(error: Error): void {
    this.error = error
    this.#keep('failed')
    this.#settle('failed')
  }
  upgraded({ status }: AnswerHead, socket: Socket, rest: Buffer): void {
    this.upgradedTo = { socket, rest: rest.toString('latin1') }
    this.#keep(`upgraded ${status}`)
    this.#settle('upgraded')
  }

  #keep(what: string): void {
    this.told.push(what)
    this.on(what)
  }
}

export interface Line {
  readonly connection: UpstreamConnection
  /** What the owner was told, in its order. */
  readonly owner: string[]
  /** Everything that the upstream has received. */
  received(): string
  /** Our end of the connection, and the upstream's. */
  near(): Socket
  far(): Socket
  /** Sends one request; the answer is kept as it comes. */
  send(request?: Partial<OutgoingRequest>): Answer
}

/** One connection to an upstream, which is asked what to do with each read; it is not opened before the first request. */
export async function lineTo(
  serve: (socket: Socket, received: string) => void,
  { connector, ...timeouts }: Partial<ConnectionTimeouts> & { connector?: (port: number) => Connector } = {},
): Promise<Line> {
  let received = ''
  let near: Socket | undefined
  let far: Socket | undefined
  const owner: string[] = []
  const port = await startTcp((socket) => {
    far = socket
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
      serve(socket, received)
    })
  })
  const connection = new UpstreamConnection(
    (done, onread) =>
      (connector ?? connectorTo)(port)((error, socket) => {
        near = socket ?? undefined
        done(error, socket)
      }, onread),
    { ...TIMEOUTS, ...timeouts },
    {
      answers: 0,
      answered: () => {},
      unreachable: () => {},
      idle: () => owner.push('idle'),
      closed: () => owner.push('closed'),
      released: () => owner.push('released'),
    },
  )
  return {
    connection,
    owner,
    received: () => received,
    near: () => near as Socket,
    far: () => far as Socket,
    send: (request) => {
      const answer = new Answer()
      connection.send({ ...GET, ...request }, answer)
      return answer
    },
  }
}

/** No connection, but this error: at once, or in the next turn. */
export function connectorThatFails(error: Error, when: 'at once' | 'later' = 'at once'): Connector {
  return (done) => {
    if (when === 'at once') done(error, null)
    else setImmediate(() => done(error, null))
    return new Socket()
  }
}

/** As for plain HTTP: it leaves no listener on the socket. */
export function connectorTo(port: number): Connector {
  return (done, onread) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true, ...(onread && { onread }) })
    const failed = (error: Error) => done(error, null)
    socket.once('error', failed).once('connect', () => {
      socket.off('error', failed)
      done(null, socket)
    })
    return socket
  }
}
