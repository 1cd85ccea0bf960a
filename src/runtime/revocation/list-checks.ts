import type { CrlSource } from '../../config/index.ts'
import type { CertificateFacts } from '../../tls-cert-utils/certificate.ts'
import { useOf } from '../../tls-cert-utils/certificate-use.ts'
import { covers, isNamedBy } from '../../tls-cert-utils/revocation.ts'
import type { RevocationList } from '../../tls-cert-utils/revocation-list.ts'
import type { TrustStore } from '../../tls-cert-utils/trust-store.ts'
import { digestOf, type Materials } from '../materials.ts'

/** A use of revocation lists, with the settings' names for messages about it. */
export interface ListUse {
  readonly lists: readonly RevocationList[]
  readonly source: CrlSource
  readonly mode: 'STRICT' | 'IGNORE_CA_ERROR'
  readonly certificates: 'leaf' | 'chain'
  readonly peer: 'client' | 'upstream'
  /** The setting with the authorities that are trusted. */
  readonly authorities: string
  /** The setting of `mode`. */
  readonly modeSetting: string
}

/** Reports lists that their CA has not signed as problems, and warns of those that are of little use. */
export function checkLists(use: ListUse, trust: TrustStore, materials: Materials): void {
  const { lists, source, authorities } = use
  for (const list of lists) {
    const issuers = trust.certificates.filter((authority) => isNamedBy(list, authority))
    if (issuers.length === 0) {
      materials.warn(
        source.setting,
        `the list of ${list.issuer} belongs to no CA in ${authorities}: it is of use only for an intermediate of that name`,
      )
    } else if (!issuers.some((issuer) => list.isSignedBy(issuer))) {
      materials.problem(
        source.setting,
        `the list of ${list.issuer} is not signed by the CA of that name in ${authorities}; get it anew from the CA`,
      )
    } else if (!issuers.some((issuer) => useOf(issuer).maySignLists)) {
      materials.warn(
        source.setting,
        `${list.issuer} may not sign lists, as its key usage lacks cRLSign: every ${use.peer} of this CA is refused; have its certificate issued anew with it`,
      )
    }
    if (!isReplaced(list, lists, issuers)) warnOfDates(list, use, materials)
  }
  warnOfOlder(use, materials)
}

/** As where a file was restored, or a mirror is late: the signature is as good as ever. */
function warnOfOlder({ lists, source, peer }: ListUse, materials: Materials): void {
  for (const [key, alike] of Map.groupBy(lists, (list) => digestOf([source.name, ...subjectOf(list)]))) {
    const list = alike.reduce((newest, each) => (each.thisUpdate > newest.thisUpdate ? each : newest))
    const before = materials.issuedBefore(key, list.thisUpdate)
    if (before === undefined || before <= list.thisUpdate) continue
    const [now, then] = [list.thisUpdate, before].map((time) => new Date(time).toISOString())
    materials.warn(
      source.setting,
      `the list of ${list.issuer} is of ${now}, older than the one in use of ${then}: every ${peer} that was revoked in between is trusted again; put the newer one back`,
    )
  }
}

/** Of whose certificates it speaks, and of which of them. */
function subjectOf({ foldedIssuer, authorityKeyId, scope }: RevocationList): unknown[] {
  const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('hex')
  return [foldedIssuer, hex(authorityKeyId), scope.certificates, scope.pointNames?.map(hex)]
}

/** Whether there also is a current list of the same authority: then that one is used, whatever the dates of this one. */
function isReplaced(
  list: RevocationList,
  lists: readonly RevocationList[],
  issuers: readonly CertificateFacts[],
): boolean {
  const now = Date.now()
  const isWhole = ({ scope }: RevocationList) => scope.certificates === 'all' && !scope.pointNames
  const counts = lists.filter((other) => isWhole(other) && other.isCurrent(now))
  return issuers.some((issuer) => list.isSignedBy(issuer) && counts.some((other) => other.isSignedBy(issuer)))
}

function warnOfDates(list: RevocationList, use: ListUse, materials: Materials): void {
  const now = Date.now()
  const iso = (time: number) => new Date(time).toISOString()
  if (list.nextUpdate < now) {
    materials.warn(
      use.source.setting,
      `the list of ${list.issuer} was to be replaced by ${iso(list.nextUpdate)}: until it is, ${meaningOf(use)}`,
    )
  }
  if (list.thisUpdate > now) {
    materials.warn(
      use.source.setting,
      `the list of ${list.issuer} is not valid before ${iso(list.thisUpdate)}: until then ${meaningOf(use)}`,
    )
  }
}

/** What it means, in this mode, that a list is not current. */
function meaningOf({ mode, peer, modeSetting }: ListUse): string {
  if (mode === 'STRICT') return `every ${peer} of this CA is refused`
  const accepted = { client: 'clients of this CA are let in', upstream: 'upstreams of this CA are asked' }[peer]
  return `${accepted} unless it revokes them (${modeSetting} IGNORE_CA_ERROR)`
}

/** Warns of authorities without a list: whoever they certify is refused. */
export function warnOfUnlisted(use: ListUse, trust: TrustStore, materials: Materials): void {
  const { lists, source, certificates, peer, modeSetting } = use
  const listsOf = (authority: CertificateFacts) => lists.filter((list) => isNamedBy(list, authority))
  const unlisted = trust.certificates.filter((authority) => listsOf(authority).length === 0)
  // With `leaf`, an authority needs no list itself where its intermediates have theirs.
  if (certificates === 'leaf' && lists.length > 0) return
  for (const root of trust.certificates.filter(({ selfIssued }) => selfIssued && certificates === 'chain')) {
    if (unlisted.includes(root) || listsOf(root).some((list) => covers(list, root))) continue
    materials.warn(
      source.setting,
      `no list of ${root.subject} covers the authority itself (issuing distribution point): every ${peer} of this CA is refused (${modeSetting} STRICT); add one that does${peer === 'client' ? ', or set ssl_crl_check: leaf' : ''}`,
    )
  }
  for (const { subject, serial } of unlisted) {
    const isOneOfSeveral = trust.certificates.filter((other) => other.subject === subject).length > 1
    materials.warn(
      source.setting,
      `there is no list of ${subject}${isOneOfSeveral ? ` (of that name, the one with serial ${serial})` : ''}: until there is one, every ${peer} of this CA is refused (${modeSetting} STRICT)`,
    )
  }
}

/** Warns of authorities that are trusted without the authority above them, whose list would have to cover them. */
export function warnOfRootless(
  { source }: ListUse,
  certificates: readonly CertificateFacts[],
  materials: Materials,
): void {
  for (const { subject } of certificates.filter(({ selfIssued }) => !selfIssued)) {
    materials.warn(
      source.setting,
      `${subject} is trusted without its issuer, whose list it needs (ssl_crl_check chain): every client that it ends the chain of is refused; set ssl_crl_check: leaf`,
    )
  }
}
