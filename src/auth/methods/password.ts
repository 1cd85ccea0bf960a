import type { AuthMethod, Caller, Outcome } from '../../types.ts'
import type { PasswordCheck } from '../passwords/check.ts'
import { isBasicHeader, readBasic } from './basic.ts'
import { objectAt, textAt } from './payload.ts'

export interface PasswordOptions {
  readonly check: PasswordCheck
  readonly realm: string
  /** The name to log in with, by the id and the name of the user: the Identity API's clients name those. */
  loginOf(user: string): string | undefined
}

/** A name and a password: `Authorization: Basic` at the gate, Keystone's `{"user": {"name", "password"}}` otherwise. */
export function createPasswordMethod({ check, realm, loginOf }: PasswordOptions): AuthMethod {
  const loginNamed = (user: unknown) => {
    const name = textAt(user, 'id') ?? textAt(user, 'name')
    return name === undefined || check.knows(name) ? name : (loginOf(name) ?? name)
  }
  return {
    name: 'password',
    challenge: `Basic realm="${realm}", charset="UTF-8"`,
    credential: { isHeader: isBasicHeader },
    authenticate(caller: Caller, payload?: unknown): Outcome | Promise<Outcome> {
      if (payload !== undefined) {
        const user = objectAt(payload, 'user')
        const password = textAt(user, 'password')
        const login = loginNamed(user)
        if (login === undefined || password === undefined)
          return { status: 'denied', reason: 'no name, or no password' }
        return check.check(login, password)
      }
      const given = readBasic(caller.request.rawHeaders)
      return given.status === 'given' ? check.check(given.name, given.secret) : given
    },
  }
}
