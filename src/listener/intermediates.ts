import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'

/** An authority has few of them. */
const MOST = 200

/**
 * The intermediate certificates that clients sent and OpenSSL verified. A resumed session only shows the client's certificate; with these its chain
 * can be found again. They prove nothing by themselves: whoever builds a path with them checks its signatures up to a trusted root.
 */
export class Intermediates {
  readonly #known = new Map<string, CertificateFacts>()
  /** Called for new ones, to share them with other processes. */
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
