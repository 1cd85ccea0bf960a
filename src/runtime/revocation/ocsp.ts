import type { ServerConfig } from '../../config/index.ts'
import { type OcspOptions, OcspStatuses } from '../../listener/ocsp.ts'
import { Staple } from '../../listener/stapling.ts'
import type { Log } from '../../log/log.ts'
import type { CertificateFacts } from '../../tls-cert-utils/certificate.ts'
import type { KeyPair } from '../../tls-cert-utils/key-pair.ts'
import type { KeptMaterials } from '../kept.ts'
import { LogThrottle } from '../log-throttle.ts'
import { digestOf, type Materials } from '../materials.ts'

interface StapledPair {
  readonly fingerprint: string
  readonly certificate: CertificateFacts
  readonly issuer: CertificateFacts
}

/** The answers of OCSP responders. They are kept over reloads for as long as a server wants them, since they stay true whatever else changes. */
export class OcspAnswers {
  readonly #log: Log
  readonly #kept: Pick<KeptMaterials, 'statuses' | 'staples'>
  readonly #throttle = new LogThrottle()

  constructor(log: Log, kept: Pick<KeptMaterials, 'statuses' | 'staples'>) {
    this.#log = log
    this.#kept = kept
  }

  /** Undefined where the server does not use OCSP. `name` is the same for servers with the same settings. */
  statusesOf(server: ServerConfig): { readonly statuses: OcspStatuses; readonly name: string } | undefined {
    const { ssl_ocsp: mode, ssl_ocsp_responder: responder, ssl_ocsp_timeout: timeout } = server
    const { ssl_ocsp_nonce: nonce, ssl_ocsp_cache: cacheSize } = server
    if (mode === 'off') return undefined
    const name = digestOf([mode, responder, timeout, nonce, cacheSize])
    const certificates = mode === 'leaf' ? 'leaf' : 'chain'
    const failed: OcspOptions['failed'] = ({ subject }, asked, reason) =>
      this.#warn('no status of a client certificate', subject, asked, reason)
    const made = () => new OcspStatuses({ certificates, responder, timeout, nonce, cacheSize, failed })
    return { statuses: this.#kept.statuses.of(name, made), name }
  }

  /** One for each certificate, by its DER. None where stapling is off, or for a certificate whose issuer is not known. */
  staplesOf(server: ServerConfig, pairs: readonly KeyPair[], materials: Materials): [Buffer, Staple][] {
    if (!server.ssl_stapling) return []
    return pairs.flatMap(({ fingerprint, certificates: [certificate, issuer] }): [Buffer, Staple][] => {
      if (certificate && issuer) return [[certificate.raw, this.#staple(server, { fingerprint, certificate, issuer })]]
      materials.warn(
        `${server.at}.ssl_stapling`,
        "shows nothing, as the issuer's certificate does not follow in ssl_certificate; append it there",
      )
      return []
    })
  }

  #staple(server: ServerConfig, { fingerprint, certificate, issuer }: StapledPair): Staple {
    const { ssl_stapling_responder: responder, ssl_ocsp_timeout: timeout } = server
    const name = digestOf([fingerprint, responder, timeout])
    const failed = (reason: string) =>
      this.#warn('no OCSP staple for our own certificate', certificate.subject, responder, reason)
    return this.#kept.staples.of(name, () => new Staple({ certificate, issuer, responder, timeout, failed }))
  }

  #warn(message: string, subject: string, responder: string | undefined, reason: string): void {
    if (this.#throttle.allows(`${message} ${responder} ${reason}`))
      this.#log.warn({ subject, responder, reason }, message)
  }
}
