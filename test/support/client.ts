/** An HTTPS client that judges nothing: it connects to 127.0.0.1, sends what it is told, and hands back what came. */
import { type Agent, request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Readable } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type { Issued } from './pki.ts'
import { within } from './wait.ts'

export interface Ask {
  /** The client certificate to show. */
  readonly as?: Issued
  /** The TLS server name; that of `host` by default, none where empty. */
  readonly servername?: string
  /** The Host header; `localhost` by default. */
  readonly host?: string
  readonly method?: string
  readonly headers?: OutgoingHttpHeaders
  readonly body?: string | Buffer | Readable
  readonly agent?: Agent
  readonly tls?: 'TLSv1.2' | 'TLSv1.3'
  readonly plain?: boolean
  /** Where to connect; 127.0.0.1 by default. */
  readonly address?: string
  /** How long the head of the answer is waited for; 30 by default. */
  readonly seconds?: number
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly rawHeaders: readonly string[]
  readonly text: string
  readonly trailers: IncomingMessage['trailers']
  /** Whether the TLS session was resumed. */
  readonly resumed: boolean
}

/** Sends one request and reads the whole answer. Rejects where the connection ends before the answer does. */
export async function ask(port: number, path: string, options: Ask = {}): Promise<Answer> {
  const response = await begin(port, path, options)
  const socket = response.socket as TLSSocket
  const resumed = options.plain ? false : socket.isSessionReused()
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  const text = Buffer.concat(chunks).toString('utf8')
  const { headers, rawHeaders, trailers, statusCode: status = 0 } = response
  return { status, headers, rawHeaders, text, trailers, resumed }
}

/** Sends one request and resolves as soon as the answer's head is there; the caller reads, or destroys, the rest. */
export function begin(port: number, path: string, options: Ask = {}): Promise<IncomingMessage> {
  const {
    as,
    host = 'localhost',
    method = 'GET',
    headers = {},
    body,
    agent,
    tls,
    plain,
    address = '127.0.0.1',
    seconds = 30,
  } = options
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    const request = (plain ? httpRequest : httpsRequest)({
      host: address,
      port,
      path,
      method,
      agent: agent ?? false,
      headers: { host, ...headers },
      servername: options.servername ?? host.replace(/:\d+$/, ''),
      rejectUnauthorized: false,
      ...(as && { cert: as.chain, key: as.key }),
      ...(tls && { minVersion: tls, maxVersion: tls }),
    })
    request.once('response', resolve)
    request.on('error', reject)
    if (body === undefined || typeof body === 'string' || Buffer.isBuffer(body)) request.end(body)
    else body.pipe(request)
  })
  return within(seconds, `an answer to ${method} ${path}`, answered)
}

/** The JSON of an answer; throws with the text where it is none. */
export function json<T = Record<string, unknown>>({ text, status }: Answer): T {
  try {
    return JSON.parse(text) as T
  } catch {
    throw new Error(`status ${status} came with what is not JSON: ${text.slice(0, 500)}`)
  }
}
