/** The clients of the soak, and one exchange of HTTP with everything about it checked. */
import { randomBytes } from 'node:crypto'
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'
import { SAW } from './backend.ts'

/** Longer than anything takes here, even where the machine is busy. */
const ANSWER_LIMIT_MS = 60_000

/** Somebody who calls, and what the backend must be told of him. */
export interface Caller {
  readonly verified: 'SUCCESS' | 'NONE'
  /** Empty for somebody without a certificate. */
  readonly dn: string
  readonly tls: { readonly ca: string; readonly cert?: string; readonly key?: string }
}

export interface Exchange {
  readonly port: number
  readonly caller: Caller
  readonly agent: Agent
  readonly path: string
  readonly method?: string
  readonly headers?: OutgoingHttpHeaders
  /** Writes the body and ends it. */
  readonly send?: (request: NodeJS.WritableStream) => Promise<void>
  /** Reads the body to its end. */
  readonly receive?: (response: IncomingMessage) => Promise<void>
}

export interface Outcome {
  readonly status: number
  readonly code: string
}

/** What a forger would send; none of it may reach a backend. */
const FORGED = { VERIFIED: 'SUCCESS', DN: 'CN=forged', 'X-Client-Verify': 'SUCCESS' }

/** Connections of one caller, one at a time. */
export function agentFor({ tls }: Caller, options: { keepAlive: boolean; resumes: boolean }): Agent {
  return new Agent({
    ...tls,
    ...{ host: '127.0.0.1', servername: 'localhost', keepAlive: options.keepAlive },
    ...{ maxSockets: options.keepAlive ? 1 : 8, maxCachedSessions: options.resumes ? 10 : 0 },
  })
}

/** Sends one request and reads its answer. @throws where no whole answer comes, or one that belongs to somebody else */
export async function exchange(options: Exchange): Promise<Outcome> {
  const nonce = randomBytes(8).toString('hex')
  const response = await head(options, nonce)
  const status = response.statusCode ?? 0
  if (status === 200) {
    checkSaw(options.caller, (fact) => String(response.headers[SAW[fact]]), nonce)
    if (options.receive) await options.receive(response)
    else for await (const _ of response);
    return { status, code: '' }
  }
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += chunk
  return { status, code: /GW_\w+/.exec(text)?.[0] ?? '' }
}

/** @throws where the backend was told anything but the truth, or about another request */
export function checkSaw(caller: Caller, saw: (fact: keyof typeof SAW) => string, nonce: string): void {
  const { verified, dn } = caller
  if (saw('verified') === verified && saw('dn') === dn && saw('nonce') === nonce) return
  const seen = [saw('verified'), saw('dn'), saw('nonce') === nonce ? 'this request' : 'another request']
  throw new WrongAnswer(`the backend saw ${seen.join(', ')} instead of ${verified}, ${dn}`)
}

/** Not lost, but worse. */
export class WrongAnswer extends Error {}

function head({ port, caller, agent, path, method = 'GET', headers, send }: Exchange, nonce: string) {
  return new Promise<IncomingMessage>((resolve, reject) => {
    const request = httpsRequest({
      ...caller.tls,
      ...{ host: '127.0.0.1', servername: 'localhost', port, agent, path, method, timeout: ANSWER_LIMIT_MS },
      headers: { host: 'localhost', 'x-nonce': nonce, ...FORGED, ...headers },
    })
    request.once('response', resolve).on('error', reject)
    request.once('timeout', () => request.destroy(new Error(`nothing came for ${ANSWER_LIMIT_MS} ms`)))
    if (send) send(request).catch(reject)
    else request.end()
  })
}
