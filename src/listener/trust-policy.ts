import { constants, X509Certificate } from 'node:crypto'
import {
  createServer,
  type SecureContext,
  type SecureContextOptions,
  type SecureVersion,
  type Server,
  type TLSSocket,
} from 'node:tls'
import { type CertificateFacts, readCertificate } from '../tls-cert-utils/certificate.ts'
import { chainDepth } from '../tls-cert-utils/chain.ts'
import { opensslReason } from '../tls-cert-utils/verify-errors.ts'
import type { Verification, VerifyMode } from '../types.ts'
import { SentChains } from './sent-chains.ts'

/** What one trust policy is made of. Two servers share a policy only where all of this is the same. */
export interface TrustPolicyOptions {
  /** The digest of everything below: equal if and only if the policies are. */
  readonly id: string
  readonly verify: VerifyMode
  /** PEM, one certificate each. Empty trusts nobody; it is never left out, as Node then trusts the public CAs. */
  readonly ca: readonly string[]
  /** PEM, one list each. */
  readonly crl: readonly string[]
  readonly verifyDepth: number
  readonly minVersion: SecureVersion
  readonly maxVersion: SecureVersion
  readonly ciphers: string
  readonly sessionTickets: boolean
  /** Milliseconds from the full handshake in which a session may be resumed. */
  readonly sessionTimeout: number
  readonly handshakeTimeout: number
}

export interface ServerKeyPair {
  readonly certificatePem: string
  readonly keyPem: string
}

export interface Judgement {
  readonly verification: Verification
  readonly certificate: CertificateFacts | undefined
  readonly chain: readonly CertificateFacts[]
}

/** How many verdicts of full handshakes are remembered for their resumed sessions, of clients whose chain ends at one of our CAs. */
const MEMORY = 50_000

const NONE: Verification = Object.freeze({ result: 'NONE' })
const SUCCESS: Verification = Object.freeze({ result: 'SUCCESS' })

/**
 * One way to judge clients, with a TLS server and session ticket keys of its own. Node resumes a session across server
 * names and reports it as authorized although the other name trusts other CAs (the class of CVE-2025-23419); a ticket
 * that no other policy can read makes that impossible. The server never listens: it is handed accepted sockets.
 */
export class TrustPolicy {
  readonly id: string
  readonly verify: VerifyMode
  readonly server: Server
  readonly #options: TrustPolicyOptions
  readonly #contextFor: (serverName: string) => SecureContext
  readonly #trusted: readonly X509Certificate[]
  readonly #verdicts = new Map<string, Verification>()
  readonly #facts = new Map<string, CertificateFacts>()
  readonly #chains = new SentChains()

  /** `contextFor` gives the certificate for a server name; `fallback` is for clients that send none. */
  constructor(options: TrustPolicyOptions, fallback: ServerKeyPair, contextFor: (serverName: string) => SecureContext) {
    this.id = options.id
    this.verify = options.verify
    this.#options = options
    this.#contextFor = contextFor
    this.#trusted = options.ca.map((pem) => new X509Certificate(pem))
    this.server = createServer({
      ...secureContextOptions(options, fallback),
      requestCert: options.verify !== 'off',
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
      handshakeTimeout: options.handshakeTimeout,
      sessionTimeout: Math.max(1, Math.round(options.sessionTimeout / 1000)),
      SNICallback: (name, done) => this.#choose(name, done),
    })
  }

  /** What nginx's $ssl_client_verify says of this handshake; a missing certificate comes before anything that OpenSSL reports. */
  judge(socket: TLSSocket): Judgement {
    const x509 = this.verify === 'off' ? undefined : socket.getPeerX509Certificate()
    if (!x509) return { verification: NONE, certificate: undefined, chain: [] }
    const fingerprint = x509.fingerprint256
    const certificate = this.#factsOf(x509, fingerprint)
    // The session itself holds what OpenSSL found. Strangers have no place in the memory, or they could fill it.
    if (!socket.authorized) {
      return { verification: failed(String(socket.authorizationError)), certificate, chain: [] }
    }
    if (socket.isSessionReused()) {
      const verification = this.#verdicts.get(fingerprint) ?? FORGOTTEN
      return { verification, certificate, chain: this.#chains.remembered(fingerprint) }
    }
    const verification = this.#judgeDepth(x509)
    this.#remember(fingerprint, verification)
    return { verification, certificate, chain: this.#chains.read(x509, fingerprint) }
  }

  /** What stands in a certificate is read once: clients come back. */
  #factsOf(x509: X509Certificate, fingerprint: string): CertificateFacts {
    const known = this.#facts.get(fingerprint)
    if (known) return known
    const facts = readCertificate(x509.raw)
    keepBounded(this.#facts, fingerprint, facts)
    return facts
  }

  #judgeDepth(leaf: X509Certificate): Verification {
    const depth = chainDepth(leaf, this.#trusted)
    const allowed = this.#options.verifyDepth
    if (depth <= allowed) return SUCCESS
    // What OpenSSL reports where its own depth ends the search for issuers, and so what nginx says.
    const hint = `the chain has ${depth} intermediates, ssl_verify_depth allows ${allowed}`
    return Object.freeze({ ...failed('UNABLE_TO_GET_ISSUER_CERT_LOCALLY'), hint })
  }

  /** A resumed socket has the leaf but not its chain, so depth cannot be judged again: the verdict of the full handshake is kept. */
  #remember(fingerprint: string, verification: Verification): void {
    keepBounded(this.#verdicts, fingerprint, verification)
  }

  /** An exception here would end the process (CVE-2026-21637), so it becomes a failed handshake. */
  #choose(name: string, done: (error: Error | null, context?: SecureContext) => void): void {
    let context: SecureContext
    try {
      context = this.#contextFor(name.toLowerCase().replace(/\.$/, ''))
    } catch (error) {
      done(error as Error)
      return
    }
    done(null, context)
  }
}

/** The newest stay. */
function keepBounded<T>(memory: Map<string, T>, key: string, value: T): void {
  memory.delete(key)
  memory.set(key, value)
  if (memory.size <= MEMORY) return
  const oldest = memory.keys().next().value
  if (oldest !== undefined) memory.delete(oldest)
}

const FORGOTTEN = failed('SESSION_FORGOTTEN', 'session is not known any more, a full handshake is needed')

function failed(code: string, reason = opensslReason(code)) {
  return Object.freeze({ result: 'FAILED', code, reason } as const)
}

/** The options of a secure context within a policy: the same trust whatever certificate the server itself shows. */
export function secureContextOptions(policy: TrustPolicyOptions, pair: ServerKeyPair): SecureContextOptions {
  const secureOptions = constants.SSL_OP_NO_RENEGOTIATION | (policy.sessionTickets ? 0 : constants.SSL_OP_NO_TICKET)
  return {
    cert: pair.certificatePem,
    key: pair.keyPem,
    ca: [...policy.ca],
    ...(policy.crl.length > 0 ? { crl: [...policy.crl] } : {}),
    minVersion: policy.minVersion,
    maxVersion: policy.maxVersion,
    ciphers: policy.ciphers,
    honorCipherOrder: true,
    secureOptions,
    sessionIdContext: policy.id.slice(0, 32),
  }
}
