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

/**
 * nginx tells a request line that is too long (414) from headers that are too large (400, 431 here). The packet is the last one that came: where it begins like a
 * request, the longer of its two parts is to blame; of a later packet, a cookie or a token is likelier.
 */
function overflowCode(packet: Buffer | undefined): ErrorCode {
  if (packet === undefined || !/^[A-Z]+ \S/.test(packet.toString('latin1', 0, 64))) return 'GW_HEADERS_TOO_LARGE'
  const lineEnds = packet.indexOf('\n')
  return lineEnds === -1 || lineEnds > packet.length / 2 ? 'GW_URI_TOO_LONG' : 'GW_HEADERS_TOO_LARGE'
}
