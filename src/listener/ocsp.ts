/** Asks OCSP responders whether clients' certificates are revoked: nginx's `ssl_ocsp`. */
import { randomBytes } from 'node:crypto'
import { boundedRequest } from '../bounded-request.ts'
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import { OcspError, type OcspStatus, ocspRequest, readOcspResponse, responderOf } from '../tls-cert-utils/ocsp.ts'
import { type Demand, type Failure, failed, type Opinion, type Shown } from './demand.ts'

export interface OcspOptions {
  /** `leaf` asks about the client's certificate alone, `chain` about its issuers too, but never about the root, as nginx's `on`. */
  readonly certificates: 'leaf' | 'chain'
  /** Asked in place of the one that a certificate names. */
  readonly responder: string | undefined
  /** Milliseconds for one answer. */
  readonly timeout: number
  readonly nonce: boolean
  /** How many answers are remembered. */
  readonly cacheSize: number
  /** Called for each question without a usable answer, for the log. */
  readonly failed: (certificate: CertificateFacts, responder: string | undefined, reason: string) => void
}

interface Known {
  readonly status: OcspStatus
  /** When it was true, in milliseconds since the epoch. */
  readonly since: number
  /** Likewise. */
  readonly until: number
  /** When it is asked again before that, for clients that are still connected. */
  readonly renewAt: number
}

/** A certificate and its issuer. */
type Link = readonly [CertificateFacts, CertificateFacts]

/** nginx's OCSP_MAX_RESPONSE_TIME: how far clocks may differ, in milliseconds. */
export const SKEW = 300_000
const LARGEST_ANSWER = 64 * 1024
/** An answer is renewed near the end of its life, at most this many milliseconds ahead. */
const RENEWAL = 60_000
/** How soon connected clients are judged again while an answer is being renewed, in milliseconds. */
const NEXT_LOOK = 1000

const FAILURES: Readonly<Record<Exclude<OcspStatus, 'good'>, Failure>> = {
  revoked: failed('CERT_REVOKED'),
  unknown: failed('OCSP_STATUS_UNKNOWN', { reason: 'certificate status unknown' }),
}
const NO_ANSWER = { reason: 'certificate status request failed' }

/**
 * The status of each certificate, remembered until the responder's next update. Only signed answers are remembered: a responder that cannot be
 * reached is asked again in the next handshake. There is one question at a time about each certificate.
 */
export class OcspStatuses {
  readonly #options: OcspOptions
  readonly #known = new Map<string, Known>()
  /** Answers by the clients that they admitted: a connected client must not end because the cache is full. */
  readonly #held = new WeakMap<Shown, Map<string, Known>>()
  readonly #asking = new Map<string, Promise<Known | undefined>>()

  constructor(options: OcspOptions) {
    this.#options = options
  }

  /** As a trust policy asks it. */
  get demand(): Demand {
    return Object.assign((shown: Shown, now: number) => this.#judge(shown, now), {
      prepare: (shown: Shown) => this.settle(shown),
    })
  }

  /** Waits for what is not known yet about a client's certificates; undefined where everything is known. Never rejects. */
  settle(shown: Shown, now = Date.now()): Promise<void> | undefined {
    const missing = this.#links(shown).filter(([certificate]) => !this.#currentFor(shown, certificate, now))
    if (missing.length === 0) return undefined
    return Promise.all(missing.map((link) => this.#askFor(shown, link))).then(() => {})
  }

  /** Judges by what is known now. Without an answer nobody is admitted, as in nginx. */
  #judge(shown: Shown, now: number): Opinion {
    let until = Number.POSITIVE_INFINITY
    for (const link of this.#links(shown)) {
      const [certificate] = link
      const known = this.#currentFor(shown, certificate, now)
      if (!known) {
        // A connected client may still get an answer; it is checked at the next look.
        void this.#askFor(shown, link)
        return { failure: failed('OCSP_NO_ANSWER', { ...NO_ANSWER, hint: certificate.subject }), until: now }
      }
      if (known.status !== 'good') return { failure: FAILURES[known.status], until: known.until }
      if (now >= known.renewAt) void this.#askFor(shown, link)
      until = Math.min(until, now >= known.renewAt ? Math.min(known.until, now + NEXT_LOOK) : known.renewAt)
    }
    return { failure: undefined, until }
  }

  /** The newest answer that is still valid. One that was pushed out of the cache remains valid for the clients that it admitted. */
  #currentFor(shown: Shown, certificate: CertificateFacts, now: number): Known | undefined {
    const key = keyOf(certificate)
    const known = this.#known.get(key) ?? this.#held.get(shown)?.get(key)
    if (!known || now >= known.until) return undefined
    this.#hold(shown, key, known)
    return known
  }

  async #askFor(shown: Shown, [certificate, issuer]: Link): Promise<void> {
    const known = await this.#asked(certificate, issuer)
    if (known) this.#hold(shown, keyOf(certificate), known)
  }

  #hold(shown: Shown, key: string, known: Known): void {
    const held = this.#held.get(shown)
    if (held) held.set(key, known)
    else this.#held.set(shown, new Map([[key, known]]))
  }

  /** The certificates to ask about, each with its issuer; none for an unverified client. */
  #links({ certificate, chain, error }: Shown): Link[] {
    if (error !== undefined) return []
    const path = this.#options.certificates === 'leaf' ? [certificate, ...chain.slice(0, 1)] : [certificate, ...chain]
    return path.slice(0, -1).map((each, i) => [each, path[i + 1] as CertificateFacts])
  }

  #asked(certificate: CertificateFacts, issuer: CertificateFacts): Promise<Known | undefined> {
    const key = keyOf(certificate)
    const asking = this.#asking.get(key) ?? this.#ask(certificate, issuer).finally(() => void this.#asking.delete(key))
    this.#asking.set(key, asking)
    return asking
  }

  async #ask(certificate: CertificateFacts, issuer: CertificateFacts): Promise<Known | undefined> {
    const { responder: chosen, timeout, nonce: withNonce } = this.#options
    let responder = chosen
    try {
      responder ??= responderOf(certificate)
      if (responder === undefined) throw new OcspError('the certificate names no responder; ssl_ocsp_responder can')
      const nonce = withNonce ? randomBytes(16) : undefined
      const answer = await postOcsp(responder, ocspRequest(certificate, issuer, nonce), timeout)
      const now = Date.now()
      const { status, since, until: end } = readOcspResponse(answer, { certificate, issuer, nonce }, now, SKEW)
      // Responders behind caches lag behind each other, and whoever is on the way may keep an answer from before the revocation.
      const before = this.#known.get(keyOf(certificate))
      if (before?.status === 'revoked' && since < before.since)
        throw new OcspError(`the answer is older than one that says "revoked"`)
      // If a slow clock makes the answer look late, it is believed for this handshake.
      const until = Math.max(end, now + NEXT_LOOK)
      const known = { status, since, until, renewAt: until - Math.min(RENEWAL, (until - now) / 4) }
      this.#remember(keyOf(certificate), known)
      return known
    } catch (error) {
      this.#options.failed(certificate, responder, (error as Error).message)
      return undefined
    }
  }

  #remember(key: string, known: Known): void {
    this.#known.delete(key)
    this.#known.set(key, known)
    if (this.#known.size <= this.#options.cacheSize) return
    const oldest = this.#known.keys().next().value
    if (oldest !== undefined) this.#known.delete(oldest)
  }
}

function keyOf(certificate: CertificateFacts): string {
  return certificate.fingerprintSha256
}

/** RFC 6960 A.1. Redirects are not followed, as in nginx. */
export async function postOcsp(url: string, question: Buffer, timeout: number): Promise<Buffer> {
  const headers = { 'Content-Type': 'application/ocsp-request', Accept: 'application/ocsp-response' }
  const post = { url: new URL(url), method: 'POST', headers, agent: false } as const
  const { status, headers: heading, body } = await boundedRequest(post, question, { timeout, most: LARGEST_ANSWER })
  const type = heading['content-type'] ?? ''
  if (status !== 200 || type.split(';')[0]?.trim() !== 'application/ocsp-response') {
    throw new OcspError(`the responder answers ${status} ${type}`.trim())
  }
  return body
}
