import type { Socket } from 'node:net'

/** One request, ready to be written. */
export interface OutgoingRequest {
  readonly method: string
  /** Request line and header lines, each ended by CR LF, without the empty line; one character for each byte. */
  readonly head: string
  /** A whole body, or one that flows; null for none. Its framing is in the head. */
  readonly body: Buffer | OutgoingBody | null
  readonly chunked: boolean
  readonly upgrade: boolean
}

/** A body on its way out. It is not a stream: a Readable between two that pass each chunk on costs a tenth of an upload (docs/performance-log.md). */
export interface OutgoingBody {
  /** The whole body, where it has arrived already and is small enough to copy; then it does not flow. */
  takeWhole?(): Buffer | undefined
  /** Starts the flow, once; `sink` is called until the body has ended, failed, or is given up. */
  flow(sink: BodySink): void
  /** A chunk that was already read may still come. */
  pause(): void
  resume(): void
  /** Nobody needs the rest. */
  giveUp(): void
}

export interface BodySink {
  data(chunk: Buffer): void
  end(): void
  failed(error: Error): void
}

/** One chunk of RFC 9112 7.1. @returns as `write`: whether the socket takes more */
export function writeChunk(socket: Socket, chunk: Buffer): boolean {
  socket.cork()
  socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1')
  socket.write(chunk)
  const more = socket.write('\r\n', 'latin1')
  socket.uncork()
  return more
}
