import type { AuthMethod, Caller, Outcome } from '../../types.ts'
import type { PasswordCheck } from '../passwords/check.ts'
import { isBasicHeader, readBasic } from './basic.ts'
import { objectAt, textAt } from './payload.ts'

export interface ApplicationCredentialOptions {
  readonly check: PasswordCheck
  readonly realm: string
  /** The id of a credential, by its name and its owner's name or id. */
  idOf(name: string, owner: string): string | undefined
}

/**
 * Keystone's credentials for programs: an id and a secret, which a user creates and revokes without touching the password. The user is always the
 * owner, whatever else the client says (CVE-2026-42998).
 */
export function createApplicationCredentialMethod({ check, realm, idOf }: ApplicationCredentialOptions): AuthMethod {
  return {
    name: 'application_credential',
    challenge: `Basic realm="${realm}", charset="UTF-8"`,
    credential: { isHeader: isBasicHeader },
    ownerOf: (proof) => check.ownerOf(proof),
    authenticate({ request }: Caller, payload?: unknown): Outcome | Promise<Outcome> {
      if (payload === undefined) {
        const given = readBasic(request.rawHeaders)
        return given.status === 'given' ? check.check(given.name, given.secret) : given
      }
      const secret = textAt(payload, 'secret')
      const id = textAt(payload, 'id') ?? namedId(payload, idOf)
      if (id === undefined || secret === undefined) return { status: 'denied', reason: 'no id, or no secret' }
      return check.check(id, secret)
    },
  }
}

function namedId(payload: unknown, idOf: ApplicationCredentialOptions['idOf']): string | undefined {
  const user = objectAt(payload, 'user')
  const name = textAt(payload, 'name')
  const owner = textAt(user, 'id') ?? textAt(user, 'name')
  // An unknown name is looked up all the same, so that it takes as long.
  return name === undefined || owner === undefined ? undefined : (idOf(name, owner) ?? `${owner}/${name}`)
}
