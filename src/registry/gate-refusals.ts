/** How a gate refuses: distribution's errors, with the API's version, so that clients of registries understand them. */
import { type ErrorCode, GatewayError } from '../errors.ts'
import { API_VERSION } from './answer.ts'
import type { Resource } from './scope.ts'

function refusal(code: ErrorCode, registryCode: string, message: string, options: RefusalOptions): GatewayError {
  const { detail, resources = [], headers = [], cause } = options
  return new GatewayError(code, detail, {
    headers: [...API_VERSION, ...headers],
    body: { errors: [{ code: registryCode, message, detail: resources }] },
    ...(cause === undefined ? {} : { cause }),
  })
}

interface RefusalOptions {
  /** For the log. */
  readonly detail: string
  readonly resources?: readonly Resource[]
  readonly headers?: readonly string[]
  readonly cause?: unknown
}

export function unauthorized(challenge: string, detail: string): GatewayError {
  const headers = ['WWW-Authenticate', challenge]
  return refusal('GW_UNAUTHENTICATED', 'UNAUTHORIZED', 'authentication required', { detail, headers })
}

export function denied(resource: Resource, tag: string): GatewayError {
  const { type, name, actions } = resource
  const detail = `no right to ${actions.join(', ')} ${type} ${name}${tag === '' ? '' : ` with the tag ${tag}`}`
  return refusal('GW_FORBIDDEN', 'DENIED', 'requested access to the resource is denied', {
    detail,
    resources: [resource],
  })
}

export function notFound(detail: string): GatewayError {
  return refusal('GW_ROUTE_NOT_FOUND', 'UNSUPPORTED', 'The operation is unsupported.', { detail })
}

/** Translates a refusal of any other part of the gateway. */
export function inRegistryWords(error: GatewayError): GatewayError {
  if (error.body) return error
  const { code, headers, detail, cause } = error
  const { status, title, remedy } = error.entry
  return refusal(code, registryCode(status), `${title}: ${remedy}`, { detail, headers, cause })
}

function registryCode(status: number): string {
  if (status >= 502) return 'UNAVAILABLE'
  return CODES[status] ?? 'UNKNOWN'
}

const CODES: Readonly<Record<number, string>> = { 401: 'UNAUTHORIZED', 403: 'DENIED' }
