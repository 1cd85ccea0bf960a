import { GatewayError } from '../errors.ts'
import { headerValues } from '../http-fields/header-values.ts'
import type { HttpResponse } from '../http-messages.ts'
import type { Call, Service } from '../types.ts'
import { readWholeBody } from '../whole-body.ts'
import { type Answer, refusal, send } from './answer.ts'
import { expecting, inKeystoneWords, KeystoneError } from './keystone-error.ts'
import { type Ask, handlerFor, type ResourceOptions } from './resources.ts'

/** A request to log in has a kilobyte. */
const LARGEST_BODY = 64 * 1024

export interface IdentityApiOptions extends ResourceOptions {
  readonly name: string
  /** The address where clients find it, without /v3; undefined: the address that they used. */
  readonly publicUrl: string | undefined
  /** Writes a line to the log. */
  readonly record: (fields: Readonly<Record<string, unknown>>, message: string) => void
}

/** Keystone's Identity API v3, for `openstack`, keystoneauth and other clients of it. */
export class IdentityApi implements Service {
  readonly name: string
  readonly #options: IdentityApiOptions

  constructor(options: IdentityApiOptions) {
    this.name = options.name
    this.#options = options
  }

  async forward(call: Call, response: HttpResponse): Promise<void> {
    call.record.service = this.name
    const { path, query } = split(call.target)
    const base = `${this.#options.publicUrl ?? addressOf(call, path)}/v3`
    send(response, call, await this.#answer({ call, query, base, body: () => readJson(call, response) }, path))
  }

  translateRefusal(error: GatewayError, requestId: string): GatewayError {
    return inKeystoneWords(error, requestId)
  }

  upgrade(): Promise<void> {
    return Promise.reject(new GatewayError('GW_BAD_REQUEST', 'the Identity API upgrades no connection'))
  }

  async #answer(ask: Ask, path: string): Promise<Answer> {
    try {
      const answer = await handlerFor(ask.call.method, path)(ask, this.#options)
      if (answer.reason !== undefined) this.#recordRefusal(ask.call, answer.status, answer.reason)
      return answer
    } catch (error) {
      if (!(error instanceof KeystoneError)) throw error
      this.#recordRefusal(ask.call, error.status, error.reason)
      return refusal(error, ask.base)
    }
  }

  #recordRefusal({ id, record }: Call, status: number, reason: string): void {
    this.#options.record({ request_id: id, service: this.name, status, reason, user: record.user }, 'identity refused')
  }
}

/** Path without the slash at its end, and query. */
function split(target: string): { readonly path: string; readonly query: URLSearchParams } {
  const at = target.indexOf('?')
  const path = at < 0 ? target : target.slice(0, at)
  return { path: path.replace(/(?<=.)\/$/, ''), query: new URLSearchParams(at < 0 ? '' : target.slice(at)) }
}

/** The address that the client used: its Host, and the part of the path that the route strips. */
function addressOf({ destination: { authority, path: whole } }: Call, path: string): string {
  const trimmed = whole.replace(/(?<=.)\/$/, '')
  const prefix = path === '/' ? trimmed : trimmed.endsWith(path) ? trimmed.slice(0, -path.length) : ''
  return `https://${authority}${prefix === '/' ? '' : prefix}`
}

/** Of brackets. 64 KB of them take ten times as long to read as other JSON, and written again for a method plugin they would overflow the stack. */
const DEEPEST = 256

/** Brackets within texts are none: those that close would make room for as many that open. */
function isDeep(json: Buffer): boolean {
  let depth = 0
  let inText = false
  for (let at = 0; at < json.length; at++) {
    const byte = json[at]
    if (byte === QUOTE) inText = !inText
    else if (inText) at += byte === BACKSLASH ? 1 : 0
    else if (byte === 0x5b || byte === 0x7b) depth += 1
    else if (byte === 0x5d || byte === 0x7d) depth -= 1
    if (depth > DEEPEST) return true
  }
  return false
}

/** Skips a byte order mark, and throws where the text is no UTF-8: a password in Latin-1 would be another one. */
const UTF8 = new TextDecoder('utf-8', { fatal: true })

const QUOTE = 0x22
const BACKSLASH = 0x5c

async function readJson(call: Call, response: HttpResponse): Promise<unknown> {
  const type = headerValues(call.request.rawHeaders, 'content-type').join().split(';')[0]?.trim().toLowerCase()
  const body = await readWholeBody(call, response, LARGEST_BODY)
  if (body.length > 0 && type !== '' && !/^application\/([\w.-]+\+)?json$/.test(type ?? ''))
    throw expecting('application/json', 'Content-Type header')
  if (isDeep(body)) throw expecting('valid JSON', 'request body')
  try {
    const read: unknown = body.length === 0 ? {} : JSON.parse(UTF8.decode(body))
    if (typeof read === 'object' && read !== null && !Array.isArray(read)) return read
  } catch {
    // Refused below, as is JSON that is no object.
  }
  throw expecting('valid JSON', 'request body')
}
