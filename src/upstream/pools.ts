import type { Slots } from '../process/open-files.ts'
import { type NameReporter, UpstreamName } from './names.ts'
import { ConnectionPool, type PoolLimit, type PoolLimits, type PoolOwner } from './pool.ts'
import { createConnector, type UpstreamAddress, type UpstreamTls } from './tls-identity.ts'

export interface PoolSpecification {
  readonly address: UpstreamAddress
  /** Undefined for plain HTTP. */
  readonly tls: UpstreamTls | undefined
  readonly connectTimeout: number
  /** For how many milliseconds the last addresses of a name may be used while it cannot be looked up. */
  readonly namesStaleFor: number
  readonly limits: PoolLimits
}

interface Pooled {
  readonly pool: ConnectionPool
  /** Undefined for a Unix socket. */
  readonly name: string | undefined
}

/**
 * All connection pools of the process. Two services share one only where address, limits and the full TLS identity are the same, compared as whole
 * texts (a short hash let Kong mix them up). They are kept over reloads as long as they are used.
 */
export class Pools {
  readonly #pools = new Map<string, Pooled>()
  readonly #names = new Map<string, UpstreamName>()
  readonly #owner: PoolOwner
  readonly #reportName: NameReporter | undefined

  /**
   * @param slots for the connections of all pools together
   * @param refused called for each request that got no connection
   * @param reportName called when a name cannot be looked up, and when it can be again
   * @param reached called when a target cannot be reached, and once it has answered again
   */
  constructor(
    slots: Slots,
    refused: (reason: PoolLimit, origin: string) => void = () => {},
    reportName?: NameReporter,
    reached: PoolOwner['reached'] = () => {},
  ) {
    this.#reportName = reportName
    const enter = () => slots.enter() || (this.#closeOneIdle() && slots.enter())
    this.#owner = { slots: { enter, leave: () => slots.leave() }, refused, reached }
  }

  /** The pool for exactly this specification; `used` collects its key for {@link retireAllBut}. */
  get(specification: PoolSpecification, used: Set<string>): ConnectionPool {
    const { address, tls, connectTimeout, namesStaleFor, limits } = specification
    const key = JSON.stringify([address, tls?.identity ?? 'plain', connectTimeout, namesStaleFor, limits])
    used.add(key)
    const known = this.#pools.get(key)
    if (known) return known.pool
    const name = 'host' in address ? address.host : undefined
    const addresses = name === undefined ? undefined : this.#nameOf(name).addresses(namesStaleFor)
    const connect = createConnector(address, tls, connectTimeout, addresses)
    const pool = new ConnectionPool(textOf(address), connect, limits, this.#owner)
    this.#pools.set(key, { pool, name })
    return pool
  }

  /** After a reload: pools that are no longer used, such as the pool of a rotated certificate, get no new requests. */
  retireAllBut(used: ReadonlySet<string>): void {
    const names = new Set<string | undefined>()
    for (const [key, { pool, name }] of this.#pools) {
      if (used.has(key)) {
        names.add(name)
        continue
      }
      this.#pools.delete(key)
      pool.retire()
    }
    for (const name of this.#names.keys()) if (!names.has(name)) this.#names.delete(name)
  }

  /** Shared by all pools with this name. */
  #nameOf(name: string): UpstreamName {
    const known = this.#names.get(name)
    if (known) return known
    const made = new UpstreamName(name, this.#reportName)
    this.#names.set(name, made)
    return made
  }

  /** Closes an idle connection of another target to make room for one that is needed now. */
  #closeOneIdle(): boolean {
    for (const { pool } of this.#pools.values()) if (pool.closeOneIdle()) return true
    return false
  }
}

function textOf(address: UpstreamAddress): string {
  if ('path' in address) return `unix:${address.path}`
  const { host, port } = address
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
