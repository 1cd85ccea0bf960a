import type { DemandsInForce } from '../listener/demand.ts'

/**
 * What policies currently demand, by policy id. Another `handshake_timeout` makes a new policy with the same id while connections of the old one
 * stay open. Both share one entry; otherwise a new revocation list would never reach the old connections. An entry lives as long as a policy of the
 * configuration or of an open connection uses it.
 */
export class Demands {
  readonly #byId = new Map<string, WeakRef<DemandsInForce>>()

  /** @param first the demands to begin with, where there is no entry for the id yet */
  of(id: string, first: DemandsInForce): DemandsInForce {
    const known = this.#byId.get(id)?.deref()
    if (known) return known
    for (const [gone, reference] of this.#byId) if (!reference.deref()) this.#byId.delete(gone)
    const made = { ...first }
    this.#byId.set(id, new WeakRef(made))
    return made
  }
}
