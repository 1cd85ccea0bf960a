import type { SecureVersion } from 'node:tls'
import type { CertificateConfig, ListenerConfig, ServerConfig } from '../config/index.ts'
import type { DemandsInForce } from '../listener/demand.ts'
import type { Intermediates } from '../listener/intermediates.ts'
import { notRevoked } from '../listener/not-revoked.ts'
import { allOf } from '../listener/requirements.ts'
import type { ServerCertificates } from '../listener/tls-servers.ts'
import { TrustPolicy, type TrustPolicyOptions } from '../listener/trust-policy.ts'
import type { Log } from '../log/log.ts'
import type { Metrics } from '../metrics/metrics.ts'
import { ServerNames } from '../routing/server-names.ts'
import type { Slices } from '../slices.ts'
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import type { VirtualServer } from '../types.ts'
import { type ClientTrust, clientTrustOf } from './client-trust.ts'
import type { Demands } from './demands.ts'
import type { ReadCertificates } from './kept.ts'
import type { ListFetcher } from './list-fetcher.ts'
import type { Mappers } from './mappers.ts'
import { digestOf, type Materials } from './materials.ts'
import { noSuite } from './never-agrees.ts'
import { covers } from './never-works.ts'
import type { OcspAnswers } from './ocsp.ts'
import { ignoredListReporter, revocationOf } from './revocation.ts'
import {
  areDoubtful,
  type CertificatesByName,
  certificatesByName,
  certificatesOfServer,
} from './server-certificates.ts'

/** A server of a listener with what its handshakes need. */
interface Prepared {
  readonly config: ServerConfig
  readonly virtual: VirtualServer
  readonly options: TrustPolicyOptions
  readonly demands: DemandsInForce
  /** Of its own. */
  readonly certificates: ReadCertificates
}

/** What the servers of one listener come to. */
export interface ListenerServers {
  readonly virtualFor: (host: string) => VirtualServer
  /** Undefined where handshakes with that name are rejected. */
  readonly policyFor: (serverName: string | undefined) => TrustPolicy | undefined
  readonly certificatesFor: (serverName: string | undefined) => ServerCertificates
  /**
   * The same policy, where it may take over open connections of an earlier one. Not for connections of load balancers: the earlier policy has judged
   * their clients' certificates.
   */
  readonly successorFor: (serverName: string | undefined) => TrustPolicy | undefined
  /** The URIs of the certificate that is shown to a client with this server name. */
  readonly ownUris: (serverName: string | undefined) => readonly string[]
  readonly servers: readonly {
    readonly virtual: VirtualServer
    readonly config: ServerConfig
    readonly policy: TrustPolicy
  }[]
  /** Open connections that were judged by any other policy must end. */
  readonly policyIds: ReadonlySet<string>
  /** Puts the demands of this configuration in force, also for open connections of older policies with the same ids. */
  commit(): void
}

/** The policy of servers whose handshakes are rejected: a request for one of their names is misdirected. */
const REJECTED = 'rejected'

/** Policies by everything that they are made from, so that policies which a reload does not change keep their sessions and what they know of clients. */
export type PolicyRegistry = Map<string, TrustPolicy>

/** What the policies of a process share. */
export interface PolicyContext {
  readonly log: Log
  readonly metrics: Metrics
  readonly listFetcher: ListFetcher
  /** Session ticket keys follow from it. */
  readonly ticketSecret: Buffer
  /** The start of the first period of session ticket keys. */
  readonly startedAt: number
  readonly intermediates: Intermediates
  /** The policies in use. */
  readonly policies: PolicyRegistry
  readonly demands: Demands
  readonly mappers: Mappers
  readonly ocsp: OcspAnswers
}

/** What a server is prepared with. */
interface Preparation extends Pick<PolicyContext, 'log' | 'metrics' | 'mappers' | 'ocsp'> {
  readonly bySni: CertificatesByName
  readonly materials: Materials
  readonly fetcher: ListFetcher
}

/**
 * Builds the trust policies of a listener. Undefined where a certificate, CA or list cannot be used; `materials` has the problems then. `used`
 * collects the policies of this configuration.
 */
export function* prepareServers(
  listener: ListenerConfig,
  certificates: readonly CertificateConfig[],
  materials: Materials,
  context: PolicyContext,
  used: PolicyRegistry,
): Slices<ListenerServers | undefined> {
  const before = materials.problems.length
  const bySni = yield* certificatesByName(certificates, materials)
  const preparation = { ...context, bySni, materials, fetcher: context.listFetcher }
  const prepared: Prepared[] = []
  for (const server of listener.servers) {
    yield
    prepared.push(yield* prepareServer(server, listener, preparation))
  }
  const fallback = prepared.find(({ config }) => config.default_server)
  if (materials.problems.length > before || !fallback) return undefined

  const names = namesOf(prepared, fallback)
  const policies = new Map<string, TrustPolicy>()
  const accepting = prepared.filter(({ config }) => !config.ssl_reject_handshake)
  for (const [id, servers] of Map.groupBy(accepting, ({ options }) => options.id)) {
    yield
    policies.set(id, policyOf(servers, context, used))
  }
  const policyFor = (serverName: string | undefined) => {
    const { config, options } = names.find(serverName)
    return config.ssl_reject_handshake ? undefined : policies.get(options.id)
  }
  const certificatesFor = (serverName: string | undefined) => shownBy(names.find(serverName), serverName, bySni)
  yield* reportRefused(shownIn(accepting, names, bySni), (id) => policies.get(id), materials)
  return {
    virtualFor: (host) => names.find(host).virtual,
    policyFor,
    certificatesFor,
    successorFor: (serverName) =>
      names.find(serverName).config.certificate_header_format === 'off' ? policyFor(serverName) : undefined,
    ownUris: (serverName) => {
      const leaf = leafOf(certificatesFor(serverName))
      return (leaf?.alternativeNames ?? []).filter(({ type }) => type === 'uri').map(({ value }) => value)
    },
    servers: accepting.map(({ virtual, config, options }) => ({
      ...{ virtual, config },
      policy: policies.get(options.id) as TrustPolicy,
    })),
    policyIds: new Set(policies.keys()),
    commit() {
      for (const { options, demands } of prepared) policies.get(options.id)?.demand(demands)
    },
  }
}

function* prepareServer(
  config: ServerConfig,
  listener: ListenerConfig,
  { bySni, materials, log, metrics, mappers, fetcher, ocsp }: Preparation,
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
  const revocation = trust && revocationOf(config, trust, materials, fetcher)
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

function namesOf(servers: readonly Prepared[], fallback: Prepared): ServerNames<Prepared> {
  const entries = servers.flatMap((server) => server.config.server_names.map((name) => [name, server] as const))
  return new ServerNames(entries, fallback)
}

interface ShownCertificates {
  readonly options: TrustPolicyOptions
  readonly certificates: ReadCertificates
  readonly setting: string
}

/** What the servers of a listener show, the same more than once. */
function* shownIn(
  accepting: readonly Prepared[],
  names: ServerNames<Prepared>,
  bySni: CertificatesByName,
): Generator<ShownCertificates> {
  for (const { config, options, certificates } of accepting)
    if (certificates.pairs.length > 0) yield { options, certificates, setting: `${config.at}.ssl_certificate` }
  const nameless = accepting.filter(({ certificates }) => certificates.pairs.length === 0)
  // Below a wildcard, names may have other certificates than the wildcard itself.
  for (const name of [...nameless.flatMap(({ config }) => config.server_names), ...bySni.names]) {
    const { config, options, certificates: own } = names.find(name)
    if (config.ssl_reject_handshake || own.pairs.length > 0) continue
    const certificates = bySni.find(name)
    yield { options, certificates, setting: bySni.settingOf(certificates) }
  }
}

/** Reports certificates that OpenSSL does not take, so that not each handshake fails instead. */
function* reportRefused(
  shown: Iterable<ShownCertificates>,
  policyOf: (id: string) => TrustPolicy | undefined,
  materials: Materials,
): Slices<void> {
  const asked = new Map<ReadCertificates, Set<string>>()
  for (const { options, certificates, setting } of shown) {
    yield
    if (!areDoubtful(certificates, options.ciphers)) continue
    const ids = asked.get(certificates) ?? new Set()
    asked.set(certificates, ids)
    if (ids.has(options.id)) continue
    ids.add(options.id)
    materials.taken(setting, 'ssl_ciphers', () => policyOf(options.id)?.servers.assertUsable(certificates))
  }
}

/** One policy for the servers that trust alike, of all listeners. */
function policyOf(servers: readonly Prepared[], context: PolicyContext, used: PolicyRegistry): TrustPolicy {
  const first = servers.find(({ config }) => config.default_server) ?? servers[0]
  if (!first) throw new Error('a policy without servers')
  const { options, demands } = first
  const key = digestOf([options])
  const { intermediates, ticketSecret: bytes, startedAt: since } = context
  const policy =
    context.policies.get(key) ??
    used.get(key) ??
    new TrustPolicy(options, {
      ...{ intermediates, ticketSecret: { bytes, since }, sessionContext: key },
      inForce: context.demands.of(options.id, demands),
    })
  used.set(key, policy)
  return policy
}

/** The certificates that a server shows to clients with this server name, or with none. */
function shownBy(
  { certificates, config }: Pick<Prepared, 'certificates' | 'config'>,
  serverName: string | undefined,
  bySni: CertificatesByName,
): ReadCertificates {
  return certificates.pairs.length > 0 ? certificates : bySni.find(serverName ?? config.server_names[0])
}

function leafOf({ pairs }: ReadCertificates): CertificateFacts | undefined {
  return pairs[0]?.leaf
}

/** node:tls takes a range: TLS 1.2 and 1.3 have nothing in between. */
function versionRange(protocols: readonly SecureVersion[]): [SecureVersion, SecureVersion] {
  return [protocols.includes('TLSv1.2') ? 'TLSv1.2' : 'TLSv1.3', protocols.includes('TLSv1.3') ? 'TLSv1.3' : 'TLSv1.2']
}
