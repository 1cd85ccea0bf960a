/** OCSP stapling (RFC 6066 8): shows the status of our own certificate in the handshake, so that clients need not ask for it. */
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import { OcspError, ocspRequest, readOcspResponse, responderOf } from '../tls-cert-utils/ocsp.ts'
import { postOcsp, SKEW } from './ocsp.ts'

export interface StapleOptions {
  readonly certificate: CertificateFacts
  readonly issuer: CertificateFacts
  /** Asked in place of the one that the certificate names. */
  readonly responder: string | undefined
  readonly timeout: number
  /** Called with the reason where there is nothing to show. */
  readonly failed: (reason: string) => void
}

/** How soon a responder that failed is asked again, in milliseconds (nginx's own). */
const RETRY = 300_000

/**
 * The responder is asked when the status is first needed, as in nginx: the first client gets no staple. An answer is renewed in the last quarter of
 * its life.
 */
export class Staple {
  readonly #options: StapleOptions
  #response: Buffer | undefined
  #until = 0
  #askAt = 0
  #asking = false

  constructor(options: StapleOptions) {
    this.#options = options
  }

  /** The answer to show now; undefined where none is current. */
  current(now = Date.now()): Buffer | undefined {
    if (now >= this.#askAt && !this.#asking) void this.#ask()
    return now < this.#until ? this.#response : undefined
  }

  async #ask(): Promise<void> {
    const { certificate, issuer, timeout, failed } = this.#options
    this.#asking = true
    try {
      const responder = this.#options.responder ?? responderOf(certificate)
      if (responder === undefined) throw new OcspError('the certificate names no responder; ssl_stapling_responder can')
      const response = await postOcsp(responder, ocspRequest(certificate, issuer), timeout)
      const now = Date.now()
      const { status, until } = readOcspResponse(response, { certificate, issuer }, now, SKEW)
      if (status !== 'good') throw new OcspError(`the responder says "${status}" of it`)
      const life = Math.max(0, until - now)
      this.#response = response
      this.#until = now + life
      this.#askAt = now + Math.max(1000, life * 0.75)
    } catch (error) {
      this.#askAt = Date.now() + RETRY
      failed((error as Error).message)
    } finally {
      this.#asking = false
    }
  }
}
