import type { Socket } from 'node:net'
import { type ClientHello, readClientHello } from '../tls-cert-utils/client-hello.ts'
import { readAhead } from './read-ahead.ts'

export type Hello =
  | Pick<ClientHello, 'status' | 'serverName' | 'sessionTicket'>
  | { readonly status: 'plain_http'; readonly accept: string | undefined }
  | { readonly status: 'not_tls'; readonly reason: string }
  | { readonly status: 'gone'; readonly reason: string }

/**
 * Reads the ClientHello and puts it back, so that a TLS server can be chosen by it. `timeout` (ms) bounds the time, readClientHello the bytes. `done`
 * is called once; the socket is then paused.
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
        if (hello.status === 'incomplete') return hello.needs
        const outcome = hello.status === 'plain_http' ? { ...hello, accept: acceptIn(bytes) } : hello
        return { outcome, consumed: 0 }
      },
      gone: (why) => ({ status: 'gone', reason: reasons[why] }),
    },
    done,
  )
}

/** The Accept header of a request, as far as it was received: a browser at the wrong port should see a page. */
function acceptIn(bytes: Buffer): string | undefined {
  const [head = ''] = bytes.toString('latin1', 0, MOST_OF_A_HEAD).split('\r\n\r\n')
  const values = [...head.matchAll(/^accept:(.*)$/gim)].map(([, value = '']) => value.trim())
  return values.length === 0 ? undefined : values.join(', ')
}

const MOST_OF_A_HEAD = 8 * 1024
