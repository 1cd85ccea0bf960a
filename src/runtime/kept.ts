import type { SecureContext } from 'node:tls'
import type { OcspStatuses } from '../listener/ocsp.ts'
import type { Staple } from '../listener/stapling.ts'
import type { ServerCertificates } from '../listener/tls-servers.ts'
import type { KeyPair } from '../tls-cert-utils/key-pair.ts'
import type { TrustStore } from '../tls-cert-utils/trust-store.ts'

/** As they were read. */
export interface ReadCertificates extends ServerCertificates {
  readonly pairs: readonly KeyPair[]
}

/**
 * Objects that were made for the configuration in use, by a key that says everything they are made from. A reload makes only those anew that have
 * changed. Nobody may modify what is kept here.
 */
export class Kept<T extends object> {
  #inUse: ReadonlyMap<string, T> = new Map()
  #wanted = new Map<string, T>()

  /** What was kept last. */
  get inUse(): ReadonlySet<T> {
    return new Set(this.#inUse.values())
  }

  /** Call it when another configuration is being built. What a refused one had asked for is forgotten. */
  begin(): void {
    this.#wanted = new Map()
  }

  /** @throws what `make` throws; nothing is kept then */
  of(key: string, make: () => T): T {
    const known = this.#wanted.get(key) ?? this.#inUse.get(key) ?? make()
    this.#wanted.set(key, known)
    return known
  }

  /** Keeps what was asked for since `begin`, and nothing else. */
  commit(): void {
    this.#inUse = this.#wanted
  }
}

/** When each thing in use was issued, by a key that is the same for its successors. */
export class Issued {
  #inUse: ReadonlyMap<string, number> = new Map()
  #wanted = new Map<string, number>()

  begin(): void {
    this.#wanted = new Map()
  }

  /** When the one in use was; undefined without one. */
  note(key: string, since: number): number | undefined {
    this.#wanted.set(key, since)
    return this.#inUse.get(key)
  }

  commit(): void {
    this.#inUse = this.#wanted
  }
}

/** Reading ten thousand certificates takes seconds. A TLS context takes half a millisecond, and memory that V8 does not count. */
export class KeptMaterials {
  /** By the digest of certificate, key and passphrases. */
  readonly pairs = new Kept<KeyPair>()
  /** By the certificates of each, and how they are stapled. */
  readonly serverCertificates = new Kept<ReadCertificates>()
  /** Why certificates may be of no use, by what each is shown as and its digest. */
  readonly objections = new Kept<readonly string[]>()
  /** By the PEM text. */
  readonly stores = new Kept<TrustStore>()
  /** By the digest of all that they are made of. */
  readonly contexts = new Kept<SecureContext>()
  /** Revocation lists, by where they come from and of whom they speak. */
  readonly lists = new Issued()
  /** Answers of OCSP responders about clients, by the settings that they are asked with. */
  readonly statuses = new Kept<OcspStatuses>()
  /** Those about our own certificates, by the digest of certificate and settings. */
  readonly staples = new Kept<Staple>()
  readonly #all = [
    ...[this.pairs, this.serverCertificates, this.objections, this.stores, this.contexts],
    ...[this.lists, this.statuses, this.staples],
  ]

  begin(): void {
    for (const kept of this.#all) kept.begin()
  }

  commit(): void {
    for (const kept of this.#all) kept.commit()
  }
}
