import type { ServerConfig } from '../config/index.ts'
import { OcspStatuses } from '../listener/ocsp.ts'
import { Staple } from '../listener/stapling.ts'
import type { Log } from '../log.ts'
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import type { KeyPair } from '../tls-cert-utils/key-pair.ts'
import { LogThrottle } from './log-throttle.ts'
import { digestOf, type Materials } from './materials.ts'

interface StapledPair {
  readonly fingerprint: string
  readonly certificate: CertificateFacts
  readonly issuer: CertificateFacts
}

/** The answers of OCSP responders. They are kept over reloads, since they stay true whatever the configuration. */
export class OcspAnswers {
  readonly #log: Log
  readonly #statuses = new Map<string, OcspStatuses>()
  readonly #staples = new Map<string, Staple>()
  readonly #throttle = new LogThrottle()

  constructor(log: Log) {
    this.#log = log
  }

  /** Undefined where the server does not use OCSP. `name` is the same for servers with the same settings. */
  statusesOf(server: ServerConfig): { readonly statuses: OcspStatuses; readonly name: string } | undefined {
    const { ssl_ocsp: mode, ssl_ocsp_responder: responder, ssl_ocsp_timeout: timeout } = server
    const { ssl_ocsp_nonce: nonce, ssl_ocsp_cache: cacheSize } = server
    if (mode === 'off') return undefined
    const name = digestOf([mode, responder, timeout, nonce, cacheSize])
    const statuses =
      this.#statuses.get(name) ??
      new OcspStatuses({
        certificates: mode === 'leaf' ? 'leaf' : 'chain',
        ...{ responder, timeout, nonce, cacheSize },
        failed: ({ subject }, asked, reason) => this.#warn('no status of a client certificate', subject, asked, reason),
      })
    this.#statuses.set(name, statuses)
    return { statuses, name }
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
    const staple = this.#staples.get(name) ?? new Staple({ certificate, issuer, responder, timeout, failed })
    this.#staples.set(name, staple)
    return staple
  }

  #warn(message: string, subject: string, responder: string | undefined, reason: string): void {
    if (this.#throttle.allows(`${message} ${responder} ${reason}`))
      this.#log.warn({ subject, responder, reason }, message)
  }
}
