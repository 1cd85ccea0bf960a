/** How the gateway would judge a client's certificates: plain data for `inspect` to print as text or JSON. */
import { type Config, type LoadedConfig, listenText, type ServerConfig } from '../config/index.ts'
import { ConfigError, GatewayError } from '../errors.ts'
import { verificationText } from '../identity/fields.ts'
import type { IdentityHeaders } from '../identity/identity-headers.ts'
import { verify } from '../listener/admission.ts'
import type { Failure } from '../listener/demand.ts'
import { type ClientTrust, clientTrustOf } from '../runtime/client-trust.ts'
import { identityHeadersOf } from '../runtime/identity.ts'
import { Materials } from '../runtime/materials.ts'
import { revocationOf } from '../runtime/revocation/revocation.ts'
import type { AlternativeName } from '../tls-cert-utils/alternative-names.ts'
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import { withoutRoot } from '../tls-cert-utils/chain.ts'
import {
  BASIC_CONSTRAINTS,
  EXTENDED_KEY_USAGE,
  extendedKeyUsageName,
  KEY_USAGE,
  readBasicConstraints,
  readExtendedKeyUsage,
  readExtensions,
  readKeyUsage,
} from '../tls-cert-utils/extensions.ts'
import { type ChainVerdict, type VerifyOptions, verifyChain } from '../tls-cert-utils/verify.ts'
import { FORGIVEN_BY_OPTIONAL_NO_CA, opensslReason } from '../tls-cert-utils/verify-errors.ts'
import { verifyStrictly } from '../tls-cert-utils/verify-strictly.ts'
import type { Connection, Verification } from '../types.ts'
import { type CheckResult, checksOf, type JudgingPolicy, policyOf } from './checks.ts'

export interface DescribedCertificate {
  readonly subject: string
  readonly issuer: string
  readonly serial: string
  /** ISO 8601; undefined where it cannot be read. */
  readonly not_before: string | undefined
  readonly not_after: string | undefined
  readonly valid_now: boolean
  readonly fingerprint_sha1: string
  readonly fingerprint_sha256: string
  readonly spki_sha256: string
  readonly alternative_names: readonly AlternativeName[]
  /** Undefined where the certificate does not say: then it may be used for anything. */
  readonly key_usage: readonly string[] | undefined
  readonly extended_key_usage: readonly string[] | undefined
  readonly is_authority: boolean
}

export interface ServerJudgement {
  readonly listen: string
  readonly server_names: readonly string[]
  readonly ssl_verify_client: ServerConfig['ssl_verify_client']
  /** `NONE`, `SUCCESS` or `FAILED:reason`. */
  readonly verified: string
  /** Everything that is wrong, as sentences; the last one is the reason. */
  readonly findings: readonly string[]
  /** The policy of the server, and each check; undefined and empty where it asks for no certificate. */
  readonly policy: JudgingPolicy | undefined
  readonly checks: readonly CheckResult[]
  /** Subjects, as far as the chain was found: the client's first. Empty where no certificate is asked for. */
  readonly chain: readonly string[]
  /** The code of the refusal that a request would get; undefined where it would be let in. */
  readonly refusal: string | undefined
  /** Why there would be no request, as the handshake fails: the setting that says so. */
  readonly handshake_fails: 'ssl_reject_handshake' | 'ssl_verify_failure' | undefined
  /** Name and value of each header that a backend would get. */
  readonly headers: readonly (readonly [name: string, value: string])[]
}

export function describeCertificate(certificate: CertificateFacts, now = Date.now()): DescribedCertificate {
  const { notBefore, notAfter } = certificate
  return {
    subject: certificate.subject,
    issuer: certificate.issuer,
    serial: certificate.serial,
    not_before: isoTime(notBefore),
    not_after: isoTime(notAfter),
    valid_now: notBefore <= now && now < notAfter,
    fingerprint_sha1: certificate.fingerprintSha1,
    fingerprint_sha256: certificate.fingerprintSha256,
    spki_sha256: certificate.publicKeySha256,
    alternative_names: certificate.alternativeNames,
    key_usage: extensionOf(certificate, KEY_USAGE, readKeyUsage),
    extended_key_usage: extensionOf(certificate, EXTENDED_KEY_USAGE, (value) =>
      readExtendedKeyUsage(value).map(extendedKeyUsageName),
    ),
    is_authority: extensionOf(certificate, BASIC_CONSTRAINTS, readBasicConstraints)?.isAuthority ?? false,
  }
}

/** @throws {ConfigError} where an authority or a list cannot be read */
export function judgeByServers(
  sent: VerifyOptions['sent'],
  config: Config,
  locate: LoadedConfig['locate'],
): ServerJudgement[] {
  const identity = identityHeadersOf(config)
  return connectionsTo(config, sent, locate).map(({ listen, server, verdict, connection }) => {
    return {
      listen,
      server_names: server.server_names,
      ssl_verify_client: server.ssl_verify_client,
      verified: verificationText(connection.verification),
      findings: verdict ? sentences(verdict) : [],
      policy: verdict && policyOf(verdict.trust, server),
      checks: verdict ? checksOf(verdict, verdict.trust, server, sent) : [],
      chain: verdict ? verdict.chain.map(({ subject }) => subject) : [],
      ...outcomeOf(server, connection, identity),
    }
  })
}

/**
 * The connection that the client would get with each server.
 * @throws {ConfigError} where an authority or a list cannot be read
 */
export function connectionsTo(config: Config, sent: VerifyOptions['sent'], locate: LoadedConfig['locate']) {
  const materials = new Materials(locate)
  const connections = config.listeners.flatMap(({ listen, servers }) =>
    servers.map((server) => {
      const verdict = verdictOf(sent, server, materials)
      const connection = connectionOf(sent, server, verdict)
      return { listen: listenText(listen), server, verdict, connection }
    }),
  )
  if (materials.problems.length > 0) throw new ConfigError(materials.problems)
  return connections
}

/** Undefined where the server asks for no certificate. */
export function verdictOf(
  sent: VerifyOptions['sent'],
  server: ServerConfig,
  materials: Materials,
): Verdict | undefined {
  const trust = clientTrustOf(server, materials)
  if (!trust) return undefined
  const revocation = revocationOf(server, trust, materials)?.lists
  const verdict = judge({ sent, revocation, depth: server.ssl_verify_depth }, trust)
  const shown = { certificate: sent[0], chain: verdict.chain.slice(1), error: verdict.code }
  const unmet = trust.requirements.flatMap((requirement) => requirement(shown) ?? [])
  return { ...verdict, unmet, trust }
}

/** Judges as OpenSSL does, or as we do in its place below an authority that OpenSSL does not know because it is not announced. */
function judge(
  options: Pick<VerifyOptions, 'sent' | 'revocation' | 'depth'>,
  { certificates: trusted, partialChain, unannouncedPems }: ClientTrust,
): ChainVerdict {
  const verdict = verifyChain({ ...options, trusted, partialChain, bySignature: unannouncedPems.length > 0 })
  const anchor = verdict.chain.at(-1)
  if (!anchor || !unannouncedPems.includes(anchor.pem)) return verdict
  return verifyStrictly({ ...options, trusted, partialChain })
}

/** OpenSSL's verdict, and the server's further demands. */
interface Verdict extends ChainVerdict {
  readonly unmet: readonly Failure[]
  readonly trust: ClientTrust
}

const POLICY = 'inspect'

/** A connection as the client would open it: a full handshake of TLS 1.3. */
export function connectionOf(
  sent: VerifyOptions['sent'] | undefined,
  server: ServerConfig,
  verdict: Verdict | undefined,
): Connection {
  const leaf = sent?.[0]
  return {
    id: '',
    policy: POLICY,
    serverName: server.server_names.find((name) => !name.includes('*')),
    remoteAddress: '',
    remotePort: 0,
    localPort: 0,
    protocol: 'TLSv1.3',
    cipher: 'TLS_AES_256_GCM_SHA384',
    resumed: false,
    verification: verificationOf(verdict),
    certificate: verdict && leaf,
    chain: verdict && verdict.code === undefined ? withoutRoot(verdict.chain.slice(1)) : [],
    expiresAt: verdict && leaf ? leaf.notAfter : Number.POSITIVE_INFINITY,
  }
}

function verificationOf(verdict: Verdict | undefined): Verification {
  if (!verdict) return { result: 'NONE' }
  const { code } = verdict
  const [unmet] = verdict.unmet
  if (unmet && (code === undefined || FORGIVEN_BY_OPTIONAL_NO_CA.has(code))) return unmet
  return code === undefined ? { result: 'SUCCESS' } : { result: 'FAILED', code, reason: opensslReason(code) }
}

function outcomeOf(
  server: ServerConfig,
  connection: Connection,
  identity: IdentityHeaders,
): Pick<ServerJudgement, 'refusal' | 'handshake_fails' | 'headers'> {
  if (server.ssl_reject_handshake)
    return { refusal: 'GW_MISDIRECTED', handshake_fails: 'ssl_reject_handshake', headers: [] }
  let headers: ServerJudgement['headers'] = []
  try {
    headers = pairs(identity.for(connection).list)
    verify(
      { name: '', policy: POLICY, verify: server.ssl_verify_client, mapper: undefined, verifyAndMap: false },
      undefined,
      connection,
      Date.now(),
    )
    return { refusal: undefined, handshake_fails: undefined, headers }
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    const fails = server.ssl_verify_failure === 'reject' ? 'ssl_verify_failure' : undefined
    return { refusal: error.code, handshake_fails: fails, headers }
  }
}

export function sentences({ findings, chain, unmet }: Verdict): string[] {
  const demanded = unmet.map(({ reason, hint }) => (hint === undefined ? reason : `${reason} (${hint})`))
  const found = findings.map(({ code, at, detail }) => {
    const reason = `${chain[at]?.subject || '(empty subject)'}: ${opensslReason(code)}`
    return detail === undefined ? reason : `${reason} (${detail})`
  })
  return [...found, ...demanded]
}

export function pairs(flat: readonly string[]): (readonly [string, string])[] {
  return flat.flatMap((name, i) => (i % 2 === 0 ? [[name, flat[i + 1] ?? ''] as const] : []))
}

/** The content of an extension; undefined where it is absent or unreadable. */
function extensionOf<T>(certificate: CertificateFacts, oid: string, read: (value: Buffer) => T): T | undefined {
  try {
    const value = readExtensions(certificate.raw).find((extension) => extension.oid === oid)?.value
    return value && read(value)
  } catch {
    return undefined
  }
}

function isoTime(time: number): string | undefined {
  return Number.isFinite(time) && time !== 0 ? new Date(time).toISOString() : undefined
}
