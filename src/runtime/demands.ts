import type { DemandsInForce } from '../listener/demand.ts'

/**
 * What policies demand now, by policy id. A renewed server certificate makes another policy of the same id, while the connections of
 * the one before stay open: they share what is demanded, or a new revocation list would never reach those. It is kept for as long as
 * a policy has it, in the configuration or on a connection that is left of an older one.
 */
export class Demands {
  readonly #byId = new Map<string, WeakRef<DemandsInForce>>()

  /** @param first what nobody has by this id yet begins with */
  of(id: string, first: DemandsInForce): DemandsInForce {
    const known = this.#byId.get(id)?.deref()
    if (known) return known
    for (const [gone, reference] of this.#byId) if (!reference.deref()) this.#byId.delete(gone)
    const made = { ...first }
    this.#byId.set(id, new WeakRef(made))
    return made
  }
}
