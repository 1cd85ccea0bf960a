/** The verified certificate of the connection as proof of a user: NATS's `verify_and_map`. */
import type { AuthMethod, Caller, CertificateMapper, Connection, Mapping, Outcome, User } from '../../types.ts'
import type { MappedUsers } from '../mapped-users.ts'

export interface CertificateMethodOptions {
  /** Kong's `default_consumer`: the user of a verified certificate that belongs to nobody else. */
  readonly fallback?: User | undefined
  /** Notes each user who is found. */
  readonly mappedUsers?: MappedUsers | undefined
}

interface Remembered {
  readonly mapper: CertificateMapper
  readonly outcome: Outcome
  /** In milliseconds since the epoch. */
  readonly until: number
}

const ABSENT: Outcome = Object.freeze({ status: 'absent' })

/** Asks the server's mapper once per connection: each of its requests gets the same outcome, as the same object. A failure is not remembered. */
export function createCertificateMethod({ fallback, mappedUsers }: CertificateMethodOptions = {}): AuthMethod {
  const known = new WeakMap<Connection, Remembered>()

  const settle = (caller: Caller, mapper: CertificateMapper, mapping: Mapping): Outcome => {
    const { connection } = caller
    if (mapping.status === 'mapped') mappedUsers?.note(caller, mapping)
    const outcome = Object.freeze(outcomeOf(mapping, connection, fallback))
    const { until = Number.POSITIVE_INFINITY } = mapping
    known.set(connection, { mapper, outcome, until })
    return outcome
  }

  return {
    name: 'certificate',
    authenticate(caller: Caller) {
      const { connection, server } = caller
      const { certificate, verification } = connection
      if (!certificate) return ABSENT
      if (verification.result !== 'SUCCESS')
        return denied(
          `the certificate is not verified (${verification.result === 'FAILED' ? verification.reason : 'off'})`,
        )
      const { mapper } = server
      if (!mapper) return denied(`server ${server.name} has no rules from certificates to users`)
      const remembered = known.get(connection)
      if (remembered?.mapper === mapper && isCurrent(remembered)) return remembered.outcome
      const mapping = mapper.map(certificate, connection)
      return mapping instanceof Promise
        ? mapping.then((settled) => settle(caller, mapper, settled))
        : settle(caller, mapper, mapping)
    },
  }
}

function isCurrent({ until }: Remembered): boolean {
  return until === Number.POSITIVE_INFINITY || Date.now() < until
}

function outcomeOf(mapping: Mapping, { expiresAt }: Connection, fallback: User | undefined): Outcome {
  if (mapping.status === 'mapped') {
    const { user, credential, requires } = mapping
    return { status: 'accepted', user, credential, requires, expiresAt }
  }
  if (fallback && !mapping.disabled) return { status: 'accepted', user: fallback, expiresAt }
  return denied(mapping.reason, mapping.headers)
}

function denied(reason: string, headers?: readonly string[]): Outcome {
  return { status: 'denied', reason, headers }
}
