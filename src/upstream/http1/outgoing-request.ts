import type { Socket } from 'node:net'

/** One request, ready to be written. */
export interface OutgoingRequest {
  readonly method: string
  /** Request line and header lines, each ended by CR LF, without the empty line; one character for each byte. */
  readonly head: string
  /** All of it at once, or a stream; null for none. Its framing is in the head. */
  readonly body: Buffer | OutgoingBody | null
  readonly chunked: boolean
  readonly upgrade: boolean
}

/**
 * A body on its way out. It is no stream: what a Readable does for each chunk between two that hand it on as it comes is a tenth of an upload
 * (docs/performance.md).
 */
export interface OutgoingBody {
  /** All of it, where it is there already and is worth a copy; it does not flow then. */
  takeWhole?(): Buffer | undefined
  /** Asks for it, once; `sink` is told until it has ended or failed, or is given up. */
  flow(sink: BodySink): void
  /** What is under way may still come. */
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
