import type { Duplex } from 'node:stream'

/** How long a client may leave the last bytes of its connection unread, in milliseconds. */
const LINGER = 2000

/**
 * Sends the last bytes of a connection, if any, and ends it. What the client still sends is read and dropped for a while: closing a socket with
 * unread data resets the connection, and the reset would overtake the answer. Then the socket is destroyed in any case: TLS sockets stay half open,
 * and a socket that is not read never notices that its peer has left.
 */
export function endGently(socket: Duplex, answer?: Buffer): void {
  socket.on('error', ignore)
  if (answer) socket.end(answer)
  else socket.end()
  socket.resume()
  let unwritten = Number.POSITIVE_INFINITY
  const timer = setInterval(() => {
    // The client still reads, only slowly.
    if (socket.writableLength > 0 && socket.writableLength < unwritten) unwritten = socket.writableLength
    else socket.destroy()
  }, LINGER)
  socket.once('close', () => clearInterval(timer))
}

function ignore(): void {}
