import { hash } from 'node:crypto'
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'
import { type CrlSource, inNatsWords, type LoadedConfig, type PemSource, type Secret } from '../config/index.ts'
import type { Problem } from '../errors.ts'
import type { CertificateInUse, CrlInUse } from '../metrics/metrics.ts'
import type { Slices } from '../slices.ts'
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import { CertificateError, type KeyPair, readKeyPair } from '../tls-cert-utils/key-pair.ts'
import type { RevocationList } from '../tls-cert-utils/revocation-list.ts'
import { readTrustStore, type TrustStore } from '../tls-cert-utils/trust-store.ts'
import { KeptMaterials, type ReadCertificates } from './kept.ts'
import { RevocationFiles } from './revocation/revocation-files.ts'
import { unusualKey } from './warnings/never-agrees.ts'
import {
  deadAuthorities,
  misplacedIssuer,
  missingIssuer,
  notForClients,
  notForServers,
  weakAuthorities,
} from './warnings/never-works.ts'

/** The certificate and key settings of one entity, and the name of the pair in logs and metrics. */
export interface PairSettings {
  /** none: whoever uses it names it again with a role. */
  readonly role: Exclude<CertificateInUse['role'], 'ca'> | 'none'
  readonly name: string
  readonly cert: PemSource
  readonly key: PemSource
  readonly passphrases: readonly Secret[]
  /** The setting to name where the key turns out to be encrypted. */
  readonly passphraseSetting: string
}

export interface NamedLists {
  readonly lists: readonly RevocationList[]
  readonly name: string
}

/**
 * Turns PEM settings into key pairs, trust stores and revocation lists. Each is read once. Problems are collected, so that all of them can be
 * reported.
 */
export class Materials {
  readonly problems: Problem[] = []
  /** Warnings, such as about an expired certificate. */
  readonly warnings: Problem[] = []
  readonly certificatesInUse: CertificateInUse[] = []
  readonly crlsInUse: CrlInUse[] = []
  readonly #locate: LoadedConfig['locate']
  readonly #files: RevocationFiles
  readonly #kept: KeptMaterials
  readonly #pairs = new Map<string, KeyPair | undefined>()
  readonly #stores = new Map<string, TrustStore | undefined>()
  readonly #lists = new Map<string, NamedLists>()
  readonly #shown: { readonly setting: string; readonly chain: readonly CertificateFacts[] }[] = []
  /** Of the trust stores, by subject. */
  readonly #intermediates = new Map<string, CertificateFacts>()
  readonly #now = Date.now()

  constructor(locate: LoadedConfig['locate'], files = new RevocationFiles(), kept = new KeptMaterials()) {
    this.#locate = locate
    this.#files = files
    this.#kept = kept
    kept.begin()
  }

  /** Undefined where the pair cannot be used; the problem is then reported. */
  keyPair(settings: PairSettings): KeyPair | undefined {
    const { role, name, cert, key, passphrases } = settings
    const source = { certificate: cert.read(), key: key.read(), passphrases: passphrases.map((p) => p.reveal()) }
    const digest = digestOf([source])
    const id = [role, name, digest].join('\0')
    if (this.#pairs.has(id)) return this.#pairs.get(id)
    const pair = this.#attempt(
      () => this.#kept.pairs.of(digest, () => readKeyPair(source)),
      (code) => (/KEY|PASSPHRASE/.test(code) ? key.setting : cert.setting),
      (code) => (code === 'KEY_ENCRYPTED' || code === 'WRONG_PASSPHRASE' ? ` Set ${settings.passphraseSetting}.` : ''),
    )
    this.#pairs.set(id, pair)
    const leaf = pair?.certificates[0]
    if (leaf && role !== 'none') {
      this.certificatesInUse.push({ role, name, ...inUse(pair.certificates) })
      this.#warnOfDates(cert.setting, leaf.notBefore, leaf.notAfter)
      const { objections } = this.#kept
      const found = objections.of(`${role} ${pair.fingerprint}`, () => objectionsTo(leaf, role))
      for (const message of found) this.warn(cert.setting, message)
      this.#shown.push({ setting: cert.setting, chain: pair.certificates })
    }
    return pair
  }

  /** One object for all names that show the same, also over reloads. @param stapling its settings are all that `stapleFor` depends on beside the certificates */
  serverCertificates(
    pairs: readonly KeyPair[],
    stapling?: { readonly settings: readonly unknown[]; readonly stapleFor: ReadCertificates['stapleFor'] },
  ): ReadCertificates {
    const shown = pairs.map(({ chainFingerprint }) => chainFingerprint).join()
    const key = stapling ? `${shown} ${JSON.stringify(stapling.settings)}` : shown
    return this.#kept.serverCertificates.of(key, () => ({ pairs, stapleFor: stapling?.stapleFor }))
  }

  /** @param ciphers of the connections in which it is used: they set OpenSSL's security level */
  trustStore(source: PemSource, name: string, ciphers = ''): TrustStore | undefined {
    const id = [name, source.setting, source.read(), ciphers].join('\0')
    if (this.#stores.has(id)) return this.#stores.get(id)
    const store = this.#attempt(
      () => this.#storeOf(source),
      () => source.setting,
    )
    this.#stores.set(id, store)
    for (const each of store?.certificates ?? []) this.certificatesInUse.push({ role: 'ca', name, ...inUse([each]) })
    for (const each of store?.certificates ?? []) if (!each.selfIssued) this.#intermediates.set(each.subject, each)
    const authorities = store?.certificates ?? []
    for (const message of [...deadAuthorities(authorities, this.#now), ...weakAuthorities(authorities, ciphers)])
      this.warn(source.setting, message)
    return store
  }

  /** The authorities of a source whose problems {@link trustStore} reports. None where it cannot be read. */
  authorities(source: PemSource): readonly CertificateFacts[] {
    try {
      return this.#storeOf(source).certificates
    } catch (error) {
      if (!(error instanceof CertificateError)) throw error
      return []
    }
  }

  /** What `use` makes of certificates that are to be shown; undefined where OpenSSL does not take them, which is reported. @param ciphers the setting that may allow more */
  taken<T>(setting: string, ciphers: string, use: () => T): T | undefined {
    try {
      return use()
    } catch (error) {
      const { code = '', reason } = error as NodeJS.ErrnoException & { reason?: string }
      if (reason === undefined || !code.startsWith('ERR_')) throw error
      const remedy = WEAKNESSES[code] ?? 'have another one issued'
      const message = `is refused by OpenSSL (${reason}): ${remedy.replace('CIPHERS', ciphers)}`
      const { path } = this.#locate(setting)
      // Many services may show the same.
      if (!this.problems.some((known) => known.path === path && known.message === message))
        this.problem(setting, message)
      return undefined
    }
  }

  /** One context for all users with the same `identity`, which must say everything that the context is made from. */
  secureContext(identity: readonly unknown[], options: () => SecureContextOptions): SecureContext {
    return this.#kept.contexts.of(digestOf(identity), () => createSecureContext(options()))
  }

  /** The lists of a source, and its name: the first source with the same lists gives it. */
  revocationLists(source: CrlSource): NamedLists | undefined {
    const lists = this.#attempt(
      () => this.#files.lists(source),
      () => source.setting,
    )
    if (!lists) return undefined
    for (const path of source.skipped)
      this.warn(source.setting, `${path} is skipped: it is no file, or a link that leads to none`)
    const digest = digestOf(lists.map((list) => list.digest))
    const known = this.#lists.get(digest)
    if (known) return known
    const named = { lists, name: source.name }
    this.#lists.set(digest, named)
    for (const { issuer, nextUpdate } of lists) {
      if (Number.isFinite(nextUpdate)) this.crlsInUse.push({ name: issuer, nextUpdate })
    }
    return named
  }

  /** When the list in use was issued whose place this one takes; undefined without one. @param key the same for both */
  issuedBefore(key: string, since: number): number | undefined {
    return this.#kept.lists.note(key, since)
  }

  /** Once all are read: what is missing from one chain may stand in any trust store. */
  *warnOfMissingIssuers(): Slices<void> {
    for (const { setting, chain } of this.#shown) {
      const message = misplacedIssuer(chain) ?? missingIssuer(chain, this.#intermediates)
      if (message !== undefined) this.warn(setting, message)
      yield
    }
  }

  /** Where many services have the same. */
  warnOnce(path: string, message: string): void {
    if (!this.warnings.some((known) => known.message === message)) this.warn(path, message)
  }

  warn(path: string, message: string): void {
    this.warnings.push({ ...this.#locate(path), message })
  }

  problem(path: string, message: string): void {
    this.problems.push({ ...this.#locate(path), message: inNatsWords(path, message) })
  }

  #storeOf(source: PemSource): TrustStore {
    return this.#kept.stores.of(source.read(), () => readTrustStore(source.read()))
  }

  #attempt<T>(
    read: () => T,
    settingOf: (code: string) => string,
    remedyOf: (code: string) => string = () => '',
  ): T | undefined {
    try {
      return read()
    } catch (error) {
      if (!(error instanceof CertificateError)) throw error
      this.problem(settingOf(error.code), error.message + remedyOf(error.code))
      return undefined
    }
  }

  #warnOfDates(setting: string, notBefore: number, notAfter: number): void {
    if (notAfter < this.#now) this.warn(setting, `the certificate expired on ${iso(notAfter)}`)
    if (notBefore > this.#now) this.warn(setting, `the certificate is not valid before ${iso(notBefore)}`)
  }
}

/** Why a certificate may be of no use. */
function objectionsTo(leaf: CertificateFacts, role: PairSettings['role']): readonly string[] {
  const unfit = { client: notForClients, server: notForServers, signing: undefined, none: undefined }[role]
  // Tokens are signed with keys that are of no use in TLS.
  return unfit ? [unfit(leaf), unusualKey(leaf)].filter((each) => each !== undefined) : []
}

const LOWER = 'or lower @SECLEVEL in CIPHERS (ciphers(1))'

/** What OpenSSL's security level refuses (SSL_CTX_set_security_level(3)), by its error. */
const WEAKNESSES: Readonly<Record<string, string>> = {
  ERR_SSL_EE_KEY_TOO_SMALL: `have it issued for a longer key (RSA: 2,048 bits, above @SECLEVEL=2 more), ${LOWER}`,
  ERR_SSL_CA_KEY_TOO_SMALL: `a certificate after the first has too short a key; have it issued by another authority, ${LOWER}`,
  ERR_SSL_CA_MD_TOO_WEAK: `a certificate after the first is signed with too weak a digest; have it issued by another authority, ${LOWER}`,
}

function inUse(chain: readonly CertificateFacts[]): Omit<CertificateInUse, 'role' | 'name'> {
  const last = chain.at(-1)
  return {
    notAfter: chain[0]?.notAfter ?? Number.NaN,
    subjects: chain.map(({ subject }) => subject),
    issuer: last?.selfIssued ? undefined : last?.issuer,
  }
}

/** SHA-256 over parts that cannot run into each other, lower-case hex. */
export function digestOf(parts: readonly unknown[]): string {
  return hash('sha256', JSON.stringify(parts), 'hex')
}

function iso(time: number): string {
  return new Date(time).toISOString()
}
