import type { Socket } from 'node:net'
import { readClientHello } from '../tls-cert-utils/client-hello.ts'
import { readAhead } from './read-ahead.ts'

export type Hello =
  | { readonly status: 'hello'; readonly serverName: string | undefined }
  | { readonly status: 'plain_http' }
  | { readonly status: 'not_tls'; readonly reason: string }
  | { readonly status: 'gone'; readonly reason: string }

/**
 * Reads the ClientHello and puts it back, so that a TLS server can be chosen by it. `timeout` (ms) bounds the wait, readClientHello the
 * bytes. `done` is called once; the socket is then paused.
 */
export function awaitHello(socket: Socket, timeout: number, done: (hello: Hello) => void): void {
  const reasons = {
    timeout: `no complete ClientHello within ${timeout} ms`,
    closed: 'the client closed the connection before its ClientHello',
  }
  readAhead<Hello>(
    socket,
    {
      timeout,
      read(bytes) {
        const hello = readClientHello(bytes)
        return hello.status === 'incomplete' ? hello.needs : { outcome: hello, consumed: 0 }
      },
      gone: (why) => ({ status: 'gone', reason: reasons[why] }),
    },
    done,
  )
}
