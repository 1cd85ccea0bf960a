import type { X509Certificate } from 'node:crypto'
import { type CertificateFacts, readCertificate } from '../tls-cert-utils/certificate.ts'

/** Nobody sends more; it bounds what one certificate can make us keep. */
const MAX_LENGTH = 10
/** Of so many clients the chain is kept for their resumed sessions. */
const MEMORY = 10_000

const NOTHING: readonly CertificateFacts[] = Object.freeze([])

/**
 * The issuers that clients send with their certificates. A resumed session has the client's certificate alone, so that of each client the last
 * chain is remembered. Only for certificates that passed: strangers could fill the memory.
 */
export class SentChains {
  readonly #chains = new Map<string, readonly CertificateFacts[]>()
  /** Intermediates are the same for many clients, so that each is kept once. */
  readonly #issuers = new Map<string, CertificateFacts>()

  /** After a full handshake. */
  read(leaf: X509Certificate, fingerprint: string): readonly CertificateFacts[] {
    const sent = issuersOf(leaf)
    const known = this.#chains.get(fingerprint)
    if (known && known.length === sent.length && known.every(({ raw }, i) => sent[i]?.raw.equals(raw))) return known
    // Node links what the client sent by name alone: anybody can add a certificate that has the issuer's name.
    const signed = sent.slice(0, lengthOfSigned(leaf, sent))
    const chain = signed.length === 0 ? NOTHING : Object.freeze(signed.map((issuer) => this.#factsOf(issuer)))
    keep(this.#chains, fingerprint, chain)
    return chain
  }

  /** Of a resumed session. */
  remembered(fingerprint: string): readonly CertificateFacts[] {
    return this.#chains.get(fingerprint) ?? NOTHING
  }

  #factsOf(issuer: X509Certificate): CertificateFacts {
    const fingerprint = issuer.fingerprint256
    const facts = this.#issuers.get(fingerprint) ?? readCertificate(issuer.raw)
    keep(this.#issuers, fingerprint, facts)
    return facts
  }
}

function issuersOf(leaf: X509Certificate): X509Certificate[] {
  const issuers: X509Certificate[] = []
  let current: X509Certificate | undefined = leaf.issuerCertificate
  while (current && issuers.length < MAX_LENGTH) {
    issuers.push(current)
    current = current.checkIssued(current) ? undefined : current.issuerCertificate
  }
  return issuers
}

function lengthOfSigned(leaf: X509Certificate, issuers: readonly X509Certificate[]): number {
  const broken = issuers.findIndex((issuer, i) => !(issuers[i - 1] ?? leaf).verify(issuer.publicKey))
  return broken === -1 ? issuers.length : broken
}

function keep<T>(memory: Map<string, T>, key: string, value: T): void {
  memory.delete(key)
  memory.set(key, value)
  if (memory.size <= MEMORY) return
  const oldest = memory.keys().next().value
  if (oldest !== undefined) memory.delete(oldest)
}
