/** The trust policies of a listener's servers: those that trust alike share one. */
import type { CertificateConfig, ListenerConfig, ServerConfig } from '../config/index.ts'
import type { Intermediates } from '../listener/intermediates.ts'
import type { ServerCertificates } from '../listener/tls-servers.ts'
import { TrustPolicy, type TrustPolicyOptions } from '../listener/trust-policy.ts'
import { ServerNames } from '../routing/server-names.ts'
import type { Slices } from '../slices.ts'
import type { VirtualServer } from '../types.ts'
import type { Demands } from './demands.ts'
import type { ReadCertificates } from './kept.ts'
import { digestOf, type Materials } from './materials.ts'
import { leafOf, type Prepared, prepareServer, type ServerSurroundings, shownBy } from './prepared-server.ts'
import { areDoubtful, type CertificatesByName, certificatesByName } from './server-certificates.ts'

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

/** Policies by everything that they are made from, so that policies which a reload does not change keep their sessions and what they know of clients. */
export type PolicyRegistry = Map<string, TrustPolicy>

/** What the policies of a process share. */
export interface PolicyContext extends ServerSurroundings {
  /** Session ticket keys follow from it. */
  readonly ticketSecret: Buffer
  /** The start of the first period of session ticket keys. */
  readonly startedAt: number
  readonly intermediates: Intermediates
  /** The policies in use. */
  readonly policies: PolicyRegistry
  readonly demands: Demands
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
  const preparation = { ...context, bySni, materials }
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
