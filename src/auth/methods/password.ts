import type { AuthMethod, Caller, Identity, Outcome, User, VirtualServer } from '../../types.ts'
import type { PasswordCheck } from '../passwords/check.ts'
import { isBasicHeader, readBasic } from './basic.ts'
import { objectAt, textAt } from './payload.ts'

export interface PasswordOptions {
  readonly check: PasswordCheck
  readonly realm: string
  /** Passwords that users give besides a certificate, as in NATS. */
  readonly besideCertificate: {
    readonly check: PasswordCheck
    /** Undefined for a user who has no password on this server. */
    keyOf(server: VirtualServer, user: User): string | undefined
  }
  /** The log-in name of the user with this id or name: clients of the Identity API send those. */
  loginOf(user: string): string | undefined
}

/** Checks a name and a password: from `Authorization: Basic` on routes, from Keystone's `{"user": {"name", "password"}}` otherwise. */
export function createPasswordMethod({ check, realm, loginOf, besideCertificate }: PasswordOptions): AuthMethod {
  const loginNamed = (user: unknown) => {
    const name = textAt(user, 'id') ?? textAt(user, 'name')
    return name === undefined || check.knows(name) ? name : (loginOf(name) ?? name)
  }
  return {
    name: 'password',
    challenge: `Basic realm="${realm}", charset="UTF-8"`,
    credential: { isHeader: isBasicHeader },
    ownerOf(proof, user) {
      if (!proof.startsWith(BESIDE)) return check.ownerOf(proof)
      // The certificate says who the user is.
      return besideCertificate.check.ownerOf(proof.slice(BESIDE.length)) && user
    },
    authenticate(caller: Caller, payload?: unknown, found?: Identity): Outcome | Promise<Outcome> {
      if (payload !== undefined) {
        const user = objectAt(payload, 'user')
        const password = textAt(user, 'password')
        const login = loginNamed(user)
        if (login === undefined || password === undefined)
          return { status: 'denied', reason: 'no name, or no password' }
        return check.check(login, password)
      }
      const given = readBasic(caller.request.rawHeaders)
      if (given.status !== 'given') return given
      // Such a password lets nobody in by itself, and the certificate, not the client, says who the user is.
      const user = found?.methods.includes('certificate') ? found.user : undefined
      const key = user && besideCertificate.keyOf(caller.server, user)
      if (!user || key === undefined) return check.check(given.name, given.secret)
      return asUser(user, besideCertificate.check.check(key, given.secret))
    },
  }
}

/** No name holds a NUL. */
const BESIDE = '\0'

async function asUser(user: User, checked: Outcome | Promise<Outcome>): Promise<Outcome> {
  const outcome = await checked
  return outcome.status === 'accepted' ? { status: 'accepted', user, proof: BESIDE + outcome.proof } : outcome
}
