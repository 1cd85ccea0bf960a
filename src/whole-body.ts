/** Reads a whole small body, for the services that the gateway answers itself. */

import { GatewayError } from './errors.ts'
import type { HttpResponse } from './http-messages.ts'
import { whyClosed } from './sockets/cut-off.ts'
import type { Call } from './types.ts'

/**
 * @param most bytes, whatever the listener allows
 * @throws GatewayError where it is too large or too slow, or the client leaves
 */
export function readWholeBody(call: Call, response: HttpResponse, most: number): Promise<Buffer> {
  const { request, limits, body } = call
  const bound = limits.maxBodySize > 0 ? Math.min(most, limits.maxBodySize) : most
  if (body.kind === 'none') return Promise.resolve(Buffer.alloc(0))
  if (body.kind === 'length' && body.length > bound) return Promise.reject(tooLarge(bound))
  if (request.wholeBody) return Promise.resolve(request.wholeBody)
  const stream = request.body
  if (call.expectContinue) response.writeContinue()
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const late = () =>
      done(() => reject(new GatewayError('GW_REQUEST_TIMEOUT', 'no whole body in client_body_timeout')))
    const timer = setTimeout(late, limits.bodyTimeout)
    const done = (settle: () => void): void => {
      clearTimeout(timer)
      stream.off('data', data).off('end', end).off('close', close).off('error', close)
      stream.pause()
      settle()
    }
    const data = (chunk: Buffer): void => {
      size += chunk.length
      if (size > bound) done(() => reject(tooLarge(bound)))
      else chunks.push(chunk)
    }
    const end = (): void => done(() => resolve(Buffer.concat(chunks)))
    const close = (): void => done(() => reject(whyClosed(request.socket, 'the client left within its body')))
    stream.on('data', data).on('end', end).on('close', close).on('error', close)
  })
}

function tooLarge(most: number): GatewayError {
  return new GatewayError('GW_BODY_TOO_LARGE', `a body of more than ${most} bytes`)
}
