import { type ErrorCode, GatewayError } from '../errors.ts'

/** What node:http's parser refused, or undefined where the client just went away. */
export function malformedRequest(
  error: Error & { code?: string; reason?: string; rawPacket?: Buffer },
): GatewayError | undefined {
  const code = error.code ?? ''
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new GatewayError('GW_REQUEST_TIMEOUT', 'the head of a request did not come in time')
  if (code === 'HPE_HEADER_OVERFLOW')
    return new GatewayError(overflowCode(error.rawPacket), 'the head of a request is too large')
  if (code.startsWith('HPE_')) return new GatewayError('GW_BAD_REQUEST', `${code}: ${error.reason ?? error.message}`)
  return undefined
}

/** nginx tells a request line that is too long (414) from headers that are too large (400, 431 here). */
function overflowCode(packet: Buffer | undefined): ErrorCode {
  const lineEnds = packet?.indexOf('\n') ?? 0
  return lineEnds === -1 ? 'GW_URI_TOO_LONG' : 'GW_HEADERS_TOO_LARGE'
}
