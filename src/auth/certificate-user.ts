/** What is issued to the user of a certificate outlives the configuration that mapped it: whose the certificate is must be asked again at each use. */
import type { AuthMethod, Caller, Outcome, User } from '../types.ts'

export interface Issued {
  /** As it was when it was issued. */
  readonly user: User
  /** Those that found the user. */
  readonly methods: readonly string[]
}

/**
 * The user as the certificate is mapped now, groups included; the user as issued where no certificate had a part in it. Undefined where the
 * certificate belongs to somebody else now, or to nobody.
 * @param certificate the method of this name; undefined where none is set up
 * @throws GatewayError GW_UNDECIDED where the mapper cannot tell; as a rejection where it must be waited for
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
