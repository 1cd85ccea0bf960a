/** One server of a listener, made ready for handshakes: whom it trusts, what it demands and shows. Its policy is made when all of them are known. */
import type { SecureVersion } from 'node:tls'
import type { ListenerConfig, ServerConfig } from '../config/index.ts'
import type { DemandsInForce } from '../listener/demand.ts'
import { notRevoked } from '../listener/not-revoked.ts'
import { allOf } from '../listener/requirements.ts'
import type { TrustPolicyOptions } from '../listener/trust-policy.ts'
import type { Log } from '../log/log.ts'
import type { Metrics } from '../metrics/metrics.ts'
import type { Slices } from '../slices.ts'
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import type { VirtualServer } from '../types.ts'
import { type ClientTrust, clientTrustOf } from './client-trust.ts'
import type { ReadCertificates } from './kept.ts'
import type { Mappers } from './mappers.ts'
import { digestOf, type Materials } from './materials.ts'
import type { ListFetcher } from './revocation/list-fetcher.ts'
import type { OcspAnswers } from './revocation/ocsp.ts'
import { ignoredListReporter, revocationOf } from './revocation/revocation.ts'
import { type CertificatesByName, certificatesOfServer } from './server-certificates.ts'
import { noSuite } from './warnings/never-agrees.ts'
import { covers } from './warnings/never-works.ts'

export interface Prepared {
  readonly config: ServerConfig
  readonly virtual: VirtualServer
  readonly options: TrustPolicyOptions
  readonly demands: DemandsInForce
  /** Those that it names itself. */
  readonly certificates: ReadCertificates
}

/** The policy of servers whose handshakes are rejected: a request for one of their names is misdirected. */
const REJECTED = 'rejected'

/** What all servers of a process are prepared with. */
export interface ServerSurroundings {
  readonly log: Log
  readonly metrics: Metrics
  readonly listFetcher: ListFetcher
  readonly mappers: Mappers
  readonly ocsp: OcspAnswers
}

/** What a server of one configuration is prepared with. */
export interface Preparation extends ServerSurroundings {
  readonly bySni: CertificatesByName
  readonly materials: Materials
}

/** Pauses between its parts and its names, of which there may be thousands. What cannot be used is reported to `materials`. */
export function* prepareServer(
  config: ServerConfig,
  listener: ListenerConfig,
  { bySni, materials, log, metrics, mappers, listFetcher, ocsp }: Preparation,
): Slices<Prepared> {
  const certificates = certificatesOfServer(config, materials, ocsp)
  yield
  yield* warnOfNames({ config, certificates }, bySni, materials)
  const served = config.ssl_certificate !== undefined || bySni.find(config.server_names[0]).pairs.length > 0
  if (!served && !config.ssl_reject_handshake) {
    materials.problem(
      `${config.at}.ssl_certificate`,
      'is missing, and no certificate has an SNI for this server; set ssl_certificate and ssl_certificate_key (SALLYPORT_SSL_CERTIFICATE, SALLYPORT_SSL_CERTIFICATE_KEY)',
    )
  }
  const trust = clientTrustOf(config, materials)
  yield
  const revocation = trust && revocationOf(config, trust, materials, listFetcher)
  yield
  const statuses = trust && ocsp.statusesOf(config)
  const options = policyOptions(config, listener, trust, `${revocation?.name ?? ''} ${statuses?.name ?? ''}`)
  const demands = {
    demands: [
      ...(revocation
        ? [notRevoked(revocation.lists, { onIgnored: ignoredListReporter(log, metrics), prepare: revocation.prepare })]
        : []),
      ...(statuses ? [statuses.statuses.demand] : []),
    ],
    basis: revocation?.basis ?? NO_LISTS,
  }
  const virtual = {
    name: config.server_names[0] ?? '_',
    policy: config.ssl_reject_handshake ? REJECTED : options.id,
    verify: config.ssl_verify_client,
    mapper: mappers.of(config),
    verifyAndMap: config.verify_and_map,
  }
  return { config, virtual, options, demands, certificates }
}

/** A server may have ten thousand names, with a certificate each. */
function* warnOfNames(
  server: Pick<Prepared, 'config' | 'certificates'>,
  bySni: CertificatesByName,
  materials: Materials,
): Slices<void> {
  const { config } = server
  const seen = new Set<ReadCertificates>()
  const unfit = new Set<string>()
  for (const name of [undefined, ...config.server_names]) {
    yield
    const shown = shownBy(server, name, bySni)
    const leaf = leafOf(shown)
    if (name !== undefined && leaf && !covers(leaf, name)) {
      materials.warn(
        config.ssl_certificate?.[0]?.setting ?? `${config.at}.server_names`,
        `the certificate does not hold the server name ${name}: clients that ask for it will not trust us`,
      )
    }
    if (seen.has(shown)) continue
    seen.add(shown)
    const leaves = shown.pairs.map((pair) => pair.leaf)
    const message = config.ssl_reject_handshake ? undefined : noSuite(config, leaves)
    if (message !== undefined) unfit.add(message)
  }
  for (const message of unfit) materials.warn(`${config.at}.ssl_ciphers`, message)
}

function policyOptions(
  config: ServerConfig,
  listener: ListenerConfig,
  trust: ClientTrust | undefined,
  demands: string,
): TrustPolicyOptions {
  const verify = config.ssl_verify_client
  const [minVersion, maxVersion] = versionRange(config.ssl_protocols as readonly SecureVersion[])
  const session = { sessionTickets: config.ssl_session_tickets, sessionTimeout: config.ssl_session_timeout }
  const { ssl_verify_depth: verifyDepth, ssl_ciphers: ciphers } = config
  const rejects = config.ssl_verify_failure === 'reject'
  const unannounced = trust?.unannouncedPems ?? []
  const id = digestOf([
    verify,
    rejects,
    verify === 'off' ? [] : [trust?.digest, demands, verifyDepth],
    [minVersion, maxVersion, ciphers, session],
  ])
  return {
    id,
    verify,
    rejects,
    ca: (trust?.pems ?? []).filter((pem) => !unannounced.includes(pem)),
    unannounced,
    announced: trust?.announced ?? true,
    partialChain: trust?.partialChain ?? false,
    requirement: allOf(trust?.requirements ?? []),
    demands,
    verifyDepth,
    minVersion,
    maxVersion,
    ciphers,
    ...session,
    handshakeTimeout: listener.handshake_timeout,
  }
}

const NO_LISTS = () => ''

/** The certificates that a server shows to clients with this server name, or with none. */
export function shownBy(
  { certificates, config }: Pick<Prepared, 'certificates' | 'config'>,
  serverName: string | undefined,
  bySni: CertificatesByName,
): ReadCertificates {
  return certificates.pairs.length > 0 ? certificates : bySni.find(serverName ?? config.server_names[0])
}

export function leafOf({ pairs }: ReadCertificates): CertificateFacts | undefined {
  return pairs[0]?.leaf
}

/** node:tls takes a range: TLS 1.2 and 1.3 have nothing in between. */
function versionRange(protocols: readonly SecureVersion[]): [SecureVersion, SecureVersion] {
  return [protocols.includes('TLSv1.2') ? 'TLSv1.2' : 'TLSv1.3', protocols.includes('TLSv1.3') ? 'TLSv1.3' : 'TLSv1.2']
}
