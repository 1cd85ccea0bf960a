import type { Socket } from 'node:net'

/** The result of the first bytes of a connection, and how many of them are used up; the rest is put back. */
export interface Read<T> {
  readonly outcome: T
  readonly consumed: number
}

/** Reads all bytes received so far. Returns a number where it needs at least that many bytes. */
export type Reader<T> = (bytes: Buffer) => Read<T> | number

export interface ReadAheadOptions<T> {
  /** Milliseconds for all bytes that `read` needs. */
  readonly timeout: number
  readonly read: Reader<T>
  readonly gone: (reason: 'timeout' | 'closed') => T
}

/**
 * Reads the beginning of a connection before anything else does. It may come in many segments, or never: `timeout` bounds the time, `read` the bytes.
 * `done` is called once; the socket is then paused.
 */
export function readAhead<T>(
  socket: Socket,
  { timeout, read, gone }: ReadAheadOptions<T>,
  done: (outcome: T) => void,
): void {
  let chunks: Buffer[] = []
  let size = 0
  /** `read` is not called with fewer bytes than this: otherwise a client that sends byte by byte would cost much. */
  let needed = 1
  const timer = setTimeout(() => finish({ outcome: gone('timeout'), consumed: 0 }), timeout)
  const finish = ({ outcome, consumed }: Read<T>) => {
    clearTimeout(timer)
    socket.off('data', take).off('end', ended).off('close', ended)
    socket.pause()
    if (size > consumed) socket.unshift(joined(chunks).subarray(consumed))
    done(outcome)
  }
  const ended = () => finish({ outcome: gone('closed'), consumed: 0 })
  const take = (chunk: Buffer) => {
    chunks.push(chunk)
    size += chunk.length
    if (size < needed) return
    const bytes = joined(chunks)
    chunks = [bytes]
    const result = read(bytes)
    if (typeof result === 'number') needed = result
    else finish(result)
  }
  // An earlier reader has left it paused.
  socket.on('data', take).once('end', ended).once('close', ended).resume()
}

/**
 * There is nearly always one chunk. A copy would come from the pool of small buffers: node:tls keeps a few bytes of it for the life of the
 * connection, and with them the whole pool buffer.
 */
function joined(chunks: readonly Buffer[]): Buffer {
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)
}
