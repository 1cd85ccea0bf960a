/** Docker's authorization plugins (moby pkg/authorization): one more that must agree before a request goes on. */
import { GatewayError } from '../errors.ts'
import type { Caller, Identity } from '../types.ts'
import type { Plugin } from './plugin.ts'

/** Headers that a plugin never sees: they hold credentials. */
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
export async function askPlugins(plugins: readonly Plugin[], caller: Caller, identity: Identity): Promise<void> {
  const question = questionOf(caller, identity)
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
function questionOf({ request, connection, method }: Caller, { user, methods }: Identity): object {
  const { certificate, verification } = connection
  const headers: Record<string, string> = {}
  for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
    const name = request.rawHeaders[i] as string
    if (!WITHHELD.has(name.toLowerCase())) headers[name] = request.rawHeaders[i + 1] as string
  }
  return {
    ...(user && { User: user.name }),
    ...(methods.length > 0 && { UserAuthNMethod: methods.join(',') === 'certificate' ? 'TLS' : methods.join(',') }),
    RequestMethod: method,
    RequestUri: request.url,
    RequestHeaders: headers,
    // Base64 of PEM text here, where the certificate mapper's question has base64 of DER.
    ...(certificate &&
      verification.result === 'SUCCESS' && {
        RequestPeerCertificates: [Buffer.from(certificate.pem).toString('base64')],
      }),
  }
}
