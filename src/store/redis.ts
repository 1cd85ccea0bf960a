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

/** How long a connection lasts at least that is replaced by another in the hope of more, in milliseconds: nobody is answered meanwhile. */
const BETWEEN_RECONNECTS = 5000

/**
 * The store that several gateways share. A command is sent once and never repeated after a lost connection: a second INCR or SET NX would give a
 * wrong result.
 *
 * `failOpen` keeps a copy of everything that passes through here, answers from it while Redis is away, and writes it back when Redis returns, even if
 * empty. Without it, a command that Redis does not answer throws GW_UNDECIDED. A Redis that is full or read-only refuses what it should keep, but is
 * still asked for the rest.
 */
export class RedisStore implements Store {
  readonly #options: RedisStoreOptions
  readonly #redis: Redis
  readonly #copy: MemoryStore | undefined
  #state: 'starting' | 'up' | 'away' = 'starting'
  /** Settles with the first connection or its failure: the first requests wait for it. */
  readonly #start = Promise.withResolvers<void>()
  /** Keys that Redis has yet to be told of, as it was away or refused: the copy knows better. Those that are not in it were deleted. */
  readonly #owed = new Set<string>()
  #mayReconnectAt = 0

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
      // The primary that has taken over, often under the same name, is another one: this one refuses for as long as the connection lasts.
      reconnectOnError: (error) => error.message.startsWith('READONLY') && this.#mayReconnect(error.message),
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
        if (this.#copy && this.#owed.has(key)) return this.#copy.get(key)
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
    return this.#tell(
      key,
      async (redis) => void (await redis.set(key, value, 'PX', ttl)),
      () => {},
    )
  }

  add(key: string, value: string, ttlMilliseconds: number): Promise<boolean> {
    const ttl = wholeMilliseconds(ttlMilliseconds)
    return this.#tell(
      key,
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
    return this.#tell(
      key,
      async (redis) => void (await redis.del(key)),
      () => {},
    )
  }

  increment(key: string, ttlMilliseconds: number): Promise<number> {
    const ttl = wholeMilliseconds(ttlMilliseconds)
    return this.#tell(
      key,
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

  /** Asks for a change of this key. */
  #tell<T>(key: string, ask: (redis: Redis) => Promise<T>, away: (copy: MemoryStore) => T): Promise<T> {
    return this.#ask(
      async (redis) => {
        const answer = await ask(redis)
        // It takes what it is given again.
        if (this.#owed.size > 0 && this.#mayReconnect('it refused what it should keep')) redis.disconnect(true)
        return answer
      },
      (copy) => {
        if (this.#owed.size < this.#options.maxEntries) this.#owed.add(key)
        return away(copy)
      },
    )
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

  #mayReconnect(reason: string): boolean {
    if (this.#state !== 'up' || performance.now() < this.#mayReconnectAt) return false
    this.#mayReconnectAt = performance.now() + BETWEEN_RECONNECTS
    this.#turn('away', reason)
    return true
  }

  /** Redis may have restarted empty: what this gateway knows is written back before any command. */
  async #returned(): Promise<void> {
    try {
      await this.#giveBack(this.#copy)
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

  async #giveBack(copy: MemoryStore | undefined): Promise<void> {
    if (!copy) return
    const keys: string[] = []
    const pipeline = this.#redis.pipeline()
    for (const [key, value, ttl] of copy.entries()) {
      keys.push(key)
      pipeline.set(key, value, 'PX', wholeMilliseconds(ttl), 'NX')
    }
    for (const key of this.#owed) {
      if (copy.get(key) !== undefined) continue
      keys.push(key)
      pipeline.del(key)
    }
    const answers = (await pipeline.exec()) ?? []
    for (const [i, [error]] of answers.entries()) {
      const key = keys[i] as string
      if (!error) this.#owed.delete(key)
      // Redis answers and refuses: it is not away.
      else if (error.name === 'ReplyError') this.#owed.add(key)
      else throw error
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
