import type { CrlFetchConfig } from '../config/index.ts'
import type { Log } from '../log.ts'
import type { CrlInUse, Metrics } from '../metrics.ts'
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import { readWhole } from '../tls-cert-utils/der.ts'
import { CRL_DISTRIBUTION_POINTS, readDistributionPoints, readExtensions } from '../tls-cert-utils/extensions.ts'
import { isNamedBy } from '../tls-cert-utils/revocation.ts'
import { jointStatement, type RevocationList } from '../tls-cert-utils/revocation-list.ts'
import type { FetchedStatements } from './fetched-statements.ts'
import { downloadLists } from './list-download.ts'

/** How often it is looked whether a list must be fetched again, in milliseconds, where `interval` is not shorter. */
const TICK = 15_000
/** Until all connections have been judged again, in milliseconds and with much to spare. */
const SEEKING = 30_000
/** A list is fetched again so long before its next update. */
const MARGIN = 60_000
/** An address that gave no list is left alone for so long: handshakes would ask it again and again. */
const RETRY_PAUSE = 5_000
const LONGEST_ADDRESS = 2048
/** So many addresses of one certificate are tried, one after the other. */
const MOST_ADDRESSES = 4

interface Entry {
  /** The same addresses under another issuer would be another list. */
  readonly source: string
  /** Of the same list, in the order in which they are tried. */
  readonly addresses: readonly string[]
  readonly issuer: CertificateFacts
  lists: readonly RevocationList[]
  /** What they say; nothing before there are any. */
  statement: string
  usedAt: number
  /** Since when it is asked whether a connection still rests on it. */
  soughtAt: number | undefined
  fetchAgainAt: number
  pending: Promise<void> | undefined
}

/**
 * Revocation lists from the addresses that certificates name, fetched when a certificate first needs one and again before they grow stale. Only
 * certificates that were verified are looked at: nobody else can make the gateway open a connection. A failure is never an answer, it leaves what was known.
 */
export class ListFetcher {
  readonly #log: Log
  readonly #metrics: Pick<Metrics, 'crlFetched'>
  readonly #statements: FetchedStatements
  readonly #entries = new Map<string, Entry>()
  readonly #addresses = new WeakMap<CertificateFacts, readonly string[]>()
  #limits: CrlFetchConfig | undefined
  #timer: NodeJS.Timeout | undefined
  /** Called when open connections must be judged again: a list has come that replaces another, or it must be known which of them still rest on one. */
  onReplaced: (() => void) | undefined

  constructor(log: Log, metrics: Pick<Metrics, 'crlFetched'>, statements: FetchedStatements) {
    this.#log = log
    this.#metrics = metrics
    this.#statements = statements
    statements.onChanged = (source, statement) => this.#catchUp(source, statement)
  }

  /** Sessions are good for one edition of what has been fetched. */
  get edition(): number {
    return this.#statements.edition
  }

  get inUse(): CrlInUse[] {
    return [...this.#entries.values()].flatMap(({ lists, issuer }) =>
      lists
        .filter(({ nextUpdate }) => Number.isFinite(nextUpdate))
        .map(({ nextUpdate }) => ({ name: issuer.subject, nextUpdate })),
    )
  }

  /** Takes the limits of a new configuration. */
  apply(limits: CrlFetchConfig): void {
    this.#limits = limits
    clearInterval(this.#timer)
    this.#timer = setInterval(() => this.#tick(), Math.min(TICK, limits.interval)).unref()
  }

  /** What has been fetched for a certificate; what has not will be. */
  lists(certificate: CertificateFacts, issuer: CertificateFacts): readonly RevocationList[] {
    const entry = this.#entryFor(certificate, issuer)
    if (entry && entry.lists.length === 0) void this.#fetch(entry)
    return entry?.lists ?? []
  }

  /** Waits for the lists that a verified chain still lacks; undefined where it lacks none. */
  prepare(chain: readonly CertificateFacts[]): Promise<void> | undefined {
    const missing = chain.flatMap((certificate, at) => {
      const issuer = chain[at + 1]
      const entry = issuer && this.#entryFor(certificate, issuer)
      return entry && entry.lists.length === 0 ? (this.#fetch(entry) ?? []) : []
    })
    return missing.length > 0 ? Promise.all(missing).then(() => {}) : undefined
  }

  #entryFor(certificate: CertificateFacts, issuer: CertificateFacts): Entry | undefined {
    const addresses = this.#addressesOf(certificate)
    if (addresses.length === 0 || !this.#limits) return undefined
    const source = [issuer.publicKeySha256, ...addresses].join(' ')
    const entry = this.#entries.get(source) ?? {
      source,
      addresses,
      issuer,
      lists: [],
      statement: '',
      usedAt: 0,
      soughtAt: undefined,
      fetchAgainAt: 0,
      pending: undefined,
    }
    entry.usedAt = Date.now()
    entry.soughtAt = undefined
    // Whoever was used last stands last.
    this.#entries.delete(source)
    this.#entries.set(source, entry)
    const oldest = this.#entries.keys().next().value
    if (this.#entries.size > this.#limits.max_lists && oldest !== undefined) this.#entries.delete(oldest)
    return entry
  }

  #addressesOf(certificate: CertificateFacts): readonly string[] {
    const known = this.#addresses.get(certificate)
    if (known) return known
    const addresses = addressesIn(certificate)
    this.#addresses.set(certificate, addresses)
    return addresses
  }

  /** One question at a time for each list; undefined where the last one has just failed. */
  #fetch(entry: Entry): Promise<void> | undefined {
    if (entry.pending) return entry.pending
    if (!this.#limits || Date.now() < entry.fetchAgainAt) return undefined
    const { interval } = this.#limits
    entry.pending = this.#download(entry, this.#limits)
      .then(
        (lists) => {
          const nextUpdate = Math.min(...lists.map((list) => list.nextUpdate))
          const soonest = Date.now() + Math.min(RETRY_PAUSE, interval)
          entry.fetchAgainAt = Math.max(soonest, Math.min(Date.now() + interval, nextUpdate - MARGIN))
          this.#take(entry, lists)
          this.#metrics.crlFetched(true)
        },
        () => {
          entry.fetchAgainAt = Date.now() + RETRY_PAUSE
          this.#metrics.crlFetched(false)
        },
      )
      .finally(() => {
        entry.pending = undefined
      })
    return entry.pending
  }

  /** From the first address that has one, within the time for all of them. @throws Error */
  async #download(entry: Entry, { timeout, max_size: maxSize }: CrlFetchConfig): Promise<readonly RevocationList[]> {
    const end = Date.now() + timeout
    let left = entry.addresses.length
    for (const address of entry.addresses) {
      try {
        const time = Math.max(1, Math.floor((end - Date.now()) / left--))
        const fetched = await downloadLists(address, entry.issuer.pem, { timeout: time, maxSize })
        const lists = listsToTake(fetched, entry, Date.now())
        this.#log.info({ address, lists: lists.length }, 'revocation list fetched')
        return lists
      } catch (error) {
        this.#log.warn({ address, reason: (error as Error).message }, 'revocation list cannot be fetched')
      }
    }
    throw new Error('no address has a list')
  }

  #take(entry: Entry, lists: readonly RevocationList[]): void {
    const isNew = lists.some(({ digest }) => !entry.lists.some((known) => known.digest === digest))
    const hadLists = entry.lists.length > 0
    entry.lists = lists
    const statement = jointStatement(lists)
    if (statement !== entry.statement) {
      entry.statement = statement
      this.#statements.fetched(entry.source, statement)
    }
    if (isNew && hadLists) this.onReplaced?.()
  }

  /** Another worker has got something else from there, which is fetched here too; once, as mirrors need not agree. */
  #catchUp(source: string, statement: string): void {
    const entry = this.#entries.get(source)
    if (!entry || entry.statement === statement) return
    if (entry.pending) {
      // What is under way may be from before.
      void entry.pending.then(() => this.#catchUp(source, statement))
    } else if (entry.lists.length > 0) {
      entry.fetchAgainAt = 0
      void this.#fetch(entry)
    }
  }

  #tick(): void {
    if (!this.#limits) return
    const now = Date.now()
    let isToSeek = false
    for (const [key, entry] of this.#entries) {
      isToSeek = this.#isToSeek(entry, now) || isToSeek
      if (now - (entry.soughtAt ?? now) > SEEKING && !entry.pending) this.#entries.delete(key)
      else if (now >= entry.fetchAgainAt) void this.#fetch(entry)
    }
    if (isToSeek) this.onReplaced?.()
  }

  /** What no handshake has used for long is not fetched again, but forgotten; unless a connection rests on it, whose client may be revoked any day. */
  #isToSeek(entry: Entry, now: number): boolean {
    if (!this.#limits || entry.soughtAt !== undefined || now - entry.usedAt <= 2 * this.#limits.interval) return false
    entry.soughtAt = now
    return true
  }
}

/**
 * Nobody vouches for what comes over http: but its signature. What another has made, or an old list that is sent once more so that a revocation is
 * forgotten, must not take the place of what is known. @throws Error
 */
function listsToTake(fetched: readonly RevocationList[], { issuer, lists: known }: Entry, now: number) {
  const lists = fetched.filter((list) => isNamedBy(list, issuer))
  if (lists.length === 0) throw new Error(`the answer holds no list of ${issuer.subject}`)
  if (!lists.every((list) => list.isSignedBy(issuer))) throw new Error(`the list is not signed by ${issuer.subject}`)
  if (lists.some((list) => known.some((other) => isNewer(other, list, now)))) {
    throw new Error('the list is older than the one in use')
  }
  return lists
}

/** One of the future is no reason to keep it: its authority may have made a mistake that it has mended since. */
function isNewer(known: RevocationList, fetched: RevocationList, now: number): boolean {
  const isAlike = known.scope.certificates === fetched.scope.certificates
  return isAlike && known.thisUpdate <= now && known.thisUpdate > fetched.thisUpdate
}

/** The http: addresses where a certificate says that its list is. */
function addressesIn(certificate: CertificateFacts): string[] {
  try {
    const points = readExtensions(certificate.raw).find(({ oid }) => oid === CRL_DISTRIBUTION_POINTS)
    const names = points ? readDistributionPoints(points.value) : []
    // Of the kinds of GeneralName, [6] is a URI.
    const addresses = names.filter(([tag]) => tag === 0x86).map((name) => readWhole(name).content.toString('latin1'))
    return addresses
      .filter(
        (address) => address.length <= LONGEST_ADDRESS && /^http:\/\/[^\s]+$/i.test(address) && URL.canParse(address),
      )
      .slice(0, MOST_ADDRESSES)
  } catch {
    return []
  }
}
