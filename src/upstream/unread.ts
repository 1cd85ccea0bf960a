import type { Socket } from 'node:net'
import { cutOff } from '../sockets/cut-off.ts'

/** Milliseconds between two checks of the watched sockets: `send_timeout` is exact to two of them. */
const INTERVAL = 500

interface Progress {
  readonly timeout: number
  /** Bytes that have left the process. */
  flushed: number
  since: number
}

const watched = new Map<Socket, Progress>()
let looking: NodeJS.Timeout | undefined

/**
 * Destroys a socket on which bytes wait but none has left for `timeout` milliseconds (nginx's `send_timeout`). The socket is forgotten once nothing
 * waits. One interval serves all sockets: a timer for each answer would cost more than most answers.
 */
export function watchUnread(socket: Socket, timeout: number): void {
  if (watched.has(socket)) return
  watched.set(socket, { timeout, flushed: -1, since: 0 })
  looking ??= setInterval(look, INTERVAL).unref()
}

function look(): void {
  const now = performance.now()
  for (const [socket, progress] of watched) {
    if (socket.destroyed || socket.writableLength === 0) watched.delete(socket)
    else judge(socket, progress, now)
  }
  if (watched.size > 0) return
  clearInterval(looking)
  looking = undefined
}

function judge(socket: Socket, progress: Progress, now: number): void {
  // `bytesWritten` counts what is still queued, too.
  const flushed = (socket.bytesWritten ?? 0) - socket.writableLength
  if (flushed !== progress.flushed) {
    progress.flushed = flushed
    progress.since = now
  } else if (now - progress.since >= progress.timeout) {
    cutOff(socket, `the client has read nothing for ${progress.timeout} ms (send_timeout)`)
  }
}
