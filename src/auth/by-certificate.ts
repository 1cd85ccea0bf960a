/** Rules that a certificate alone may satisfy: weighed once per connection, not per request. */
import type { AuthMethod, Caller, Identity, Outcome } from '../types.ts'

/** What the certificate came to, where it has been asked about already. */
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
 * Whom a certificate let in by itself it lets in with each request of its connection, as long as its outcome is the same object.
 * @param known the identities that were made of one outcome alone
 * @param attempt all that the rules ask for, with what the certificate came to
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
    // Where something was needed besides, it is another object.
    if (!(identity instanceof Promise) && identity === known.get(asked)) admitted.set(asked, identity)
    return identity
  }
}

/** Undefined where it cannot be told: then the chain finds out, and says so where no other rule is satisfied. */
function askSafely(method: AuthMethod, caller: Caller): Asked {
  try {
    return method.authenticate(caller)
  } catch {
    return undefined
  }
}
