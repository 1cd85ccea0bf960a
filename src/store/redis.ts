import { createRequire } from 'node:module'
import type * as IoRedis from 'ioredis'
import type { Redis } from 'ioredis'
import { GatewayError } from '../errors.ts'
import type { Store } from '../types.ts'
import { MemoryStore } from './memory.ts'

export interface RedisStoreOptions {
  /** `redis://` or `rediss://`, with user and password. */
  readonly url: string
  /** PEM, for `rediss://`; undefined trusts the public authorities. */
  readonly ca: string | undefined
  readonly keyPrefix: string
  /** Milliseconds for each answer. */
  readonly timeout: number
  /** Whether this gateway's own knowledge decides where Redis does not answer. */
  readonly failOpen: boolean
  /** How many entries this gateway keeps itself, for `failOpen`. */
  readonly maxEntries: number
  /** Called at each change; `reason` is for the log. */
  readonly changed: (state: 'up' | 'away', reason: string) => void
  /** Called when connected, with Redis's `maxmemory-policy`, where that lets it drop what it was given to keep. */
  readonly evicts: (policy: string) => void
}

/**
 * The store that several gateways share. A command is sent once and never repeated after a lost connection: a second INCR or SET NX would give a
 * wrong result.
 *
 * `failOpen` keeps a copy of everything that passes through here, answers from it while Redis is away, and writes it back when Redis returns, even if
 * empty. Without it, a command that Redis does not answer throws GW_UNDECIDED.
 */
export class RedisStore implements Store {
  readonly #options: RedisStoreOptions
  readonly #redis: Redis
  readonly #copy: MemoryStore | undefined
  #state: 'starting' | 'up' | 'away' = 'starting'
  /** Settles with the first connection or its failure: the first requests wait for it. */
  readonly #start = Promise.withResolvers<void>()

  constructor(options: RedisStoreOptions) {
    this.#options = options
    this.#copy = options.failOpen ? new MemoryStore(options.maxEntries) : undefined
    this.#redis = new (client().Redis)(options.url, {
      ...(options.ca === undefined ? {} : { tls: { ca: options.ca } }),
      keyPrefix: options.keyPrefix,
      connectTimeout: options.timeout,
      commandTimeout: options.timeout,
      // A Redis that hangs, or whose machine is gone, ends no connection: each command would be waited for, and kept until an answer comes.
      socketTimeout: options.timeout,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      retryStrategy: (attempt) => Math.min(attempt * 50, 1000),
      lazyConnect: true,
    })
    this.#redis.on('ready', () => void this.#returned())
    this.#redis.on('close', () => this.#turn('away', 'the connection ended'))
    this.#redis.on('error', (error: Error) => this.#turn('away', error.message))
  }

  /** Connects, and reconnects whenever the connection is lost. */
  open(): void {
    this.#redis.connect().catch((error: Error) => this.#turn('away', error.message))
  }

  get(key: string): Promise<string | undefined> {
    return this.#ask(
      async (redis) => {
        const value = await redis.get(key)
        if (value === null) return undefined
        if (this.#copy) this.#copy.set(key, value, Math.max(await redis.pttl(key), 1))
        return value
      },
      (copy) => copy.get(key),
    )
  }

  set(key: string, value: string, ttlMilliseconds: number): Promise<void> {
    const ttl = wholeMilliseconds(ttlMilliseconds)
    this.#copy?.set(key, value, ttl)
    return this.#ask(
      async (redis) => void (await redis.set(key, value, 'PX', ttl)),
      () => {},
    )
  }

  add(key: string, value: string, ttlMilliseconds: number): Promise<boolean> {
    const ttl = wholeMilliseconds(ttlMilliseconds)
    return this.#ask(
      async (redis) => {
        const first = (await redis.set(key, value, 'PX', ttl, 'NX')) === 'OK'
        if (first) this.#copy?.set(key, value, ttl)
        return first
      },
      (copy) => copy.add(key, value, ttl),
    )
  }

  delete(key: string): Promise<void> {
    this.#copy?.delete(key)
    return this.#ask(
      async (redis) => void (await redis.del(key)),
      () => {},
    )
  }

  increment(key: string, ttlMilliseconds: number): Promise<number> {
    const ttl = wholeMilliseconds(ttlMilliseconds)
    return this.#ask(
      async (redis) => {
        // In one transaction, so that no counter is ever without an end.
        const answers = await redis.multi().set(key, '0', 'PX', ttl, 'NX').incr(key).exec()
        const [error, count] = answers?.[1] ?? [new Error('no answer to INCR'), undefined]
        if (error || typeof count !== 'number') throw error ?? new Error('no count in the answer to INCR')
        this.#copy?.set(key, String(count), ttl)
        return count
      },
      (copy) => copy.increment(key, ttl),
    )
  }

  close(): void {
    this.#start.resolve()
    this.#redis.removeAllListeners('close')
    this.#redis.disconnect()
  }

  async #ask<T>(ask: (redis: Redis) => Promise<T>, away: (copy: MemoryStore) => T): Promise<T> {
    if (this.#state === 'starting') await this.#start.promise
    try {
      if (this.#state !== 'up') throw new Error('not connected')
      return await ask(this.#redis)
    } catch (cause) {
      if (cause instanceof GatewayError) throw cause
      if (this.#copy) return away(this.#copy)
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new GatewayError('GW_UNDECIDED', `the store in Redis gives no answer: ${reason}`, { cause })
    }
  }

  /** Redis may have restarted empty: what this gateway knows is written back before any command. */
  async #returned(): Promise<void> {
    try {
      const pipeline = this.#redis.pipeline()
      for (const [key, value, ttl] of this.#copy?.entries() ?? []) pipeline.set(key, value, 'PX', ttl, 'NX')
      for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error
      this.#turn('up', 'connected')
      void this.#redis.info('memory').then(
        (facts) => this.#checkEviction(facts),
        // Its user may not ask that.
        () => {},
      )
    } catch (error) {
      this.#turn('away', error instanceof Error ? error.message : String(error))
      this.#redis.disconnect(true)
    }
  }

  /** A revocation that is dropped for want of memory makes its token good again. */
  #checkEviction(facts: string): void {
    const of = (name: string) => new RegExp(`^${name}:(\\S+)`, 'm').exec(facts)?.[1]
    const policy = of('maxmemory_policy') ?? 'noeviction'
    if (policy !== 'noeviction' && of('maxmemory') !== '0') this.#options.evicts(policy)
  }

  #turn(state: 'up' | 'away', reason: string): void {
    this.#start.resolve()
    if (this.#state === state) return
    this.#state = state
    this.#options.changed(state, reason)
  }
}

/** Redis takes no fractions, and refuses a time of 0. */
function wholeMilliseconds(ttl: number): number {
  return Math.max(1, Math.ceil(ttl))
}

/** Loaded only when needed: it would take a tenth of each start. */
function client(): typeof IoRedis {
  return createRequire(import.meta.url)('ioredis') as typeof IoRedis
}
