/** Requests of the bench itself: is a gateway up, does it do its job, and connections that only stay open. */
import { readFileSync } from 'node:fs'
import { get } from 'node:http'
import { type RequestOptions, request } from 'node:https'
import { connect, type TLSSocket } from 'node:tls'
import type { Pki } from './pki.ts'

/** How long one answer may take. */
const ANSWER_LIMIT_MS = 5_000

/**
 * What clients offer for the exchange of keys: what Debian's curl and ab offer first, and each gateway understands. Node also offers X25519MLKEM768, and
 * of these gateways only Sallyport would do that work, so that it has a row of its own.
 */
export const KEY_EXCHANGE = 'X25519:P-256:P-384'
/** As Node does by itself: with a share for each, so that no server has to ask once more. */
export const HYBRID_KEY_EXCHANGE = 'auto'

export interface Answer {
  readonly status: number
  readonly body: string
}

export interface Client {
  /** GET over a connection of its own; with the client's certificate unless told otherwise. Rejects without an answer. */
  ask(port: number, path: string, headers?: Record<string, string>, certificate?: boolean): Promise<Answer>
  /** A connection that has had one request answered and stays open. */
  hold(port: number): Promise<TLSSocket>
  /** A connection of one request that resumes this session, or has a full handshake without one. Resolves to the session to resume next. */
  resume(port: number, session: Buffer | undefined, options?: ResumeOptions): Promise<Buffer>
}

export interface ResumeOptions {
  readonly servername?: string
  readonly ecdhCurve?: string
}

export function makeClient(pki: Pki): Client {
  const ca = readFileSync(pki.ca)
  const anonymous = { ca, ecdhCurve: KEY_EXCHANGE }
  const known = {
    ...anonymous,
    cert: readFileSync(pki.client.certificate),
    key: readFileSync(pki.client.key),
  }
  return {
    ask: (port, path, headers = {}, certificate = true) =>
      ask({ port, path, headers, ...(certificate ? known : anonymous) }),
    hold: (port) =>
      new Promise((resolve, reject) => {
        const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ...known })
        socket.setTimeout(ANSWER_LIMIT_MS, () => socket.destroy(new Error('no answer on a new connection')))
        socket.once('error', reject).once('close', () => reject(new Error('a new connection was closed')))
        socket.once('data', () => {
          socket.setTimeout(0)
          resolve(socket)
        })
        socket.write(`GET / HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`)
      }),
    resume: (port, session, { servername = 'localhost', ecdhCurve = KEY_EXCHANGE } = {}) =>
      new Promise((resolve, reject) => {
        // Not every server gives a resumed session a ticket of its own.
        let next = session
        const socket = connect({
          host: '127.0.0.1',
          port,
          servername,
          ...known,
          ecdhCurve,
          ...(session && { session }),
        })
        socket.setTimeout(ANSWER_LIMIT_MS, () => socket.destroy(new Error('no answer on a new connection')))
        socket.once('secureConnect', () => {
          if (session && !socket.isSessionReused()) socket.destroy(new Error('the session was not resumed'))
          socket.write(`GET / HTTP/1.1\r\nHost: localhost:${port}\r\nConnection: close\r\n\r\n`)
        })
        socket.on('session', (ticket) => {
          next = ticket
        })
        socket.once('error', reject).resume()
        socket.once('close', () => (next ? resolve(next) : reject(new Error('no session ticket came'))))
      }),
  }
}

function ask(options: RequestOptions): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { host: `localhost:${options.port}`, ...options.headers }
    const fixed = { host: '127.0.0.1', servername: 'localhost', agent: false, timeout: ANSWER_LIMIT_MS } as const
    const outgoing = request({ ...options, ...fixed, headers }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk
      })
      response.once('error', reject).once('end', () => resolve({ status: response.statusCode ?? 0, body }))
    })
    outgoing.once('timeout', () => outgoing.destroy(new Error(`no answer within ${ANSWER_LIMIT_MS / 1000} s`)))
    outgoing.once('error', reject).end()
  })
}

/** The status of a plain HTTP GET, 0 where nobody answers. */
export function plainStatus(url: string): Promise<number> {
  return new Promise((resolve) => {
    const outgoing = get(url, { agent: false, timeout: ANSWER_LIMIT_MS }, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    outgoing.once('timeout', () => outgoing.destroy()).once('error', () => resolve(0))
  })
}

/**
 * Proves that a gateway does the whole job before it is measured. Throws what it does not do.
 * The upstream's /echo answers `verify|subject of the gateway's certificate|VERIFIED|DN|requests on this connection`.
 */
export async function checkGateway(client: Client, port: number): Promise<void> {
  const forged = { VERIFIED: 'forged', DN: 'CN=forged' }
  const first = await client.ask(port, '/echo', forged)
  // The second request may meet the second of two workers, but the third does not.
  await client.ask(port, '/echo', forged)
  const { status, body } = await client.ask(port, '/echo', forged)
  const [upstreamVerify, gatewayName, verified, name, requests] = body.split('|')
  const told = `the upstream saw ${JSON.stringify(body)}`
  if (first.status !== 200 || status !== 200) throw new Error(`answers ${first.status}, then ${status}`)
  if (upstreamVerify !== 'SUCCESS' || !gatewayName?.includes('CN=gateway'))
    throw new Error(`shows no certificate: ${told}`)
  if (verified !== 'SUCCESS') throw new Error(`sends no VERIFIED: SUCCESS: ${told}`)
  if (!name?.includes('CN=client') || name.includes('forged')) throw new Error(`sends no DN of the client: ${told}`)
  if (Number(requests) < 2) throw new Error(`does not reuse connections to the upstream: ${told}`)
  const stranger = await client.ask(port, '/echo', {}, false).catch(() => undefined)
  if (stranger && stranger.status < 400) throw new Error(`lets in a client without certificate: ${stranger.status}`)
}
