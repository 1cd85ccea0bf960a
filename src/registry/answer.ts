/** Answers in the form that clients of registries understand: JSON, with the API's version, and distribution's errors. */

import type { HttpResponse } from '../http-messages.ts'
import type { Resource } from './scope.ts'

/** Old clients recognise a registry by it, also on a 401. */
export const API_VERSION: readonly string[] = ['Docker-Distribution-Api-Version', 'registry/2.0']

export interface Answer {
  readonly status: number
  readonly body: object
  /** Flat name, value list. */
  readonly headers?: readonly string[]
}

export function send(response: HttpResponse, requestId: string, { status, body, headers = [] }: Answer): void {
  const text = `${JSON.stringify(body)}\n`
  response.writeHead(status, undefined, [
    'Content-Type',
    'application/json',
    'Content-Length',
    String(Buffer.byteLength(text)),
    // A token is a secret, and the next client may be allowed what this one is not.
    'Cache-Control',
    'no-store',
    'X-Content-Type-Options',
    'nosniff',
    'X-Request-ID',
    requestId,
    ...API_VERSION,
    ...headers,
  ])
  response.end(response.req.method === 'HEAD' ? undefined : text)
}

/** Those of distribution's codes that a gate uses. */
type RegistryErrorCode = 'UNAUTHORIZED' | 'DENIED' | 'UNSUPPORTED' | 'NAME_INVALID' | 'UNAVAILABLE'

const STATUS: Readonly<Record<RegistryErrorCode, number>> = {
  UNAUTHORIZED: 401,
  DENIED: 403,
  UNSUPPORTED: 405,
  NAME_INVALID: 400,
  UNAVAILABLE: 503,
}

/** The errors of a registry: clients print `message`. */
export function registryError(
  code: RegistryErrorCode,
  message: string,
  detail: readonly Resource[] = [],
  headers: readonly string[] = [],
): Answer {
  return { status: STATUS[code], body: { errors: [{ code, message, detail }] }, headers }
}

/** The errors of OAuth 2 (RFC 6749 5.2), which are Keycloak's too. */
export function oauthError(error: string, description: string, status = 400): Answer {
  return { status, body: { error, error_description: description } }
}
