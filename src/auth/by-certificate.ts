/** Rules that a certificate alone can satisfy: checked once per connection and not for each request. */
import type { AuthMethod, Caller, Identity, Outcome } from '../types.ts'

/** The certificate method's outcome, where it has been asked already. */
export type Asked = Outcome | Promise<Outcome> | undefined

export function startsWithCertificate({
  rules: [first],
  certificate,
}: {
  readonly rules: readonly (readonly AuthMethod[])[]
  readonly certificate: AuthMethod
}): boolean {
  return first?.length === 1 && first[0] === certificate
}

/**
 * A user whom a certificate alone let in is let in with each request of its connection, as long as the certificate's outcome is the same object.
 * @param known the identities that were made from one outcome alone
 * @param attempt checks all rules, given the certificate's outcome
 */
export function byCertificate(
  certificate: AuthMethod,
  known: WeakMap<Outcome, Identity>,
  attempt: (caller: Caller, progress: undefined, asked: Asked) => Identity | Promise<Identity>,
): (caller: Caller) => Identity | Promise<Identity> {
  const admitted = new WeakMap<Outcome, Identity>()
  return (caller) => {
    const asked = askSafely(certificate, caller)
    if (!asked || asked instanceof Promise) return attempt(caller, undefined, asked)
    const before = admitted.get(asked)
    if (before && before.expiresAt > Date.now()) return before
    const identity = attempt(caller, undefined, asked)
    // Where another method was needed as well, it is a different object.
    if (!(identity instanceof Promise) && identity === known.get(asked)) admitted.set(asked, identity)
    return identity
  }
}

/** Undefined where the method cannot decide. The chain then asks again, and reports it where no other rule is satisfied. */
function askSafely(method: AuthMethod, caller: Caller): Asked {
  try {
    return method.authenticate(caller)
  } catch {
    return undefined
  }
}
