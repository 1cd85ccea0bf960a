import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'

/** Authorities have few of them. */
const MOST = 200

/**
 * The intermediate certificates that clients sent and OpenSSL verified. A resumed session tells the client's certificate alone: with these its chain can
 * be found again. They vouch for nothing: whoever builds a path with them checks its signatures up to a trusted root.
 */
export class Intermediates {
  readonly #known = new Map<string, CertificateFacts>()
  /** Whoever shares them with other processes hears of new ones. */
  onNew: ((certificate: CertificateFacts) => void) | undefined

  get all(): readonly CertificateFacts[] {
    return [...this.#known.values()]
  }

  find(fingerprint: string): CertificateFacts | undefined {
    return this.#known.get(fingerprint)
  }

  /** One that was verified here. */
  add(certificate: CertificateFacts): void {
    if (this.#keep(certificate)) this.onNew?.(certificate)
  }

  /** One that was verified by another process. */
  learn(certificate: CertificateFacts): void {
    this.#keep(certificate)
  }

  #keep(certificate: CertificateFacts): boolean {
    const fingerprint = certificate.fingerprintSha256
    if (this.#known.has(fingerprint)) return false
    const oldest = this.#known.keys().next().value
    if (this.#known.size >= MOST && oldest !== undefined) this.#known.delete(oldest)
    this.#known.set(fingerprint, certificate)
    return true
  }
}
