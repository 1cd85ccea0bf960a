import { isIPv4, isIPv6 } from 'node:net'
import type { Slots } from '../process/open-files.ts'

export interface ConnectionLimitSettings {
  /** Open connections. */
  readonly maxConnections: number
  /** New connections per second, as NATS's `connection_rate_limit`; 0 for no limit. */
  readonly connectionRateLimit: number
  /** Open connections of one address; 0 for no limit. */
  readonly maxConnectionsPerAddress: number
}

/** Why a connection was refused before anything was read from it. */
export type LimitName = 'max_connections' | 'open_files' | 'connection_rate_limit' | 'max_connections_per_address'

/** Counts incoming connections, before TLS makes them expensive. */
export class ConnectionLimits {
  #settings: ConnectionLimitSettings
  readonly #slots: Slots
  #connections = 0
  readonly #open = new Map<string, number>()
  #tokens: number
  #filledAt = 0

  /** @param slots for the connections of all listeners together */
  constructor(settings: ConnectionLimitSettings, slots: Slots) {
    this.#settings = settings
    this.#slots = slots
    this.#tokens = settings.connectionRateLimit
  }

  apply(settings: ConnectionLimitSettings): void {
    this.#settings = settings
    this.#tokens = Math.min(this.#tokens, settings.connectionRateLimit)
  }

  /**
   * Takes a slot for one more connection, which `left` gives back, or names the limit that leaves none. node:net's own `maxConnections` is not used:
   * with node:cluster, a connection beyond it is passed from worker to worker as long as all of them are full.
   */
  come(now = performance.now()): LimitName | undefined {
    if (this.#connections >= this.#settings.maxConnections) return 'max_connections'
    if (!this.#rateAllows(now)) return 'connection_rate_limit'
    if (!this.#slots.enter()) return 'open_files'
    this.#connections += 1
    return undefined
  }

  left(): void {
    this.#connections -= 1
    this.#slots.leave()
  }

  /** Takes a slot for this address. Returns a function that gives it back; undefined where none is free. */
  enter(address: string): (() => void) | undefined {
    const client = clientOf(address)
    const open = this.#open.get(client) ?? 0
    const limit = this.#settings.maxConnectionsPerAddress
    if (limit > 0 && open >= limit) return undefined
    this.#open.set(client, open + 1)
    return () => {
      const left = (this.#open.get(client) ?? 1) - 1
      if (left === 0) this.#open.delete(client)
      else this.#open.set(client, left)
    }
  }

  /** As many as the limit says may come at once; after that they must come one by one. */
  #rateAllows(now: number): boolean {
    const limit = this.#settings.connectionRateLimit
    if (limit === 0) return true
    this.#tokens = Math.min(limit, this.#tokens + ((now - this.#filledAt) / 1000) * limit)
    this.#filledAt = now
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }
}

/** Whoever has one IPv6 address has the 2^64 addresses of its network, so they count as one. */
function clientOf(address: string): string {
  const mapped = address.replace(/^::ffff:/i, '')
  if (isIPv4(mapped) || !isIPv6(address)) return mapped
  const [head = '', tail = ''] = (address.split('%')[0] ?? '').split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === '' ? [] : tail.split(':')
  const gap = address.includes('::') ? Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0') : []
  return `${[...before, ...gap, ...after].slice(0, 4).join(':')}::/64`
}
