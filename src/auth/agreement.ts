/** What the methods of a rule must agree on: Keystone's AuthContext. */
import type { Identity, Outcome } from '../types.ts'

type Accepted = Outcome & { readonly status: 'accepted' }

/** Keystone's attributes in which all methods must agree. Of all other attributes, the last method's value counts. */
const RECONCILED = ['project_id', 'domain_id', 'access_token_id'] as const

/** The methods that were passed themselves. Only these are steps of a rule: a token proves no password that was typed for this rule. */
export function stepsOf({ methods, inherited = [] }: Pick<Identity, 'methods' | 'inherited'>): readonly string[] {
  return inherited.length === 0 ? methods : methods.filter((name) => !inherited.includes(name))
}

/** All methods of both; inherited are those that neither has asked. */
export function together(
  one: Pick<Identity, 'methods' | 'inherited'>,
  other: Pick<Identity, 'methods' | 'inherited'>,
): Pick<Identity, 'methods' | 'inherited'> {
  const methods = [...new Set([...one.methods, ...other.methods])]
  const steps = new Set([...stepsOf(one), ...stepsOf(other)])
  const inherited = methods.filter((name) => !steps.has(name))
  return { methods: Object.freeze(methods), ...(inherited.length > 0 && { inherited: Object.freeze(inherited) }) }
}

export function identityOf(
  method: string,
  { user, credential, expiresAt, methods = [], attributes, proof }: Accepted,
): Identity {
  return Object.freeze({
    user,
    ...together({ methods: [method] }, { methods, inherited: methods }),
    credential,
    expiresAt: expiresAt ?? Number.POSITIVE_INFINITY,
    ...(attributes && { attributes: Object.freeze({ ...attributes }) }),
    ...(proof !== undefined && { proofs: [{ method, of: proof, user }] }),
  })
}

/** Adds what one more method found to `found`; an Error, for the log, where the two contradict each other. */
export function agree(found: Identity | undefined, method: string, outcome: Accepted): Identity | Error {
  const added = identityOf(method, outcome)
  if (!found) return added
  const before = found.methods.join(', ')
  if (found.user?.id !== outcome.user.id) {
    return new Error(`${method} found ${outcome.user.name}, but ${before} found ${found.user?.name}`)
  }
  for (const name of RECONCILED) {
    const [one, other] = [found.attributes?.[name], added.attributes?.[name]]
    // Keystone also takes a missing value for a contradiction, but only once both methods know the attribute.
    if (one !== undefined && other !== undefined && one !== other) {
      return new Error(`${method} and ${before} found different values of ${name}`)
    }
  }
  return Object.freeze({
    user: found.user,
    ...together(found, added),
    credential: added.credential ?? found.credential,
    expiresAt: Math.min(found.expiresAt, added.expiresAt),
    ...((found.attributes || added.attributes) && {
      attributes: Object.freeze({ ...found.attributes, ...added.attributes }),
    }),
    ...((found.proofs || added.proofs) && { proofs: [...(found.proofs ?? []), ...(added.proofs ?? [])] }),
  })
}
