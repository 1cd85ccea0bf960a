/** Docker's authorization plugins (moby pkg/authorization): one more that must agree before a request goes on. */
import { GatewayError } from '../errors.ts'
import type { Caller, Identity } from '../types.ts'
import type { Plugin } from './plugin.ts'

/** What of a request a plugin is not told, besides WITHHELD: the credentials of all methods that are set up. */
export interface Withheld {
  /** @param name in lower case */
  isHeader(name: string, value: string): boolean
  /** The request's target without the keys that stand in its query. */
  target(target: string): string
}

/** Headers that hold credentials, whatever is set up. */
const WITHHELD = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'x-auth-token',
  'x-subject-token',
  'x-registry-auth',
  'x-registry-config',
])

/**
 * Asks each plugin in order; the first that denies ends it, and one that cannot be asked denies nothing and allows nothing: that is 503. Bodies
 * stream through the gateway, so that a plugin decides without them, and before the answer is known (there is no AuthZRes).
 *
 * @throws GatewayError GW_FORBIDDEN or GW_UNDECIDED
 */
export async function askPlugins(
  plugins: readonly Plugin[],
  caller: Caller,
  identity: Identity,
  withheld: Withheld,
): Promise<void> {
  const question = questionOf(caller, identity, withheld)
  for (const plugin of plugins) {
    const { Allow: allow, Msg: reason } = await ask(plugin, question)
    if (allow === true) continue
    const words = typeof reason === 'string' && reason !== '' ? reason.slice(0, MOST_WORDS) : 'no reason given'
    throw new GatewayError('GW_FORBIDDEN', `authorization denied by plugin ${plugin.name}: ${words}`)
  }
}

const MOST_WORDS = 500

async function ask(plugin: Plugin, question: object): Promise<Record<string, unknown>> {
  try {
    if (!(await plugin.implements()).includes('authz')) throw new Error('it does not implement authz')
    return await plugin.call('AuthZPlugin.AuthZReq', question)
  } catch (error) {
    const detail = `authorization plugin ${plugin.name} failed: ${(error as Error).message}`
    throw new GatewayError('GW_UNDECIDED', detail, { cause: error })
  }
}

/** The keys of moby's code; its documentation writes some of them differently. */
function questionOf({ request, connection, method }: Caller, { user, methods }: Identity, withheld: Withheld): object {
  const { certificate, verification } = connection
  const headers: Record<string, string> = {}
  for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
    const name = request.rawHeaders[i] as string
    const value = request.rawHeaders[i + 1] as string
    const lower = name.toLowerCase()
    if (!WITHHELD.has(lower) && !withheld.isHeader(lower, value)) headers[name] = value
  }
  return {
    ...(user && { User: user.name }),
    ...(methods.length > 0 && { UserAuthNMethod: methods.join(',') === 'certificate' ? 'TLS' : methods.join(',') }),
    RequestMethod: method,
    RequestUri: withheld.target(request.url ?? ''),
    RequestHeaders: headers,
    // Base64 of PEM text here, where the certificate mapper's question has base64 of DER.
    ...(certificate &&
      verification.result === 'SUCCESS' && {
        RequestPeerCertificates: [Buffer.from(certificate.pem).toString('base64')],
      }),
  }
}
