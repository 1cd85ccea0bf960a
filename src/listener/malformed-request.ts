import { type ErrorCode, GatewayError } from '../errors.ts'

/** The refusal for what node:http's parser rejected; undefined where the client just left. */
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
 * nginx distinguishes a request line that is too long (414) from headers that are too large (400, here 431). `packet` is the last one that came. If
 * it begins like a request, its longer part is to blame; in a later packet, a cookie or a token is more likely.
 */
function overflowCode(packet: Buffer | undefined): ErrorCode {
  if (packet === undefined || !/^[A-Z]+ \S/.test(packet.toString('latin1', 0, 64))) return 'GW_HEADERS_TOO_LARGE'
  const lineEnds = packet.indexOf('\n')
  return lineEnds === -1 || lineEnds > packet.length / 2 ? 'GW_URI_TOO_LONG' : 'GW_HEADERS_TOO_LARGE'
}
