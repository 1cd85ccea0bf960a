import type { ServerConfig } from '../../config/index.ts'
import type { Log } from '../../log/log.ts'
import type { Metrics } from '../../metrics/metrics.ts'
import { verifyResult } from '../../metrics/verify-result.ts'
import type { CertificateFacts } from '../../tls-cert-utils/certificate.ts'
import { Revocation, type RevocationFinding } from '../../tls-cert-utils/revocation.ts'
import { jointStatement, type RevocationList } from '../../tls-cert-utils/revocation-list.ts'
import type { TrustStore } from '../../tls-cert-utils/trust-store.ts'
import { opensslReason } from '../../tls-cert-utils/verify-errors.ts'
import { LogThrottle } from '../log-throttle.ts'
import { digestOf, type Materials } from '../materials.ts'
import { checkLists, type ListUse, warnOfRootless, warnOfUnlisted } from './list-checks.ts'
import type { ListFetcher } from './list-fetcher.ts'

/** The revocation lists of a server. */
export interface ServerRevocation {
  readonly lists: Revocation
  /** The same for servers that share their lists, also after the lists are replaced. */
  readonly name: string
  /**
   * What a session with this server depends on. It changes where another certificate is revoked or a list expires, and stays the same where a list is
   * only renewed in time. A client that is refused for an expired list then gets a full handshake and its alert: a resumed handshake of TLS 1.2 has
   * no alert.
   */
  readonly basis: () => string
  /** Fetches the lists that a chain lacks. */
  readonly prepare: ((chain: readonly CertificateFacts[]) => Promise<void> | undefined) | undefined
}

const USE = { peer: 'client', authorities: 'ssl_client_certificate', modeSetting: 'revocation_check_mode' } as const

/** Undefined where the server uses no list, or one of them cannot be used; `materials` has the problems then. */
export function revocationOf(
  config: ServerConfig,
  trust: TrustStore,
  materials: Materials,
  fetcher?: ListFetcher,
): ServerRevocation | undefined {
  const { ssl_crl: source, ssl_crl_check: certificates, revocation_check_mode: mode, ssl_crl_fetch: fetches } = config
  if (!source && !fetches) return undefined
  if (mode === 'SKIP') {
    materials.warn(
      `${config.at}.revocation_check_mode`,
      'is SKIP: nobody looks at lists, and whoever is revoked is let in',
    )
    return undefined
  }
  const found = source ? materials.revocationLists(source) : { lists: [], name: '' }
  if (!found) return undefined
  if (source) {
    const use: ListUse = { ...USE, lists: found.lists, source, mode, certificates }
    checkLists(use, trust, materials)
    if (!fetches && mode === 'STRICT') warnOfUnlisted(use, trust, materials)
    if (certificates === 'chain' && mode === 'STRICT' && config.allow_partial_chain)
      warnOfRootless(use, trust.certificates, materials)
  }
  const fetched = fetches ? (fetcher?.lists.bind(fetcher) ?? (() => [])) : undefined
  const statement = jointStatement(found.lists)
  const lapsed = mode === 'STRICT' ? counterOfLapsed(found.lists) : () => 0
  return {
    lists: new Revocation(found.lists, { certificates, mode, fetched }),
    name: digestOf([found.name, certificates, mode, fetches]),
    basis: () => `${statement} ${lapsed()} ${fetches && fetcher ? fetcher.edition : ''}`,
    prepare: fetches ? fetcher?.prepare.bind(fetcher) : undefined,
  }
}

/** Counts the lists that have expired. */
function counterOfLapsed(lists: readonly RevocationList[]): () => number {
  const ends = lists.map(({ nextUpdate }) => nextUpdate).toSorted((a, b) => a - b)
  let passed = 0
  return () => {
    const now = Date.now()
    while ((ends[passed] ?? Number.POSITIVE_INFINITY) <= now) passed++
    return passed
  }
}

/** Counts and logs lists that are missing or not current where `revocation_check_mode` lets clients in all the same. */
export function ignoredListReporter(log: Log, metrics: Metrics): (ignored: RevocationFinding) => void {
  const report = throttledFindings((what) =>
    log.warn(what, 'clients are let in without a current revocation list (revocation_check_mode IGNORE_CA_ERROR)'),
  )
  return (ignored) => {
    metrics.crlErrorIgnored(verifyResult(ignored.code))
    report(ignored)
  }
}

export function throttledFindings(
  write: (what: { reason: string; detail: string }) => void,
): (ignored: RevocationFinding) => void {
  const throttle = new LogThrottle()
  return ({ code, detail = '' }) => {
    if (throttle.allows(`${code} ${detail}`)) write({ reason: opensslReason(code), detail })
  }
}
