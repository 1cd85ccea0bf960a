import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'

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

export interface OutgoingBody extends Readable {
  /** All of it, where it is there already and is worth a copy; it is not read as a stream then. */
  takeWhole?(): Buffer | undefined
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
