import type { CertificateFacts } from './certificate.ts'
import { useOf } from './certificate-use.ts'
import { readWhole } from './der.ts'
import { foldedName } from './distinguished-name.ts'
import {
  type CertificateExtension,
  CRL_DISTRIBUTION_POINTS,
  readDistributionPoints,
  readExtensions,
  SUBJECT_KEY_IDENTIFIER,
} from './extensions.ts'
import type { RevocationList } from './revocation-list.ts'

export interface RevocationOptions {
  /** `chain`: every certificate of a chain needs the list of its issuer, the root too, as with nginx's `ssl_crl`. `leaf`: only the first. */
  readonly certificates: 'leaf' | 'chain'
  /** Kong's words. `STRICT`: a list that is missing or not current refuses the certificate. `IGNORE_CA_ERROR`: it is reported, but refuses nobody. */
  readonly mode: 'STRICT' | 'IGNORE_CA_ERROR'
  /**
   * Further lists, such as those from the addresses that a certificate names. A root then needs no list: it names no address, and nobody else could
   * revoke it.
   */
  readonly fetched?:
    | ((certificate: CertificateFacts, issuer: CertificateFacts) => readonly RevocationList[])
    | undefined
}

export interface RevocationFinding {
  /** As Node's `authorizationError`. */
  readonly code: string
  /** Which certificate of the chain, from 0. */
  readonly at: number
  /** What OpenSSL's sentence does not say. */
  readonly detail?: string
}

export interface RevocationReport {
  /** The findings that refuse, from the leaf up. OpenSSL reports the last one. */
  readonly findings: readonly RevocationFinding[]
  /** Findings that would refuse in the mode `STRICT`. */
  readonly ignored: readonly RevocationFinding[]
  /** When a list begins or ceases to be current, in milliseconds since the epoch; Infinity where none does. */
  readonly until: number
}

/** What is looked up once and not for each client. */
interface ListIssuer {
  readonly lists: readonly RevocationList[]
  readonly maySign: boolean
}

/** Findings that are the authority's fault and not the client's. */
const CA_ERRORS: ReadonlySet<string> = new Set(['UNABLE_TO_GET_CRL', 'CRL_HAS_EXPIRED', 'CRL_NOT_YET_VALID'])

/**
 * Revocation lists by issuer. Chains are judged as OpenSSL does with CRL_CHECK (crypto/x509/x509_vfy.c, check_revocation), but the cost of a look-up
 * does not depend on the length of a list.
 */
export class Revocation {
  readonly #options: RevocationOptions
  readonly #byIssuer: Map<string, RevocationList[]>
  /** By the issuer's certificate, which is the same object for all clients. */
  readonly #issuers = new WeakMap<CertificateFacts, ListIssuer>()

  constructor(lists: readonly RevocationList[], options: RevocationOptions) {
    this.#options = options
    this.#byIssuer = Map.groupBy(lists, ({ foldedIssuer }) => foldedIssuer)
  }

  /** Judges an unverified certificate: it is unknown whose list would cover it. */
  judgeStranger({ issuer }: CertificateFacts): RevocationReport {
    return this.#report(
      [{ code: 'UNABLE_TO_GET_CRL', at: 0, detail: `no list of ${issuer}` }],
      Number.POSITIVE_INFINITY,
    )
  }

  /** @param chain verified: the certificate first, its root last */
  judge(chain: readonly CertificateFacts[], time: number): RevocationReport {
    const findings: RevocationFinding[] = []
    let until = Number.POSITIVE_INFINITY
    for (let at = 0; at < this.certificatesToCheck(chain); at++) {
      const certificate = chain[at] as CertificateFacts
      const issuer = chain[at + 1] ?? (certificate.selfIssued ? certificate : undefined)
      const known = issuer && this.#known(issuer)
      const list = known && this.#bestList(known, certificate, issuer, time)
      if (!issuer || !known || !list) {
        const others = known && known.lists.length > 0 ? ' covers it' : ''
        findings.push({ code: 'UNABLE_TO_GET_CRL', at, detail: `no list of ${certificate.issuer}${others}` })
        continue
      }
      findings.push(...findingsOf(certificate, at, { list, issuer, maySign: known.maySign }, time))
      until = Math.min(until, nextChange(list, time))
    }
    return this.#report(findings, until)
  }

  #report(found: readonly RevocationFinding[], until: number): RevocationReport {
    if (this.#options.mode === 'STRICT' || found.length === 0) return { findings: found, ignored: [], until }
    const isIgnored = ({ code }: RevocationFinding) => CA_ERRORS.has(code)
    return { findings: found.filter((finding) => !isIgnored(finding)), ignored: found.filter(isIgnored), until }
  }

  /** How many certificates of a chain need a list, from the first. */
  certificatesToCheck(chain: readonly CertificateFacts[]): number {
    const { certificates, fetched } = this.#options
    if (certificates === 'leaf' || chain.length === 1) return 1
    return fetched && chain.at(-1)?.selfIssued ? chain.length - 1 : chain.length
  }

  #bestList({ lists }: ListIssuer, certificate: CertificateFacts, issuer: CertificateFacts, time: number) {
    const fetched = this.#options.fetched?.(certificate, issuer).filter((list) => isNamedBy(list, issuer)) ?? []
    return bestList(fetched.length > 0 ? [...lists, ...fetched] : lists, certificate, time)
  }

  #known(issuer: CertificateFacts): ListIssuer {
    const known = this.#issuers.get(issuer)
    if (known) return known
    const named = this.#byIssuer.get(foldedName(issuer.rawSubject)) ?? []
    const found = {
      lists: ownLists(
        named.filter((list) => isNamedBy(list, issuer)),
        issuer,
      ),
      maySign: useOf(issuer).maySignLists,
    }
    this.#issuers.set(issuer, found)
    return found
  }
}

/** Of the lists that cover the certificate, a current one, else the newest. */
function bestList(
  lists: readonly RevocationList[],
  certificate: CertificateFacts,
  time: number,
): RevocationList | undefined {
  let best: RevocationList | undefined
  for (const list of lists) {
    if (!covers(list, certificate)) continue
    const isBetter =
      !best ||
      (list.isCurrent(time) === best.isCurrent(time) ? list.thisUpdate > best.thisUpdate : list.isCurrent(time))
    if (isBetter) best = list
  }
  return best
}

/**
 * An authority with a new key has a namesake, and lists need not say whose they are (RFC 5280 5.2.1 asks for the key identifier, `openssl ca` leaves
 * it out): then the signature decides. Where it fits none of them, all lists stay, and the certificate is refused because of that.
 */
function ownLists(lists: readonly RevocationList[], issuer: CertificateFacts): readonly RevocationList[] {
  if (lists.length < 2) return lists
  const signed = lists.filter((list) => list.isSignedBy(issuer))
  return signed.length > 0 ? signed : lists
}

/** Whether a list can be from this issuer, going by its name and key identifier; the signature decides. */
export function isNamedBy(list: RevocationList, issuer: CertificateFacts): boolean {
  if (list.foldedIssuer !== foldedName(issuer.rawSubject)) return false
  const keyId = subjectKeyIdOf(issuer)
  return !list.authorityKeyId || !keyId || keyId.equals(list.authorityKeyId)
}

function findingsOf(
  certificate: CertificateFacts,
  at: number,
  { list, issuer, maySign }: { list: RevocationList; issuer: CertificateFacts; maySign: boolean },
  time: number,
): RevocationFinding[] {
  // Most have none: the issuer's name is formatted for one that is found.
  const finding = (code: string): RevocationFinding => ({ code, at, detail: `the list of ${list.issuer}` })
  if (!maySign) return [finding('KEYUSAGE_NO_CRL_SIGN')]
  if (!list.isSignedBy(issuer)) return [finding('CRL_SIGNATURE_FAILURE')]
  const findings: RevocationFinding[] = []
  if (list.thisUpdate > time) findings.push(finding('CRL_NOT_YET_VALID'))
  if (list.nextUpdate <= time) findings.push(finding('CRL_HAS_EXPIRED'))
  if (list.revokes(certificate.rawSerial)) findings.push({ code: 'CERT_REVOKED', at })
  return findings
}

function nextChange({ thisUpdate, nextUpdate }: RevocationList, time: number): number {
  if (time < thisUpdate) return thisUpdate
  return time < nextUpdate ? nextUpdate : Number.POSITIVE_INFINITY
}

/** By its issuing distribution point, which OpenSSL calls the scope. */
export function covers({ scope }: RevocationList, certificate: CertificateFacts): boolean {
  if (scope.certificates !== 'all' && (scope.certificates === 'authorities') !== certificate.isAuthority) return false
  const { pointNames } = scope
  if (!pointNames) return true
  const points = extensionOf(certificate, CRL_DISTRIBUTION_POINTS)
  return (
    readOrNone(() => points && readDistributionPoints(points.value))?.some((name) =>
      pointNames.some((other) => name.equals(other)),
    ) ?? false
  )
}

function subjectKeyIdOf(certificate: CertificateFacts): Buffer | undefined {
  const extension = extensionOf(certificate, SUBJECT_KEY_IDENTIFIER)
  return readOrNone(() => extension && readWhole(extension.value).content)
}

function extensionOf(certificate: CertificateFacts, oid: string): CertificateExtension | undefined {
  return readOrNone(() => readExtensions(certificate.raw).find((extension) => extension.oid === oid))
}

/** What cannot be read counts as absent: then the name and the signature decide, or no list covers the certificate. */
function readOrNone<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
