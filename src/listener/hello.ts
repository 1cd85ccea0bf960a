import type { Socket } from 'node:net'
import { readClientHello } from '../tls-cert-utils/client-hello.ts'

export type Hello =
  | { readonly status: 'hello'; readonly serverName: string | undefined }
  | { readonly status: 'plain_http' }
  | { readonly status: 'not_tls'; readonly reason: string }
  | { readonly status: 'gone'; readonly reason: string }

/**
 * Reads the ClientHello and puts it back, so that a TLS server can be chosen by it. It may come in many segments, or never:
 * `timeout` (ms) bounds the wait, readClientHello the bytes. `done` is called once; the socket is then paused.
 */
export function awaitHello(socket: Socket, timeout: number, done: (hello: Hello) => void): void {
  let chunks: Buffer[] = []
  let size = 0
  /** Fewer bytes than this cannot be a whole ClientHello: reading them again each time would let a drip of bytes cost much. */
  let needed = 1
  const timer = setTimeout(
    () => finish({ status: 'gone', reason: `no complete ClientHello within ${timeout} ms` }),
    timeout,
  )
  const finish = (hello: Hello) => {
    clearTimeout(timer)
    socket.off('data', read).off('end', ended).off('close', ended)
    socket.pause()
    if (size > 0) socket.unshift(Buffer.concat(chunks))
    done(hello)
  }
  const ended = () => finish({ status: 'gone', reason: 'the client closed the connection before its ClientHello' })
  const read = (chunk: Buffer) => {
    chunks.push(chunk)
    size += chunk.length
    if (size < needed) return
    const bytes = Buffer.concat(chunks)
    chunks = [bytes]
    const result = readClientHello(bytes)
    if (result.status === 'incomplete') needed = result.needs
    else finish(result)
  }
  socket.on('data', read).once('end', ended).once('close', ended)
}
