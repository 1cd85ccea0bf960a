/** Keystone's refusals, as its clients read them. */
import { GatewayError } from '../errors.ts'

export interface KeystoneErrorOptions {
  /** Why, for the log: clients never see it. */
  readonly reason?: string
  /** What stands under `error.identity`. */
  readonly identity?: Readonly<Record<string, unknown>>
  /** Flat name, value list. */
  readonly headers?: readonly string[]
}

const TITLES = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
} as const

export type KeystoneStatus = keyof typeof TITLES

export class KeystoneError extends Error {
  readonly status: KeystoneStatus
  readonly reason: string
  readonly identity: Readonly<Record<string, unknown>> | undefined
  readonly headers: readonly string[]

  constructor(status: KeystoneStatus, message: string, { reason, identity, headers }: KeystoneErrorOptions = {}) {
    super(message)
    this.name = 'KeystoneError'
    this.status = status
    this.reason = reason ?? message
    this.identity = identity
    this.headers = headers ?? []
  }

  get body(): object {
    const { status: code, message, identity } = this
    return { error: { code, message, title: TITLES[code], ...(identity && { identity }) } }
  }
}

export function expecting(attribute: string, target: string): KeystoneError {
  return new KeystoneError(
    400,
    `Expecting to find ${attribute} in ${target}. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.`,
  )
}

/** The same words whatever was wrong; only the log says more. */
export function unauthorized(reason: string, headers: readonly string[] = []): KeystoneError {
  return new KeystoneError(401, 'The request you have made requires authentication.', { reason, headers })
}

export function forbidden(reason: string): KeystoneError {
  return new KeystoneError(403, 'You are not authorized to perform the requested action.', { reason })
}

export function tokenNotFound(reason: string): KeystoneError {
  return new KeystoneError(404, 'Could not find token.', { reason })
}

/** Translates a refusal of any other part of the gateway: clients show the message only of such a body, and the request's id only of such a header. */
export function inKeystoneWords(error: GatewayError, requestId: string): GatewayError {
  const { code, detail, cause, members, entry } = error
  const message = `${entry.remedy} (${code})`
  return new GatewayError(code, detail, {
    cause,
    headers: [...error.headers, ...requestIdHeader(requestId)],
    body: { error: { code: entry.status, message, title: entry.title }, ...members },
  })
}

/** Under the name that OpenStack's clients look for. */
export function requestIdHeader(id: string): readonly string[] {
  return ['X-Openstack-Request-Id', `req-${id}`]
}
