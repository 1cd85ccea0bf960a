import type { Config, CrlSource, ServiceConfig } from '../../config/index.ts'
import type { Log } from '../../log/log.ts'
import { Revocation } from '../../tls-cert-utils/revocation.ts'
import type { TrustStore } from '../../tls-cert-utils/trust-store.ts'
import { UpstreamRevocation } from '../../upstream/revocation.ts'
import { digestOf, type Materials } from '../materials.ts'
import { checkLists, type ListUse, warnOfUnlisted } from './list-checks.ts'
import { throttledFindings } from './revocation.ts'

const USE = {
  peer: 'upstream',
  certificates: 'chain',
  authorities: 'proxy_ssl_trusted_certificate',
  modeSetting: 'proxy_revocation_check_mode',
} as const

/** The revocation lists for the certificates of upstreams (nginx's `proxy_ssl_crl`). Services that trust the same authorities share them. */
export class UpstreamRevocations {
  readonly #source: CrlSource | undefined
  readonly #materials: Materials
  readonly #report: ReturnType<typeof throttledFindings>
  readonly #known = new Map<string, UpstreamRevocation | undefined>()

  constructor({ proxy }: Pick<Config, 'proxy'>, materials: Materials, log: Log) {
    this.#source = proxy.proxy_ssl_crl
    this.#materials = materials
    this.#report = throttledFindings((finding) =>
      log.warn(
        finding,
        'upstreams are asked without a current revocation list (proxy_revocation_check_mode IGNORE_CA_ERROR)',
      ),
    )
  }

  /** Undefined where no list is used, or one of them cannot be; `Materials` has the problems then. */
  of(service: ServiceConfig, trust: TrustStore | undefined): UpstreamRevocation | undefined {
    const { at, name, tls_verify: verified, proxy_revocation_check_mode: mode } = service
    const source = this.#source
    if (!source || !verified) return undefined
    if (mode === 'SKIP') {
      this.#materials.warn(
        `${at}.proxy_revocation_check_mode`,
        `is SKIP: nobody asks whether the upstream of ${name} was revoked`,
      )
      return undefined
    }
    if (!trust) {
      this.#materials.problem(at, PUBLIC)
      return undefined
    }
    const key = `${trust.digest} ${mode}`
    if (!this.#known.has(key)) this.#known.set(key, this.#made(source, mode, trust))
    return this.#known.get(key)
  }

  #made(source: CrlSource, mode: ListUse['mode'], trust: TrustStore): UpstreamRevocation | undefined {
    const found = this.#materials.revocationLists(source)
    if (!found) return undefined
    const { lists } = found
    const use: ListUse = { ...USE, lists, source, mode }
    checkLists(use, trust, this.#materials)
    if (mode === 'STRICT') warnOfUnlisted(use, trust, this.#materials)
    return new UpstreamRevocation(new Revocation(lists, { certificates: USE.certificates, mode }), {
      identity: digestOf([mode, ...lists.map(({ digest }) => digest)]),
      trusted: trust.certificates,
      onIgnored: this.#report,
    })
  }
}

const PUBLIC =
  'trusts the public authorities, of which proxy_ssl_crl has no lists: set proxy.proxy_ssl_trusted_certificate or ca_certificates, or proxy_revocation_check_mode: SKIP'
