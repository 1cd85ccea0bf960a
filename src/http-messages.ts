/** A client's request and the answer to it, as the gateway sees them, whoever reads the one and writes the other. No code. */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import type { GatewayError } from './errors.ts'

/** A request as it was read, by node:http (`ClientRequest`) or without it (`WholeRequest`, `StreamedRequest`). */
export interface HttpRequest
  extends Readonly<
    Pick<
      IncomingMessage,
      'method' | 'url' | 'httpVersion' | 'httpVersionMajor' | 'httpVersionMinor' | 'socket' | 'complete'
    >
  > {
  /** Flat name, value list, as received; one character for each byte. */
  readonly rawHeaders: string[]
  /** All of the body, where it came with the head. */
  readonly wholeBody: Buffer | undefined
  /** The same as a stream, and any other body as it comes. */
  readonly body: RequestStream
}

/**
 * A body as it comes. Its chunks can also be taken without going through the stream: what a Readable does for each chunk is a twelfth of the cost of
 * a large upload (docs/performance-log.md).
 */
export interface RequestStream extends Readable {
  /**
   * Hands each chunk to `taker` as soon as it is read. `pause` and `resume` then hold back the client itself, without a queue in between.
   * @returns false where the body has to be read as a stream
   */
  handTo?(taker: BodyTaker): boolean
  /** The taker needs no more. What still comes is dropped. */
  takeBack?(): void
}

export interface BodyTaker {
  data(chunk: Buffer): void
  end(): void
}

/** The answer to a request: the part of node:http's ServerResponse that the gateway uses, and a faster way for answers that are complete at once. */
export interface HttpResponse {
  readonly req: HttpRequest
  /** Null while another answer is before it. */
  readonly socket: Socket | null
  readonly statusCode: number
  /** Whether the connection is kept after this answer; may be set until the head is written. */
  shouldKeepAlive: boolean
  readonly headersSent: boolean
  readonly chunkedEncoding: boolean
  readonly writableEnded: boolean
  readonly writableFinished: boolean
  /** Bytes that wait for the client. */
  readonly writableLength: number
  readonly destroyed: boolean
  /** It has ended, sent or not. */
  readonly closed: boolean
  /** Header lines that tell the client whether its connection is kept, and how long. */
  readonly persistence: string
  /** Whether this answer is the next on its connection and can be sent in one write. */
  readonly takesWhole: boolean
  /**
   * Sends the answer in one write. `takesWhole` must hold.
   * @param message from the status line to the end of the body, one character or byte for each byte; its length must be told in its head
   * @param done called when the message is no longer needed
   */
  sendWhole(status: number, message: string | Buffer, done?: () => void): void
  /**
   * Calls `then` once nothing of the answer waits to be written together with others: mostly at once.
   * @param then gets the reason where the client was gone before anything of it was written
   */
  afterWrite(then: (lost?: GatewayError) => void): void
  /** @param message undefined for the standard one. @param headers flat name, value list */
  writeHead(status: number, message: string | undefined, headers: string[]): unknown
  write(chunk: Buffer | string, done?: () => void): boolean
  end(): unknown
  end(chunk: Buffer | string | undefined, encoding?: BufferEncoding): unknown
  addTrailers(trailers: readonly [string, string][]): void
  writeContinue(): void
  /** @param headers flat name, value list: from an object, node:http would join repeated headers, which breaks cookies */
  writeInformation(status: number, headers: string[]): unknown
  destroy(): unknown
  on(event: 'close' | 'drain', listener: () => void): this
  once(event: 'close' | 'drain', listener: () => void): this
  off(event: 'close' | 'drain', listener: () => void): this
}
