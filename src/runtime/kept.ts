import type { SecureContext } from 'node:tls'
import type { KeyPair } from '../tls-cert-utils/key-pair.ts'
import type { TrustStore } from '../tls-cert-utils/trust-store.ts'

/**
 * What was made for the configuration in use, by a key that says all that it was made of: a reload makes anew only what has changed.
 * Nobody may change what is kept here.
 */
export class Kept<T extends object> {
  #inUse: ReadonlyMap<string, T> = new Map()
  #wanted = new Map<string, T>()

  /** Another configuration is being built. What one that was refused had asked for is forgotten. */
  begin(): void {
    this.#wanted = new Map()
  }

  /** @throws what `make` throws, which is kept as little as what it would have made */
  of(key: string, make: () => T): T {
    const known = this.#wanted.get(key) ?? this.#inUse.get(key) ?? make()
    this.#wanted.set(key, known)
    return known
  }

  /** What was asked for since `begin` is in use now, and nothing else. */
  commit(): void {
    this.#inUse = this.#wanted
  }
}

/** Reading ten thousand certificates takes seconds, and a TLS context half a millisecond and memory that V8 does not see. */
export class KeptMaterials {
  /** By the digest of certificate, key and passphrases. */
  readonly pairs = new Kept<KeyPair>()
  /** By the PEM text. */
  readonly stores = new Kept<TrustStore>()
  /** By the digest of all that they are made of. */
  readonly contexts = new Kept<SecureContext>()
  readonly #all = [this.pairs, this.stores, this.contexts]

  begin(): void {
    for (const kept of this.#all) kept.begin()
  }

  commit(): void {
    for (const kept of this.#all) kept.commit()
  }
}
