import { isIPv4, isIPv6 } from 'node:net'

export interface ConnectionLimitSettings {
  /** New connections per second, as NATS's `connection_rate_limit`; 0 for no limit. */
  readonly connectionRateLimit: number
  /** Open connections of one address; 0 for no limit. */
  readonly maxConnectionsPerAddress: number
}

/** Why a connection was refused before anything was read from it. */
export type LimitName = 'max_connections' | 'connection_rate_limit' | 'max_connections_per_address'

/** Counts what comes in, before TLS makes it dear. */
export class ConnectionLimits {
  #settings: ConnectionLimitSettings
  readonly #open = new Map<string, number>()
  #tokens: number
  #filledAt = 0

  constructor(settings: ConnectionLimitSettings) {
    this.#settings = settings
    this.#tokens = settings.connectionRateLimit
  }

  apply(settings: ConnectionLimitSettings): void {
    this.#settings = settings
    this.#tokens = Math.min(this.#tokens, settings.connectionRateLimit)
  }

  /** Whether one more connection may come now. So many as the limit says may come at once; then they come one after the other. */
  mayCome(now = performance.now()): boolean {
    const limit = this.#settings.connectionRateLimit
    if (limit === 0) return true
    this.#tokens = Math.min(limit, this.#tokens + ((now - this.#filledAt) / 1000) * limit)
    this.#filledAt = now
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }

  /** Takes a place for this address. What is returned gives it back; undefined where there is none left. */
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
}

/** Whoever has one IPv6 address has the 2^64 of its network, so that these count as one. */
function clientOf(address: string): string {
  const mapped = address.replace(/^::ffff:/i, '')
  if (isIPv4(mapped) || !isIPv6(address)) return mapped
  const [head = '', tail = ''] = (address.split('%')[0] ?? '').split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === '' ? [] : tail.split(':')
  const gap = address.includes('::') ? Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0') : []
  return `${[...before, ...gap, ...after].slice(0, 4).join(':')}::/64`
}
