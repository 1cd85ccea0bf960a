/** Reads a form (application/x-www-form-urlencoded) whole, within bounds. */
import type { ServerResponse } from 'node:http'
import { GatewayError } from '../errors.ts'
import type { Call } from '../types.ts'

/** A form with a refresh token and a hundred scopes has a tenth of this. */
const LARGEST_FORM = 64 * 1024

/** @throws GatewayError where it is too large or too slow, or the client leaves */
export function readForm(call: Call, response: ServerResponse): Promise<URLSearchParams> {
  const { request, limits, body } = call
  const most = limits.maxBodySize > 0 ? Math.min(LARGEST_FORM, limits.maxBodySize) : LARGEST_FORM
  if (body.kind === 'none') return Promise.resolve(new URLSearchParams())
  if (body.kind === 'length' && body.length > most) return Promise.reject(tooLarge(most))
  if (call.expectContinue) response.writeContinue()
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const timer = setTimeout(
      () =>
        done(() => reject(new GatewayError('GW_REQUEST_TIMEOUT', 'the form did not arrive in client_body_timeout'))),
      limits.bodyTimeout,
    )
    const done = (settle: () => void): void => {
      clearTimeout(timer)
      request.off('data', data).off('end', end).off('close', close).off('error', close)
      request.pause()
      settle()
    }
    const data = (chunk: Buffer): void => {
      size += chunk.length
      if (size > most) done(() => reject(tooLarge(most)))
      else chunks.push(chunk)
    }
    const end = (): void => done(() => resolve(new URLSearchParams(Buffer.concat(chunks).toString('utf8'))))
    const close = (): void => done(() => reject(new GatewayError('GW_CLIENT_CLOSED', 'the client left within a form')))
    request.on('data', data).on('end', end).on('close', close).on('error', close)
  })
}

function tooLarge(most: number): GatewayError {
  return new GatewayError('GW_BODY_TOO_LARGE', `a form of more than ${most} bytes`)
}
