import type { HttpResponse } from '../http-messages.ts'
import type { Call } from '../types.ts'
import { type KeystoneError, requestIdHeader } from './keystone-error.ts'

export interface Answer {
  readonly status: number
  /** Undefined for none, as with 204. */
  readonly body?: object | undefined
  /** Flat name, value list. */
  readonly headers?: readonly string[]
  /** Why it is a refusal, for the log. */
  readonly reason?: string
}

export function send(response: HttpResponse, { id, method }: Call, { status, body, headers = [] }: Answer): void {
  const text = body === undefined ? '' : JSON.stringify(body)
  response.writeHead(status, undefined, [
    ...(body === undefined ? [] : ['Content-Type', 'application/json']),
    ...(status === 204 ? [] : ['Content-Length', String(Buffer.byteLength(text))]),
    // A token is a secret, and what one may see another may not.
    ...['Cache-Control', 'no-store', 'Vary', 'X-Auth-Token', 'X-Content-Type-Options', 'nosniff'],
    ...['X-Request-ID', id, ...requestIdHeader(id)],
    ...headers,
  ])
  response.end(method === 'HEAD' ? undefined : text)
}

/** @param base the address of the API, with /v3, for whoever must log in */
export function refusal(error: KeystoneError, base: string): Answer {
  const { status, body } = error
  const challenge = status === 401 ? ['WWW-Authenticate', `Keystone uri="${base}"`] : []
  return { status, body, headers: [...challenge, ...error.headers] }
}
