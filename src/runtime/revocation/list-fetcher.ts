import type { CrlFetchConfig } from '../../config/index.ts'
import type { Log } from '../../log/log.ts'
import type { CrlInUse, Metrics } from '../../metrics/metrics.ts'
import type { CertificateFacts } from '../../tls-cert-utils/certificate.ts'
import { readWhole } from '../../tls-cert-utils/der.ts'
import { CRL_DISTRIBUTION_POINTS, readDistributionPoints, readExtensions } from '../../tls-cert-utils/extensions.ts'
import { isNamedBy } from '../../tls-cert-utils/revocation.ts'
import { jointStatement, type RevocationList } from '../../tls-cert-utils/revocation-list.ts'
import type { FetchedStatements } from './fetched-statements.ts'
import { downloadLists } from './list-download.ts'

/** How often to check whether a list must be fetched again, in milliseconds, unless `interval` is shorter. */
const TICK = 15_000
/** Time in which all connections are judged again, in milliseconds, with much to spare. */
const SEEKING = 30_000
/** How long before its next update a list is fetched again, in milliseconds. */
const MARGIN = 60_000
/** How long an address that gave no list is left alone, in milliseconds: handshakes would ask it again and again. */
const RETRY_PAUSE = 5_000
const LONGEST_ADDRESS = 2048
/** How many addresses of one certificate are tried, one after the other. */
const MOST_ADDRESSES = 4

interface Entry {
  /** The addresses and the issuer: the same addresses for another issuer mean another list. */
  readonly source: string
  /** Where the list can be found, in the order in which the addresses are tried. */
  readonly addresses: readonly string[]
  readonly issuer: CertificateFacts
  lists: readonly RevocationList[]
  /** The statement of the lists; empty before there are any. */
  statement: string
  usedAt: number
  /** Since when the fetcher waits to see whether a connection still uses it. */
  soughtAt: number | undefined
  fetchAgainAt: number
  pending: Promise<void> | undefined
}

/**
 * Fetches revocation lists from the addresses that certificates name: when a certificate first needs one, and again before they expire. It looks only
 * at verified certificates, so that nobody else can make the gateway open a connection. After a failure the known lists stay in use.
 */
export class ListFetcher {
  readonly #log: Log
  readonly #metrics: Pick<Metrics, 'crlFetched'>
  readonly #statements: FetchedStatements
  readonly #entries = new Map<string, Entry>()
  readonly #addresses = new WeakMap<CertificateFacts, readonly string[]>()
  #limits: CrlFetchConfig | undefined
  #timer: NodeJS.Timeout | undefined
  /** Called when open connections must be judged again: because a list was replaced, or to find out which connections still use one. */
  onReplaced: (() => void) | undefined

  constructor(log: Log, metrics: Pick<Metrics, 'crlFetched'>, statements: FetchedStatements) {
    this.#log = log
    this.#metrics = metrics
    this.#statements = statements
    statements.onChanged = (source, statement) => this.#catchUp(source, statement)
  }

  /** Grows when fetched lists change; a session can be resumed only within one edition. */
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

  /** The lists fetched for a certificate so far; missing ones will be fetched. */
  lists(certificate: CertificateFacts, issuer: CertificateFacts): readonly RevocationList[] {
    const entry = this.#entryFor(certificate, issuer)
    if (entry && entry.lists.length === 0) void this.#fetch(entry)
    return entry?.lists ?? []
  }

  /** Fetches the lists that a verified chain still lacks; undefined where it lacks none. */
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
    // Keeps the entries in the order of their last use.
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

  /** Runs one fetch at a time for each list; undefined where the last one has just failed. */
  #fetch(entry: Entry): Promise<void> | undefined {
    if (entry.pending) return entry.pending
    if (!this.#limits || !isDue(entry, this.#limits, Date.now())) return undefined
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

  /**
   * Downloads from the first address that has a list, within the time for all of them.
   * @throws Error
   */
  async #download(entry: Entry, { timeout, max_size: maxSize }: CrlFetchConfig): Promise<readonly RevocationList[]> {
    const end = performance.now() + timeout
    let left = entry.addresses.length
    for (const address of entry.addresses) {
      try {
        const time = Math.max(1, Math.ceil((end - performance.now()) / left--))
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

  /** Another worker got a different list there, so it is fetched here too; once, since mirrors need not agree. */
  #catchUp(source: string, statement: string): void {
    const entry = this.#entries.get(source)
    if (!entry || entry.statement === statement) return
    if (entry.pending) {
      // A fetch under way may have begun before the change.
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
      else if (isDue(entry, this.#limits, now)) void this.#fetch(entry)
    }
    if (isToSeek) this.onReplaced?.()
  }

  /**
   * A list that no handshake has used for long is forgotten instead of fetched again, unless a connection still rests on it: its client may be
   * revoked any day.
   */
  #isToSeek(entry: Entry, now: number): boolean {
    if (!this.#limits || entry.soughtAt !== undefined || now - entry.usedAt <= 2 * this.#limits.interval) return false
    entry.soughtAt = now
    return true
  }
}

/** Where it would be due later than any fetch can be, the clock was set back since: a day must not go by without a list for that. */
function isDue({ fetchAgainAt }: Entry, { interval }: CrlFetchConfig, now: number): boolean {
  return now >= fetchAgainAt || fetchAgainAt - now > Math.max(interval, RETRY_PAUSE)
}

/**
 * Over http, only the signature vouches for a list. Neither a list of somebody else, nor an old one that is replayed to undo a revocation, may
 * replace what is known.
 * @throws Error
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

/**
 * Whether the known list is newer than the fetched one. Not where its date lies in the future: its authority may have made a mistake there and mended
 * it since.
 */
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
