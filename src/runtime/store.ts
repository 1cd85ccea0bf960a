import type { StoreConfig } from '../config/index.ts'
import type { Log } from '../log/log.ts'
import { MemoryStore } from '../store/memory.ts'
import { RedisStore } from '../store/redis.ts'
import type { Store } from '../types.ts'
import { digestOf } from './materials.ts'

/** A store is kept over reloads that do not change its settings: what it remembers must not be forgotten. */
export interface StoreInUse {
  /** The same for settings that lead to the same store. */
  readonly id: string
  readonly store: Store
  /** Puts it in use in place of another, which is closed. Returns the one to go on with. */
  use(before: StoreInUse | undefined): StoreInUse
  close(): void
}

/**
 * The store for these settings: the one in use where that is the same. Nothing is connected before `use`.
 * @param shared used in place of an in-memory store of this process
 */
export function storeOf(config: StoreConfig, inUse: StoreInUse | undefined, log: Log, shared?: Store): StoreInUse {
  const id = idOf(config)
  return inUse?.id === id ? kept(inUse, config) : created(id, config, log, shared)
}

function idOf({ redis_url, redis_trusted_certificate, key_prefix, fail, timeout, max_entries }: StoreConfig): string {
  if (!redis_url) return 'memory'
  return digestOf([redis_url.reveal(), redis_trusted_certificate?.read(), key_prefix, fail, timeout, max_entries])
}

function kept(inUse: StoreInUse, { max_entries }: StoreConfig): StoreInUse {
  return {
    ...inUse,
    use: () => {
      if (inUse.store instanceof MemoryStore) inUse.store.resize(max_entries)
      return inUse
    },
  }
}

function created(id: string, config: StoreConfig, log: Log, shared: Store | undefined): StoreInUse {
  if (!config.redis_url) {
    const store = shared ?? new MemoryStore(config.max_entries)
    return inUseOf({ id, store, open: () => {}, close: () => {} })
  }
  const store = new RedisStore({
    url: config.redis_url.reveal(),
    ca: config.redis_trusted_certificate?.read(),
    keyPrefix: config.key_prefix,
    timeout: config.timeout,
    failOpen: config.fail === 'open',
    maxEntries: config.max_entries,
    changed: (state, reason) => {
      if (state === 'up') log.info({ reason }, 'the store in Redis answers')
      else log.error({ reason, fail: config.fail }, 'the store in Redis is away')
    },
    evicts: (policy) =>
      log.warn({ policy }, 'the store in Redis may forget revoked tokens when its memory is full; set noeviction'),
  })
  return inUseOf({ id, store, open: () => store.open(), close: () => store.close() })
}

function inUseOf(made: { id: string; store: Store; open: () => void; close: () => void }): StoreInUse {
  const { id, store, open, close } = made
  const inUse: StoreInUse = {
    id,
    store,
    use: (before) => {
      open()
      before?.close()
      return inUse
    },
    close,
  }
  return inUse
}
