/** Reduces lists of repositories and tags to what the caller may see. A page may come out empty; its Link still leads on. */
import { EventEmitter } from 'node:events'
import { GatewayError } from '../errors.ts'
import type { HttpRequest, HttpResponse } from '../http-messages.ts'
import { inTurns } from '../slices.ts'
import { whyClosed } from '../sockets/cut-off.ts'
import type { Call, Service } from '../types.ts'
import type { ListPages } from './list-pages.ts'

/** Bytes; a page of ten thousand names of the longest kind is smaller. */
const LARGEST_LIST = 8 * 1024 * 1024

export interface ListFilter {
  /** Decides what its Link may show. */
  readonly pages: ListPages
  /** The member of the answer that holds the list. */
  readonly list: 'repositories' | 'tags'
  readonly mayShow: (entry: string) => boolean | Promise<boolean>
}

/** With these the registry would answer with a part of the list, or in a form that cannot be filtered. */
const WITHHELD = new Set(['range', 'if-range', 'accept-encoding'])

/** @throws GatewayError where the answer is no readable list */
export async function forwardFiltered(
  backend: Service,
  call: Call,
  response: HttpResponse,
  filter: ListFilter,
): Promise<void> {
  const answer = new CollectedAnswer(call.request)
  // When the client leaves, the upstream stops too.
  response.once('close', () => answer.emit('close'))
  await backend.forward(
    { ...call, headers: { ...call.headers, received: withoutThose(call.headers.received) } },
    answer,
  )
  const { statusCode: status } = answer
  // Not only 200: a registry, or a cache before it, may answer 203, or 206 although nobody asked for a part.
  const mayList = status < 400 && status !== 304
  const body = mayList ? await filtered(answer.body(), filter, response) : answer.body()
  const headers = [...(await headersOf(answer.flat, filter.pages)), 'Content-Length', String(body.length)]
  response.writeHead(status, undefined, headers)
  response.end(body)
}

function withoutThose(headers: readonly string[]): string[] {
  return headers.filter((_, i) => !WITHHELD.has((headers[i - (i % 2)] as string).toLowerCase()))
}

/** Passes on only what the protocol defines: anything else could hold names too. */
async function filtered(body: Buffer, { list, mayShow }: ListFilter, response: HttpResponse): Promise<Buffer> {
  const { name, ...found } = parsed(body)
  const entries = found[list] ?? []
  if (!Array.isArray(entries) || !(list in found)) throw unreadable()
  const kept: string[] = []
  // Whoever may push makes as many tags as he likes, and an awaited verdict that is there already lets nobody else have a turn.
  const turn = inTurns()
  for (const entry of entries) {
    // A program may be asked about each name: for a client that has left, it would be asked hundreds of thousands of times.
    if (response.closed) throw whyClosed(response.req.socket, 'the client left while its list was filtered')
    if (typeof entry === 'string' && (await mayShow(entry))) kept.push(entry)
    await turn()
  }
  return Buffer.from(`${JSON.stringify({ ...(list === 'tags' && { name }), [list]: kept })}\n`)
}

function parsed(body: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {
    // Reported below.
  }
  throw unreadable()
}

function unreadable(): GatewayError {
  return new GatewayError('GW_UPSTREAM_RESPONSE', 'the list of the registry is no JSON that can be filtered')
}

/** The answer's headers without its length, and with the Link that the client may see. */
async function headersOf(flat: readonly string[], pages: ListPages): Promise<string[]> {
  const kept: string[] = []
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const [name, value] = [flat[i] as string, flat[i + 1] as string]
    const folded = name.toLowerCase()
    const shown = folded === 'link' ? await pages.linked(value) : value
    if (folded !== 'content-length' && shown !== undefined) kept.push(name, shown)
  }
  return kept
}

/** Collects an answer in place of the client's response, within bounds. */
class CollectedAnswer extends EventEmitter implements HttpResponse {
  readonly req: HttpRequest
  readonly socket = null
  statusCode = 200
  shouldKeepAlive = true
  readonly headersSent = false
  readonly chunkedEncoding = false
  readonly writableEnded = false
  readonly writableFinished = false
  readonly writableLength = 0
  readonly destroyed = false
  readonly closed = false
  readonly persistence = ''
  readonly takesWhole = false
  flat: readonly string[] = []
  readonly #chunks: Buffer[] = []
  #size = 0

  constructor(req: HttpRequest) {
    super()
    this.req = req
  }

  body(): Buffer {
    if (this.#size > LARGEST_LIST) {
      throw new GatewayError('GW_UPSTREAM_RESPONSE', `a list of more than ${LARGEST_LIST} bytes`)
    }
    return Buffer.concat(this.#chunks)
  }

  writeHead(status: number, _message: string | undefined, headers: string[]): void {
    this.statusCode = status
    this.flat = headers
  }

  sendWhole(): void {}

  afterWrite(): void {}

  addTrailers(): void {}

  writeContinue(): void {}

  writeInformation(): void {}

  destroy(): void {}

  write(chunk: Buffer | string, encoding?: unknown): boolean {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk, encoding as BufferEncoding) : chunk
    this.#size += bytes.length
    if (this.#size <= LARGEST_LIST) this.#chunks.push(bytes)
    return true
  }

  end(chunk?: Buffer | string, encoding?: BufferEncoding): void {
    if (chunk !== undefined) this.write(chunk, encoding)
  }
}
