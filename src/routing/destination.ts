/** Reads where a request wants to go, from its target and its Host, strictly (RFC 9112 3.2). */
import { GatewayError } from '../errors.ts'
import type { Destination } from '../types.ts'
import { type Authority, parseAuthority, sameAuthority } from './authority.ts'
import { normalizePath } from './path.ts'

/** The request line and the Host of one request, as node:http gives them. */
export interface DestinationSource {
  readonly url?: string | undefined
  readonly method?: string | undefined
  readonly httpVersionMajor: number
  readonly httpVersionMinor: number
}

interface Target {
  readonly path: string
  readonly query: string
  /** Absolute-form only. */
  readonly authority: string | undefined
}

const QUERY = /^[!"$-~\x80-\xff]*$/
const ABSOLUTE_FORM = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)(.*)$/is

/**
 * @param host the value of the only Host header; undefined without one
 * @param request `OPTIONS *` gives the path `*`, which no route matches
 * @throws GatewayError GW_METHOD_NOT_ALLOWED for CONNECT and TRACE, GW_BAD_PATH, GW_BAD_REQUEST for everything else that is wrong
 */
export function readDestination(request: DestinationSource, host: string | undefined): Destination {
  const { url = '', method = '' } = request
  // CONNECT would turn us into a tunnel. TRACE returns the headers that we add, identity headers among them (RFC 9110 9.3.8).
  if (method === 'CONNECT' || method === 'TRACE') {
    throw new GatewayError('GW_METHOD_NOT_ALLOWED', `the method is ${method}`)
  }
  refuseVersion(request)
  const target = readTarget(url, method)
  const authority = readAuthority(host, target.authority, request.httpVersionMinor)
  return {
    host: authority?.host ?? '',
    port: authority?.port,
    authority: host ?? target.authority ?? '',
    path: target.path,
    query: target.query,
  }
}

function refuseVersion({ httpVersionMajor, httpVersionMinor }: DestinationSource): void {
  // The parser also accepts 0.9 and 2.0 in a request line, where neither is true.
  if (httpVersionMajor === 1 && (httpVersionMinor === 1 || httpVersionMinor === 0)) return
  throw badRequest(`HTTP/${httpVersionMajor}.${httpVersionMinor} is not served here`)
}

function readTarget(url: string, method: string): Target {
  if (url.charCodeAt(0) === 0x2f) return readOriginForm(url, undefined)
  if (url === '*' && method === 'OPTIONS') return { path: '*', query: '', authority: undefined }
  const parts = ABSOLUTE_FORM.exec(url)
  if (parts === null) throw badRequest('the target is neither a path nor a URL')
  const [, scheme = '', authority = '', rest = ''] = parts
  if (scheme.toLowerCase() !== 'https') throw badRequest(`the target's scheme is ${scheme}, not https`)
  return readOriginForm(rest.startsWith('/') ? rest : `/${rest}`, authority)
}

function readOriginForm(target: string, authority: string | undefined): Target {
  const mark = target.indexOf('?')
  if (mark === -1) return { path: normalizePath(target), query: '', authority }
  const query = target.slice(mark)
  if (!QUERY.test(query)) throw new GatewayError('GW_BAD_PATH', 'the query holds a control character, a blank or #')
  return { path: normalizePath(target.slice(0, mark)), query, authority }
}

function readAuthority(
  host: string | undefined,
  target: string | undefined,
  minorVersion: number,
): Authority | undefined {
  if (host === undefined && minorVersion >= 1) throw badRequest('HTTP/1.1 without Host')
  const fromHost = host === undefined ? undefined : parseAuthority(host)
  if (target === undefined) return fromHost
  const fromTarget = parseAuthority(target)
  // RFC 9112 3.2.2 says to believe the target. No honest client sends two different hosts, and a backend would believe Host.
  if (fromHost !== undefined && !sameAuthority(fromHost, fromTarget)) {
    throw badRequest('the target and Host name different places')
  }
  return fromTarget
}

function badRequest(detail: string): GatewayError {
  return new GatewayError('GW_BAD_REQUEST', detail)
}
