/** Connections of clients that the gateway itself ends: the log must not say of their requests that the client has closed them. */
import type { Duplex } from 'node:stream'
import { type ErrorCode, GatewayError } from '../errors.ts'

const errors = new WeakMap<object, GatewayError>()

/** Destroys a client's connection. A request that it carries is logged with this reason. */
export function cutOff(socket: Duplex, reason: string, code: ErrorCode = 'GW_CLIENT_CLOSED'): void {
  errors.set(socket, new GatewayError(code, reason))
  socket.destroy()
}

/** Why a client's connection has closed before its request was over. @param unless what to say where the client has closed it */
export function whyClosed(socket: object, unless: string): GatewayError {
  return errors.get(socket) ?? new GatewayError('GW_CLIENT_CLOSED', unless)
}
