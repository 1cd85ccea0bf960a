import type { Store } from '../types.ts'

/** Longer than anything that is issued: as good as for ever. */
const FOR_EVER = 10 * 365 * 24 * 3_600_000
const EPOCH = 'epoch:tokens'

/**
 * Which tokens are revoked. A store that lost its data, such as a Redis that restarted empty, cannot know what was revoked before. So an epoch is
 * kept beside the revocations, and every token that is older than it counts as revoked.
 */
export class Revocations {
  readonly #store: Store
  readonly #now: () => number

  constructor(store: Store, now: () => number = Date.now) {
    this.#store = store
    this.#now = now
  }

  /** @param expiresAt when the token ends by itself, in milliseconds since the epoch */
  revoke(id: string, expiresAt: number): void | Promise<void> {
    const left = expiresAt - this.#now()
    // A little longer, since clocks may differ.
    if (left > -CLOCK_SKEW) return this.#store.set(keyOf(id), '1', left + CLOCK_SKEW)
  }

  /** @param issuedAt in milliseconds since the epoch; @throws GatewayError GW_UNDECIDED where the store cannot be asked */
  isRevoked(id: string, issuedAt: number): boolean | Promise<boolean> {
    const found = this.#store.get(keyOf(id))
    const epoch = this.#store.get(EPOCH)
    if (found instanceof Promise || epoch instanceof Promise) return this.#whenKnown(issuedAt, found, epoch)
    return found !== undefined || !isSince(issuedAt, epoch === undefined ? (this.begin() as number) : Number(epoch))
  }

  async #whenKnown(
    issuedAt: number,
    found: string | undefined | Promise<string | undefined>,
    epoch: string | undefined | Promise<string | undefined>,
  ): Promise<boolean> {
    const [revoked, begun] = await Promise.all([found, epoch])
    return revoked !== undefined || !isSince(issuedAt, begun === undefined ? await this.begin() : Number(begun))
  }

  /** Starts the epoch now, unless it was started already. Call it before a token is issued, so that none is older. */
  begin(): number | Promise<number> {
    const now = this.#now()
    const added = this.#store.add(EPOCH, String(now), FOR_EVER)
    const known = (first: boolean): number | Promise<number> => {
      if (first) return now
      const epoch = this.#store.get(EPOCH)
      return epoch instanceof Promise ? epoch.then((text) => Number(text ?? now)) : Number(epoch ?? now)
    }
    return added instanceof Promise ? added.then(known) : known(added)
  }
}

/** An epoch that is no number, as in a store that somebody else wrote into, says nothing good of any token. */
function isSince(issuedAt: number, epoch: number): boolean {
  return issuedAt >= epoch
}

const CLOCK_SKEW = 60_000

function keyOf(id: string): string {
  return `revoked:${id}`
}
