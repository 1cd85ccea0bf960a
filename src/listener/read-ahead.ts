import type { Socket } from 'node:net'

/** What the first bytes of a connection came to, and how many of them are used up; the rest is put back. */
export interface Read<T> {
  readonly outcome: T
  readonly consumed: number
}

/** Reads all bytes so far. A number: nothing can be told before there are so many. */
export type Reader<T> = (bytes: Buffer) => Read<T> | number

export interface ReadAheadOptions<T> {
  /** Milliseconds for everything that `read` waits for. */
  readonly timeout: number
  readonly read: Reader<T>
  readonly gone: (reason: 'timeout' | 'closed') => T
}

/**
 * Reads the beginning of a connection before anybody else does. It may come in many segments, or never: `timeout` bounds the
 * wait, `read` the bytes. `done` is called once; the socket is then paused.
 */
export function readAhead<T>(
  socket: Socket,
  { timeout, read, gone }: ReadAheadOptions<T>,
  done: (outcome: T) => void,
): void {
  let chunks: Buffer[] = []
  let size = 0
  /** With fewer bytes than this nothing can be told: reading them again each time would let a drip of bytes cost much. */
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
  // Whoever read before has left it paused.
  socket.on('data', take).once('end', ended).once('close', ended).resume()
}

/**
 * Nearly always it is one. A copy would come from the pool of small buffers, where node:tls keeps a few bytes of its own as long as the
 * connection lives, and with them all that stands beside them.
 */
function joined(chunks: readonly Buffer[]): Buffer {
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)
}
