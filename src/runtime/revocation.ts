import type { CrlSource, ServerConfig } from '../config/index.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import { isNamedBy, Revocation, type RevocationFinding } from '../tls-cert-utils/revocation.ts'
import { jointStatement, type RevocationList } from '../tls-cert-utils/revocation-list.ts'
import type { TrustStore } from '../tls-cert-utils/trust-store.ts'
import { opensslReason } from '../tls-cert-utils/verify-errors.ts'
import { verifyResult } from '../verify-result.ts'
import type { ListFetcher } from './list-fetcher.ts'
import { digestOf, type Materials } from './materials.ts'

/** The revocation lists of a server. */
export interface ServerRevocation {
  readonly lists: Revocation
  /** Servers with the same name share their lists, and keep it when the lists are replaced. */
  readonly name: string
  /** What sessions with this server rest on: another text where somebody else is revoked, the same where a list was only renewed. */
  readonly basis: () => string
  /** Fetches what a chain lacks. */
  readonly prepare: ((chain: readonly CertificateFacts[]) => Promise<void> | undefined) | undefined
}

/** Undefined where the server looks at no list, or one of them cannot be used; `materials` has the problems then. */
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
  if (source) checkLists(found.lists, { source, mode }, trust, materials)
  if (source && !fetches && mode === 'STRICT') warnOfUnlisted(found.lists, { source, certificates }, trust, materials)
  if (source && certificates === 'chain' && mode === 'STRICT' && config.allow_partial_chain)
    warnOfRootless(source, trust, materials)
  const fetched = fetches ? (fetcher?.lists.bind(fetcher) ?? (() => [])) : undefined
  const statement = jointStatement(found.lists)
  return {
    lists: new Revocation(found.lists, { certificates, mode, fetched }),
    name: digestOf([found.name, certificates, mode, fetches]),
    basis: fetches && fetcher ? () => `${statement} ${fetcher.edition}` : () => statement,
    prepare: fetches ? fetcher?.prepare.bind(fetcher) : undefined,
  }
}

/** Refuses lists that their CA has not signed, and warns of those that are of little use. */
function checkLists(
  lists: readonly RevocationList[],
  { source, mode }: { source: CrlSource; mode: keyof typeof MEANING },
  trust: TrustStore,
  materials: Materials,
): void {
  for (const list of lists) {
    const issuers = trust.certificates.filter((authority) => isNamedBy(list, authority))
    if (issuers.length === 0) {
      materials.warn(
        source.setting,
        `the list of ${list.issuer} belongs to no CA in ssl_client_certificate: it is of use only for an intermediate of that name`,
      )
    } else if (!issuers.some((issuer) => list.isSignedBy(issuer))) {
      materials.problem(
        source.setting,
        `the list of ${list.issuer} is not signed by the CA of that name in ssl_client_certificate; get it anew from the CA`,
      )
    }
    warnOfDates(list, source, MEANING[mode], materials)
  }
}

/** Of a list that is not current. */
const MEANING = {
  STRICT: 'every client of this CA is refused',
  IGNORE_CA_ERROR: 'clients of this CA are let in unless it revokes them (revocation_check_mode IGNORE_CA_ERROR)',
} as const

function warnOfDates(list: RevocationList, source: CrlSource, meaning: string, materials: Materials): void {
  const now = Date.now()
  const iso = (time: number) => new Date(time).toISOString()
  if (list.nextUpdate < now) {
    materials.warn(
      source.setting,
      `the list of ${list.issuer} was to be replaced by ${iso(list.nextUpdate)}: until it is, ${meaning}`,
    )
  }
  if (list.thisUpdate > now) {
    materials.warn(
      source.setting,
      `the list of ${list.issuer} is not valid before ${iso(list.thisUpdate)}: until then ${meaning}`,
    )
  }
}

/** Authorities that certify nobody who is let in, as no list speaks of those whom they certify. */
function warnOfUnlisted(
  lists: readonly RevocationList[],
  { source, certificates }: { source: CrlSource; certificates: ServerConfig['ssl_crl_check'] },
  trust: TrustStore,
  materials: Materials,
): void {
  const unlisted = trust.certificates.filter((authority) => !lists.some((list) => isNamedBy(list, authority)))
  // With `leaf`, an authority whose intermediates have lists needs none itself.
  if (certificates === 'leaf' && lists.length > 0) return
  for (const { subject } of unlisted) {
    materials.warn(
      source.setting,
      `there is no list of ${subject}: until there is one, every client of this CA is refused (revocation_check_mode STRICT)`,
    )
  }
}

/** Authorities that are trusted without the one above them, whose list would have to speak of them. */
function warnOfRootless(source: CrlSource, { certificates }: TrustStore, materials: Materials): void {
  for (const { subject } of certificates.filter(({ selfIssued }) => !selfIssued)) {
    materials.warn(
      source.setting,
      `${subject} is trusted without its issuer, whose list it needs (ssl_crl_check chain): every client that it ends the chain of is refused; set ssl_crl_check: leaf`,
    )
  }
}

/** How often the log tells of the same trouble, in milliseconds: each handshake would have its line otherwise. */
const TELLING_INTERVAL = 60_000

/** Tells of lists that are missing or not current where `revocation_check_mode` lets clients in all the same. */
export function ignoredListTeller(log: Log, metrics: Metrics): (ignored: RevocationFinding) => void {
  const told = new Map<string, number>()
  return ({ code, detail = '' }) => {
    metrics.crlErrorIgnored(verifyResult(code))
    const key = `${code} ${detail}`
    const now = Date.now()
    if (now - (told.get(key) ?? 0) < TELLING_INTERVAL) return
    told.set(key, now)
    log.warn(
      { reason: opensslReason(code), detail },
      'clients are let in without a current revocation list (revocation_check_mode IGNORE_CA_ERROR)',
    )
  }
}
