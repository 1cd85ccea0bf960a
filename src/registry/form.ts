import type { HttpResponse } from '../http-messages.ts'
import type { Call } from '../types.ts'
import { readWholeBody } from '../whole-body.ts'

/** A form with a refresh token and a hundred scopes has a tenth of this. */
const LARGEST_FORM = 64 * 1024

/** Reads a form (application/x-www-form-urlencoded). @throws GatewayError where it is too large or too slow, or the client leaves */
export async function readForm(call: Call, response: HttpResponse): Promise<URLSearchParams> {
  return new URLSearchParams((await readWholeBody(call, response, LARGEST_FORM)).toString('utf8'))
}
