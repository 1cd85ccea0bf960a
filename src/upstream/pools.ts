import type { Places } from '../open-files.ts'
import { ConnectionPool, type PoolLimit, type PoolLimits, type PoolOwner } from './pool.ts'
import { createConnector, type UpstreamAddress, type UpstreamTls } from './tls-identity.ts'

export interface PoolSpecification {
  readonly address: UpstreamAddress
  /** Undefined for plain HTTP. */
  readonly tls: UpstreamTls | undefined
  readonly connectTimeout: number
  readonly limits: PoolLimits
}

/**
 * All connection pools of the process. Two services share one only where address, limits and the full TLS identity are
 * the same, compared as whole texts (a short hash let Kong mix them up). They live over reloads as long as they are used.
 */
export class Pools {
  readonly #pools = new Map<string, ConnectionPool>()
  readonly #owner: PoolOwner

  /** @param places of the connections of all pools together. @param refused hears of each request that got none */
  constructor(places: Places, refused: (reason: PoolLimit, origin: string) => void = () => {}) {
    const enter = () => places.enter() || (this.#closeOneIdle() && places.enter())
    this.#owner = { places: { enter, leave: () => places.leave() }, refused }
  }

  /** The pool for exactly this; `used` collects its key for {@link retireAllBut}. */
  get(specification: PoolSpecification, used: Set<string>): ConnectionPool {
    const { address, tls, connectTimeout, limits } = specification
    const key = JSON.stringify([address, tls?.identity ?? 'plain', connectTimeout, limits])
    used.add(key)
    const known = this.#pools.get(key)
    if (known) return known
    const pool = new ConnectionPool(textOf(address), createConnector(address, tls, connectTimeout), limits, this.#owner)
    this.#pools.set(key, pool)
    return pool
  }

  /** After a reload: what is not used any more, such as the pool of a rotated certificate, gets no new requests. */
  retireAllBut(used: ReadonlySet<string>): void {
    for (const [key, pool] of this.#pools) {
      if (used.has(key)) continue
      this.#pools.delete(key)
      pool.retire()
    }
  }

  /** What another target keeps for later makes room for what is needed now. */
  #closeOneIdle(): boolean {
    for (const pool of this.#pools.values()) if (pool.closeOneIdle()) return true
    return false
  }
}

function textOf(address: UpstreamAddress): string {
  if ('path' in address) return `unix:${address.path}`
  const { host, port } = address
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
