/** One HTTP request to another program: a plugin, a responder, a distribution point. The time and the size of the answer are bounded. */
import { type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, request as plainRequest } from 'node:http'
import { type RequestOptions, request as tlsRequest } from 'node:https'

export interface Bounds {
  /** Milliseconds from opening the connection to the last byte of the answer. */
  readonly timeout: number
  /** Bytes of the answer's body. */
  readonly most: number
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface Question extends Omit<RequestOptions, 'signal' | 'timeout' | 'protocol'> {
  readonly url?: URL
  /** Whether to use TLS, where there is no `url`. */
  readonly tls?: boolean
}

/**
 * Redirections are not followed.
 * @throws Error whose message says what happened: no connection, too late, too large
 */
export function boundedRequest(question: Question, body: string | Buffer | undefined, bounds: Bounds): Promise<Answer> {
  const signal = AbortSignal.timeout(bounds.timeout)
  return new Promise((resolve, reject) => {
    const failed = (error: Error) =>
      reject(signal.aborted ? new Error(`no answer within ${bounds.timeout} ms`, { cause: error }) : error)
    send(question, body, signal)
      .on('error', failed)
      // No upgrade was requested. Without a listener, Node would drop such a request without any event, not even a timeout.
      .on('upgrade', (_response, socket) => {
        socket.destroy()
        reject(new Error('the answer is 101: it turns to another protocol'))
      })
      .on('response', (response) => {
        const { statusCode: status = 0, headers } = response
        bodyOf(response, bounds.most).then((whole) => resolve({ status, headers, body: whole }), failed)
      })
      .end(body)
  })
}

function send({ url, tls, ...rest }: Question, body: string | Buffer | undefined, signal: AbortSignal): ClientRequest {
  const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
  const options = { ...rest, signal, headers: { ...rest.headers, ...length } }
  const request = (url ? url.protocol === 'https:' : tls) ? tlsRequest : plainRequest
  return url ? request(url, options) : request(options)
}

async function bodyOf(response: IncomingMessage, most: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  // Leaving the loop destroys the answer, and its connection with it.
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > most) throw new Error(`the answer has more than ${most} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
