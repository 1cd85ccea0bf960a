import { headerValues } from '../../http-fields/header-values.ts'
import type { AuthMethod, Caller, Outcome, Users } from '../../types.ts'

export interface ExternalOptions {
  /** The header that holds the name, as `Remote-User`. */
  readonly header: string
  /** The addresses of the front servers that are believed. */
  readonly trusted: { has(address: string): boolean }
  readonly users: Users
}

/**
 * Like REMOTE_USER: a server in front has identified the user. From anybody else the header is ignored. The name is taken as it is: `@` separates
 * nothing (Keystone once took `ada@example.org` for a user of another domain).
 */
export function createExternalMethod({ header, trusted, users }: ExternalOptions): AuthMethod {
  const lowerCase = header.toLowerCase()
  return {
    name: 'external',
    credential: { isHeader: (name) => name === lowerCase },
    ownerOf: (name) => users.byName(name),
    authenticate({ request, connection }: Caller): Outcome {
      if (!trusted.has(connection.remoteAddress)) return { status: 'absent' }
      const values = headerValues(request.rawHeaders, lowerCase).filter((value) => value !== '')
      const name = values[0]
      if (name === undefined) return { status: 'absent' }
      if (values.length > 1) return { status: 'denied', reason: `more than one ${header}` }
      const user = users.byName(name)
      if (user) return { status: 'accepted', user, proof: name }
      return { status: 'denied', reason: `${header} names nobody who is known: ${JSON.stringify(name.slice(0, 64))}` }
    },
  }
}
