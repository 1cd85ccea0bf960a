import { createHash } from 'node:crypto'
import { connectionOf } from '../connection-notes.ts'
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import type { Connection } from '../types.ts'
import { factsOf } from './connection.ts'
import type { Shown } from './demand.ts'
import { keepBounded } from './keep-bounded.ts'
import type { TrustPolicy } from './trust-policy.ts'

/** How a load balancer that has terminated the client's TLS sends the client's certificate. */
export interface CertificateHeader {
  valuesIn(rawHeaders: readonly string[]): readonly string[] | undefined
  /** @throws GatewayError GW_BAD_REQUEST */
  read(values: readonly string[]): readonly [CertificateFacts, ...CertificateFacts[]]
}

export interface PresentedCertificatesOptions {
  readonly header: CertificateHeader
  readonly policy: Pick<TrustPolicy, 'seeSent' | 'renewed' | 'prepare' | 'judge'>
  /** Whether this connection comes from a load balancer that is believed about its clients. */
  readonly isTrusted: (connection: Connection) => boolean
}

/** For how many verified clients on one of the load balancer's connections the verdict is remembered. */
const CLIENTS_PER_CONNECTION = 32
/** How many verified certificates are remembered altogether, so that the load balancer's next connection need not check their signatures again. */
const CERTIFICATES = 10_000
/** How long a refusing verdict is kept, in milliseconds: it may change with the clock, or because somebody mends something. */
const REFUSAL_TIME = 5_000
/** How long any other verdict is kept, in milliseconds: a list fetched since then, without a reload, may revoke the client. */
const VERDICT_TIME = 1_000

/** A request's own connection. */
export interface Presented {
  readonly connection: Connection
  /** Undefined where its client has no certificate. */
  readonly shown: Shown | undefined
}

interface Derived extends Presented {
  readonly until: number
}

/** The clients on one of the load balancer's connections, by the text of their headers. */
class RememberedClients {
  readonly #verified = new Map<string, Derived>()
  /** Only the latest: any number of them may come that way, with certificates as large as a header may be. */
  #stranger: { readonly text: string; readonly derived: Derived } | undefined

  find(text: string): Derived | undefined {
    return this.#verified.get(text) ?? (this.#stranger?.text === text ? this.#stranger.derived : undefined)
  }

  keep(text: string, derived: Derived): void {
    if (derived.shown?.error === undefined) keepBounded(this.#verified, text, derived, CLIENTS_PER_CONNECTION)
    else this.#stranger = { text, derived }
  }
}

/**
 * For each request, replaces the load balancer's own certificate by its client's, which a header holds: a load balancer sends the requests of many
 * clients over one connection. The certificate is verified as if it had come by TLS. That the client has its key, only the load balancer knows.
 */
export class PresentedCertificates {
  readonly #options: PresentedCertificatesOptions
  readonly #byConnection = new WeakMap<Connection, RememberedClients>()
  /** Only verified ones: strangers could fill it. */
  readonly #verified = new Map<string, Shown>()

  constructor(options: PresentedCertificatesOptions) {
    this.#options = options
  }

  /**
   * Undefined where the peer is no load balancer, so that its own certificate counts. Returns a promise only where a responder or a list must be
   * waited for.
   * @throws GatewayError GW_BAD_REQUEST where the header is malformed or ambiguous
   */
  presentedBy(
    peer: Connection,
    rawHeaders: readonly string[],
    now = Date.now(),
  ): Presented | Promise<Presented> | undefined {
    const known = this.#knownOn(peer)
    if (!known) return undefined
    const values = this.#options.header.valuesIn(rawHeaders)
    const key = values?.join('\n') ?? ''
    const found = known.find(key)
    if (found && now < found.until) return found
    const shown = values && this.#seen(values, key)
    const derive = (at: number) => {
      const derived = this.#derive(peer, shown, at, known.find(key)?.connection)
      known.keep(key, derived)
      return derived
    }
    return this.#options.policy.prepare(shown)?.then(() => derive(Date.now())) ?? derive(now)
  }

  /** The known clients on a connection; undefined where it is no load balancer's. */
  #knownOn(peer: Connection): RememberedClients | undefined {
    const found = this.#byConnection.get(peer)
    if (found) return found
    if (!this.#options.isTrusted(peer)) return undefined
    const made = new RememberedClients()
    this.#byConnection.set(peer, made)
    return made
  }

  #seen(values: readonly string[], text: string): Shown {
    const digest = createHash('sha256').update(text).digest('base64')
    const known = this.#verified.get(digest)
    if (known) return this.#options.policy.renewed(known)
    const shown = this.#options.policy.seeSent(this.#options.header.read(values))
    if (shown.error === undefined) keepBounded(this.#verified, digest, shown, CERTIFICATES)
    return shown
  }

  /** @param last the client's previous connection value: it is kept where the verdict is the same, with everything derived from it */
  #derive(peer: Connection, shown: Shown | undefined, now: number, last: Connection | undefined): Derived {
    const { verification, until } = this.#options.policy.judge(shown, now)
    const isRefused = verification.result === 'FAILED'
    const isSame = !isRefused && last?.verification.result === verification.result && now < last.expiresAt
    return {
      connection: isSame ? last : connectionOf({ ...peer, ...factsOf(shown, verification) }),
      shown,
      until: Math.min(until, now + (isRefused ? REFUSAL_TIME : VERDICT_TIME)),
    }
  }
}
