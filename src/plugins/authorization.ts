/** Docker's authorization plugins (moby pkg/authorization): they must also agree before a request goes on. */
import { GatewayError } from '../errors.ts'
import { headerValues } from '../http-fields/header-values.ts'
import type { Caller, Identity } from '../types.ts'
import type { Plugin } from './plugin.ts'

/** What is withheld from plugins besides WITHHELD: the credentials of all methods that are set up, and what no client may say of itself. */
export interface Withheld {
  /** @param name in lower case */
  isHeader(name: string, value: string, caller: Caller): boolean
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
 * Asks each plugin in order. The first that denies ends it. One that cannot be reached neither denies nor allows: that is 503. Bodies stream through
 * the gateway, so plugins decide without them, and before the answer is known (there is no AuthZRes).
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

/**
 * The keys are those of moby's code; its documentation spells some differently. The request is described in one spelling, or another spelling could
 * evade what a plugin checks.
 */
function questionOf(caller: Caller, { user, methods }: Identity, withheld: Withheld): object {
  const { connection, method, destination } = caller
  const { certificate, verification } = connection
  return {
    ...(user && { User: user.name }),
    ...(methods.length > 0 && { UserAuthNMethod: methods.join(',') === 'certificate' ? 'TLS' : methods.join(',') }),
    RequestMethod: method,
    RequestUri: withheld.target(destination.path + destination.query),
    RequestHeaders: headersOf(caller, withheld),
    // Base64 of PEM text here, where the certificate mapper's question has base64 of DER.
    ...(certificate &&
      verification.result === 'SUCCESS' && {
        RequestPeerCertificates: [Buffer.from(certificate.pem).toString('base64')],
      }),
  }
}

/**
 * Names as Go writes them, whatever the client wrote. Of repeated headers moby passes on the last value; here a plugin sees all that the backend will
 * see.
 */
function headersOf(caller: Caller, withheld: Withheld): Record<string, string> {
  const { rawHeaders } = caller.request
  const named = namedInConnection(rawHeaders)
  const headers = new Map<string, string>()
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const lower = (rawHeaders[i] as string).toLowerCase()
    const value = rawHeaders[i + 1] as string
    if (WITHHELD.has(lower) || named.has(lower) || withheld.isHeader(lower, value, caller)) continue
    const name = lower.replace(/(?<=^|-)[a-z]/g, (letter) => letter.toUpperCase())
    const before = headers.get(name)
    headers.set(name, before === undefined ? value : `${before}, ${value}`)
  }
  return Object.fromEntries(headers)
}

/** The headers that end here: the backend does not get them either. */
function namedInConnection(rawHeaders: readonly string[]): ReadonlySet<string> {
  const options = headerValues(rawHeaders, 'connection').join().toLowerCase().split(',')
  return new Set(options.map((option) => option.trim()))
}
