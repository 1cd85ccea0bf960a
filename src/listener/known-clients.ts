import { hash } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import { emptyErrorQueue } from '../tls-cert-utils/error-queue.ts'
import { clientCertificate } from '../tls-cert-utils/session.ts'
import type { Shown } from './demand.ts'
import { keepBounded } from './keep-bounded.ts'

/** How many clients are remembered. */
const MEMORY = 50_000

/** One in so many clients is looked at although he could be recognized: whether clients send issuers along may change. */
const LOOKED_AT = 256

export interface KnownChain {
  /** As `Shown.chain`. */
  readonly chain: Shown['chain']
  /**
   * From when until when nothing but this can be found, in milliseconds since the epoch: all issuers are authorities of ours, none of them has ended, and
   * no other one has begun. Undefined where an issuer came from the client.
   */
  readonly certain: { readonly from: number; readonly until: number } | undefined
}

/** The clients of a policy with a chain to one of its authorities. Nobody else: strangers could fill the memory with certificates of their own making. */
export class KnownClients {
  /** By fingerprint, as the chains. */
  readonly #certificates = new Map<string, CertificateFacts>()
  /** A resumed socket has the leaf but not its chain. */
  readonly #chains = new Map<string, KnownChain>()
  /** Whether the client who was looked at last had sent issuers along that nobody needed. */
  #sentInVain = false
  #recognitions = 0

  /** @param fingerprint as `CertificateFacts.fingerprintSha256` */
  certificate(fingerprint: string): CertificateFacts | undefined {
    return this.#certificates.get(fingerprint)
  }

  chainOf({ fingerprintSha256 }: CertificateFacts): Shown['chain'] | undefined {
    return this.#chains.get(fingerprintSha256)?.chain
  }

  keep(certificate: CertificateFacts): void {
    keepBounded(this.#certificates, certificate.fingerprintSha256, certificate, MEMORY)
  }

  /** @param sentAlong whether the client sent other certificates than his own */
  keepChain({ fingerprintSha256 }: CertificateFacts, known: KnownChain, sentAlong: boolean): void {
    this.#sentInVain = sentAlong && known.certain !== undefined
    keepBounded(this.#chains, fingerprintSha256, known, MEMORY)
  }

  /**
   * What a client shows again that OpenSSL accepts once more, where the way to a trusted authority was found without anything that the client sent:
   * then it is the same whatever he sends now. node:tls copies each certificate that was sent before anybody can look at one, and his session has his own.
   *
   * Where he sends his own alone, or resumes a session, which holds no other, that one is looked at sooner than the session is read. The next client is
   * taken to do as the last.
   */
  recognized(socket: TLSSocket): Shown | undefined {
    if (!this.#sentInVain || !socket.authorized || socket.isSessionReused()) return undefined
    if (++this.#recognitions % LOOKED_AT === 0) return undefined
    const raw = clientCertificate(socket)
    if (!raw) return undefined
    const fingerprint = hash('sha256', raw)
    const certificate = this.#certificates.get(fingerprint)
    const { chain, certain } = this.#chains.get(fingerprint) ?? {}
    const now = Date.now()
    if (!certificate || !chain || !certain || now < certain.from || now >= certain.until) return undefined
    emptyErrorQueue(certificate.x509)
    return { certificate, chain, error: undefined }
  }
}
