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
  let bytes: Buffer = Buffer.alloc(0)
  const timer = setTimeout(
    () => finish({ status: 'gone', reason: `no complete ClientHello within ${timeout} ms` }),
    timeout,
  )
  const finish = (hello: Hello) => {
    clearTimeout(timer)
    socket.off('data', read).off('end', ended).off('close', ended)
    socket.pause()
    if (bytes.length > 0) socket.unshift(bytes)
    done(hello)
  }
  const ended = () => finish({ status: 'gone', reason: 'the client closed the connection before its ClientHello' })
  const read = (chunk: Buffer) => {
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
    const result = readClientHello(bytes)
    if (result.status !== 'incomplete') finish(result)
  }
  socket.on('data', read).once('end', ended).once('close', ended)
}
