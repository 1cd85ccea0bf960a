/** A plugin as a method of the chain. */

import { headerValues } from '../../http-fields/header-values.ts'
import type { AuthMethod, Caller, Identity, Outcome, User, Users } from '../../types.ts'
import type { Plugin } from './plugin.ts'
import { type VerdictOptions, verdictOf } from './verdict.ts'

export interface PluginMethodOptions extends VerdictOptions {
  readonly name: string
  readonly realm: string
  readonly plugin: Plugin
  /** On routes: which header holds which member of the payload. */
  readonly payload: Readonly<Record<string, string>>
  /** The client's, also behind proxies of ours. */
  addressOf(caller: Caller): string
}

export function createPluginMethod(options: PluginMethodOptions): AuthMethod {
  const { name, realm, plugin } = options
  const members = Object.entries(options.payload).map(([member, header]) => [member, header.toLowerCase()] as const)
  const headers = new Set(members.map(([, header]) => header))
  const hints = Object.entries(options.payload).map(([member, header]) => `, ${member}="${header}"`)
  return {
    name,
    challenge: `${name} realm="${realm}"${hints.join('')}`,
    credential: { isHeader: (header) => headers.has(header) },
    async authenticate(caller: Caller, given?: unknown, found?: Identity): Promise<Outcome> {
      const payload = given ?? payloadOf(caller, members)
      if (payload === undefined) return { status: 'denied', reason: 'a header of its payload stands twice' }
      const call = {
        context: contextOf(caller, options.addressOf(caller)),
        payload,
        auth_context: authContextOf(found),
      }
      const outcome = verdictOf(await plugin.ask(call), found, options)
      return outcome.status === 'accepted' ? { ...outcome, proof: kindOf(outcome.user, options.users) } : outcome
    },
    // It cannot be asked again without the payload, so what is known of its user must do.
    ownerOf(kind, user) {
      const known = options.users.byId(user.id)
      return kind === 'brought' || (kind === 'found' && known) ? user : known
    },
  }
}

/** Tells users of the configuration, users whom another method found, and users whom only the plugin knows apart. */
function kindOf(user: User, users: Users): string {
  const known = users.byId(user.id)
  if (known === user) return 'known'
  return known ? 'found' : 'brought'
}

function payloadOf({ request }: Caller, members: readonly (readonly [string, string])[]) {
  const payload: Record<string, string> = {}
  for (const [member, header] of members) {
    const [value, ...more] = headerValues(request.rawHeaders, header)
    if (more.length > 0) return undefined
    if (value !== undefined) payload[member] = value
  }
  return payload
}

/** What a plugin is told about the request: only the headers of its payload. */
function contextOf(
  { id, method, destination, connection }: Caller,
  address: string,
): Readonly<Record<string, unknown>> {
  const { certificate, verification } = connection
  return {
    request_id: id,
    method,
    host: destination.host,
    path: destination.path,
    remote_address: address,
    verify: verification.result,
    ...(certificate && {
      certificate: { subject: certificate.subject, issuer: certificate.issuer, sha256: certificate.fingerprintSha256 },
    }),
  }
}

/** Keystone's words. */
function authContextOf(found: Identity | undefined): Readonly<Record<string, unknown>> {
  if (!found?.user) return { method_names: [] }
  const { user, methods, expiresAt, attributes } = found
  const ends = expiresAt === Number.POSITIVE_INFINITY ? {} : { expires_at: new Date(expiresAt).toISOString() }
  return { user_id: user.id, method_names: methods, ...ends, ...attributes }
}
