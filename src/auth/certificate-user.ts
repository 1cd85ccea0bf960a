/** A token outlives the configuration that mapped the certificate to its user. So at each use, the certificate's user is looked up again. */
import type { AuthMethod, Caller, Outcome, User } from '../types.ts'

export interface Issued {
  /** The user at the time of issue. */
  readonly user: User
  /** The methods that found the user. */
  readonly methods: readonly string[]
}

/**
 * The user whom the certificate is mapped to now, with his current groups; the user at the time of issue where no certificate was involved. Undefined
 * where the certificate now belongs to somebody else or to nobody.
 * @param certificate the method of this name; undefined where none is set up
 * @throws GatewayError GW_UNDECIDED where the mapper cannot decide; as a rejection where it has to be waited for
 */
export function userOfCertificate(
  { user, methods }: Issued,
  caller: Caller,
  certificate: AuthMethod | undefined,
): User | undefined | Promise<User | undefined> {
  if (!methods.includes('certificate')) return user
  const mapped = (outcome: Outcome) =>
    outcome.status === 'accepted' && outcome.user.id === user.id ? outcome.user : undefined
  const outcome = certificate?.authenticate(caller)
  return outcome instanceof Promise ? outcome.then(mapped) : outcome && mapped(outcome)
}
