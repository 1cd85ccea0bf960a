import type { HttpRequest } from '../../../src/http-messages.ts'
import type { AuthMethod, Caller, Connection, Identity, Outcome, User } from '../../../src/types.ts'
import { fakeConnection } from '../../support/fake-connection.ts'

export function user(name: string, facts: Partial<User> = {}): User {
  return Object.freeze({ id: `id-of-${name}`, name, groups: [], customId: undefined, ...facts })
}

export const ada = user('ada')
export const bob = user('bob')

export interface CallerFacts {
  /** Flat. */
  readonly headers?: readonly string[]
  readonly query?: string
  readonly connection?: Partial<Connection>
}

export function caller({ headers = [], query = '', connection = {} }: CallerFacts = {}): Caller {
  return {
    id: 'request',
    request: { rawHeaders: [...headers] } as unknown as HttpRequest,
    connection: fakeConnection(connection),
    server: { name: 'api.test', policy: 'policy', verify: 'optional', mapper: undefined, verifyAndMap: false },
    method: 'GET',
    destination: { host: 'api.test', port: undefined, authority: 'api.test', path: '/', query },
  }
}

export interface ScriptedMethod extends AuthMethod {
  /** What the method was told about those before it, once for each time that it was asked. */
  readonly asked: (Identity | undefined)[]
}

/** A method that says what the test wants. */
export function method(
  name: string,
  outcome: Outcome | Promise<Outcome> | (() => Outcome | Promise<Outcome>),
  extra: Partial<AuthMethod> = {},
): ScriptedMethod {
  const asked: (Identity | undefined)[] = []
  return {
    name,
    challenge: `${name} realm="test"`,
    asked,
    authenticate(_caller, _payload, found) {
      asked.push(found)
      return typeof outcome === 'function' ? outcome() : outcome
    },
    ...extra,
  }
}

export const accepted = (who: User, more: object = {}): Outcome => ({ status: 'accepted', user: who, ...more })
export const denied = (reason = 'no'): Outcome => ({ status: 'denied', reason })
export const absent: Outcome = { status: 'absent' }

export function basic(name: string, password: string): string {
  return `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`
}
