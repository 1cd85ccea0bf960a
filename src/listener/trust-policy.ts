import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import { weaknessesOf } from '../tls-cert-utils/verify.ts'
import { FORGIVEN_BY_OPTIONAL_NO_CA } from '../tls-cert-utils/verify-errors.ts'
import type { Connection, Verification, VerifyMode } from '../types.ts'
import { accepts } from './admission.ts'
import {
  ClientChains,
  earliestEnd,
  FORGOTTEN,
  FOUND_LAST,
  type PeerCertificate,
  type TrustedAuthorities,
} from './client-chains.ts'
import { type DemandsInForce, type Failure, failed, type Shown } from './demand.ts'
import type { Intermediates } from './intermediates.ts'
import { type Requirement, tooDeep } from './requirements.ts'
import { TicketKeys, type TicketSecret } from './ticket-keys.ts'
import { type ServerCertificates, type TlsOptions, TlsServers } from './tls-servers.ts'

/** Everything that makes up a trust policy: two servers share one where all of this is the same, whatever certificates they show. */
export interface TrustPolicyOptions extends Omit<TlsOptions, 'requestCert' | 'authorities'>, TrustedAuthorities {
  readonly verify: VerifyMode
  /** Whether the handshake fails where `verify` is not satisfied. */
  readonly rejects: boolean
  /** What is required of a certificate besides being issued by one of `ca`; it does not change while the id is the same. */
  readonly requirement: Requirement
  /** Names the demands beyond OpenSSL's verification; it differs where the demands differ. Their data, such as lists, may change. */
  readonly demands: string
}

export interface Judgement {
  readonly verification: Verification
  /** When it must be judged again, in milliseconds since the epoch; Infinity where time changes nothing. */
  readonly until: number
}

/** What all policies of a process share. */
export interface PolicySurroundings {
  readonly inForce: DemandsInForce
  readonly intermediates: Intermediates
  /** What ticket keys are derived from, and what separates sessions. */
  readonly ticketSecret: TicketSecret
  readonly sessionContext: string
}

const NONE: Verification = Object.freeze({ result: 'NONE' })
const SUCCESS: Verification = Object.freeze({ result: 'SUCCESS' })
const EXPIRED = failed('CERT_HAS_EXPIRED')
const ALWAYS = Number.POSITIVE_INFINITY

/**
 * One way to judge clients, with TLS servers and session ticket keys of its own. Node resumes a session across server names and reports it as
 * authorized although the other name trusts other CAs (the class of CVE-2025-23419). Tickets that no other policy can read make that impossible. The
 * servers never listen: they are given accepted sockets.
 */
export class TrustPolicy {
  readonly id: string
  readonly verify: VerifyMode
  readonly rejects: boolean
  readonly servers: TlsServers
  readonly #options: TrustPolicyOptions
  readonly #chains: ClientChains
  readonly #inForce: DemandsInForce

  constructor(
    options: TrustPolicyOptions,
    { inForce, intermediates, ticketSecret, sessionContext }: PolicySurroundings,
  ) {
    this.id = options.id
    this.verify = options.verify
    this.rejects = options.rejects
    this.#options = options
    this.#inForce = inForce
    this.#chains = new ClientChains(options, intermediates)
    const ticketKeys = new TicketKeys(ticketSecret, sessionContext, Math.max(1000, options.sessionTimeout))
    const { authorities } = this.#chains
    this.servers = new TlsServers({ ...options, authorities, requestCert: options.verify !== 'off' }, ticketKeys)
  }

  /** Begins the handshake on an accepted socket. @param ticket of a session of TLS 1.2 that the client offers */
  accept(socket: Socket, certificates: ServerCertificates, ticket: Buffer | undefined): void {
    // Whom it answers is told in HTTP, in a resumed session as well.
    const offered = ticket && this.rejects ? { ticket, isWelcome: this.#isWelcome } : undefined
    this.servers.accept(socket, certificates, this.#inForce.basis(), offered)
  }

  /** Whoever is not has a full handshake, where he can be told why: as his certificate has ended since, or his chain is forgotten. */
  readonly #isWelcome = (raw: Buffer): boolean =>
    accepts(this.verify, this.judge(this.#chains.seeOffered(raw)).verification)

  /** Replaces the demands of all policies with this id. Open connections must be judged again then. */
  demand(demands: DemandsInForce): void {
    Object.assign(this.#inForce, demands)
  }

  /** The client's own certificate in this handshake, or in the one that it resumes. To be asked as soon as the handshake is finished. */
  certificateOf(socket: TLSSocket): PeerCertificate | undefined {
    if (this.verify === 'off') return undefined
    return this.#chains.certificateOf(socket)
  }

  /** What the client showed with that certificate, if any. */
  see(socket: TLSSocket, peer: PeerCertificate | undefined): Shown | undefined {
    return this.#chains.see(socket, peer)
  }

  /** As in `ClientChains`. */
  seeSent(sent: readonly [CertificateFacts, ...CertificateFacts[]]): Shown {
    return this.#chains.seeSent(sent)
  }

  /** As in `ClientChains`. */
  renewed(shown: Shown, now = Date.now()): Shown {
    return this.#chains.renewed(shown, now)
  }

  /** As in `ClientChains`. */
  verifiedHere(shown: Shown): Shown {
    return this.#chains.verifiedHere(shown)
  }

  /**
   * Whether what was verified for a client of another policy also holds here, so that no new handshake is needed: certificates are asked for here
   * too, and its chain ends at an authority that is trusted here. Its signatures do not change.
   */
  holdsFor(shown: Shown | undefined, { verification }: Connection, other: TrustPolicy): boolean {
    const [own, others] = [this.#options, other.#options]
    const isSameTls = (['minVersion', 'maxVersion', 'ciphers'] as const).every((name) => own[name] === others[name])
    if (!isSameTls || (own.verify === 'off') !== (others.verify === 'off')) return false
    if (!shown) return verification.result === 'NONE' && this.verify !== 'on'
    if (shown.error !== undefined || verification.result !== 'SUCCESS') return false
    if (!this.#chains.endsHere(shown, other.#chains)) return false
    // Not where a responder is asked from now on, for example: the client's next handshake waits for the answer, or finds it.
    return this.prepare(shown) === undefined
  }

  /** What must be awaited before a client can be judged; undefined for nothing, as nearly always. */
  prepare(shown: Shown | undefined): Promise<unknown> | undefined {
    if (!shown) return undefined
    const waits = this.#inForce.demands.flatMap((demand) => demand.prepare?.(shown) ?? [])
    return waits.length > 0 ? Promise.all(waits) : undefined
  }

  /** nginx's $ssl_client_verify for a client now; a missing certificate comes before anything that OpenSSL reports. */
  judge(shown: Shown | undefined, now = Date.now()): Judgement {
    if (!shown) return { verification: NONE, until: ALWAYS }
    const { verification, until } = this.#judgeTrust(shown, now)
    // optional_no_ca forgives only that the authority is unknown, not what else may be wrong.
    const decided = verification.result === 'FAILED' && !FORGIVEN_BY_OPTIONAL_NO_CA.has(verification.code)
    return { verification: decided ? verification : (this.#options.requirement(shown) ?? verification), until }
  }

  #judgeTrust(shown: Shown, now: number): Judgement {
    const { certificate, chain, error } = shown
    // optional_no_ca forgives it, until the certificate ends.
    const isUnverified = error === 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'
    if (error !== undefined && FOUND_LAST.has(error) && !isUnverified) {
      return { verification: failed(error), until: ALWAYS }
    }
    let until = earliestEnd(certificate, chain)
    if (until <= now) return { verification: EXPIRED, until: ALWAYS }
    if (isUnverified) return { verification: failureOf(error, shown), until }
    let failure = error === undefined ? tooDeep(shown, this.#options.verifyDepth, this.#chains.isTrusted) : undefined
    for (const demand of this.#inForce.demands) {
      if (failure) break
      const opinion = demand(shown, now)
      failure = opinion.failure
      until = Math.min(until, opinion.until)
    }
    return { verification: failure ?? (error === undefined ? SUCCESS : failureOf(error, shown)), until }
  }
}

const FORGOTTEN_SESSION = failed(FORGOTTEN, { reason: 'session is not known any more, a full handshake is needed' })

/** Hints for the log where OpenSSL's sentence says little; `inspect` says more. Without names, which a stranger could make long. */
const REMEDIES: Readonly<Record<string, string>> = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its issuer is neither sent along by the client nor in ssl_client_certificate',
  SELF_SIGNED_CERT_IN_CHAIN: 'its root is not in ssl_client_certificate',
  INVALID_PURPOSE: 'it, or an issuer of it, is not meant for TLS clients: see its extended key usage',
}

function failureOf(error: string, { certificate, chain }: Shown): Failure {
  if (error === FORGOTTEN) return FORGOTTEN_SESSION
  // Node has no name for what OpenSSL finds too weak.
  const hint = error === 'UNSPECIFIED' ? weaknessesOf([certificate, ...chain]) : (REMEDIES[error] ?? '')
  return failed(error, hint ? { hint } : {})
}
