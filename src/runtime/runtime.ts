import type { Config, ListenerConfig, LoadedConfig, RouteConfig } from '../config/index.ts'
import { byLine, ConfigError, type Problem } from '../errors.ts'
import { Gateway, type Phases } from '../gateway.ts'
import { createResponseHeaderFilter } from '../identity/headers.ts'
import { createUsers } from '../identity/users.ts'
import type { ListenerSettings } from '../listener/listener.ts'
import type { AccessLog } from '../log/access-log.ts'
import { createRecorder } from '../recorder.ts'
import type { Realm } from '../registry/realm.ts'
import { createRouter, type RouteRule } from '../routing/router.ts'
import { atOnce, inSlices, type Slices } from '../slices.ts'
import type { Access, AnswerHeaders, CertificateDemand } from '../types.ts'
import { buildAuthentication } from './authentication.ts'
import { addressOfClients, authorizationsOf, forwardedHeadersOf } from './authorization.ts'
import type { BuiltinSurroundings } from './builtins.ts'
import { certificateDemandsOf } from './certificate-demands.ts'
import { furtherProblems } from './further-problems.ts'
import { ambiguousHeaders, ownedNamesOf } from './identity.ts'
import { createDirectory } from './identity-api.ts'
import type { Lasting } from './lasting.ts'
import { settingsOf } from './listener-settings.ts'
import { Mappers } from './mappers.ts'
import { Materials } from './materials.ts'
import { createPhases, type PhasesOptions } from './phases.ts'
import { Plugins } from './plugins.ts'
import { type ListenerServers, type PolicyRegistry, prepareServers } from './policies.ts'
import { buildRealms } from './registry.ts'
import { UpstreamRevocations } from './revocation/upstream-revocation.ts'
import {
  type BuiltService,
  buildService,
  ownPair,
  type Services,
  upstreamMaxConnections,
  watchPools,
} from './services.ts'
import { storeOf } from './store.ts'
import { createTokens } from './tokens.ts'
import { warnOfDoubts } from './warnings/warnings.ts'

export interface ListenerRuntime {
  readonly config: ListenerConfig
  readonly settings: ListenerSettings
  readonly gateway: Gateway
  /** The phases that the gateway runs, for `inspect`. */
  readonly phases: Phases
  readonly policyIds: ReadonlySet<string>
}

/** A configuration ready to serve. */
export interface Runtime {
  readonly config: Config
  readonly listeners: readonly ListenerRuntime[]
  readonly accessLog: AccessLog
  /** Warnings: nothing that keeps it from serving. */
  readonly warnings: readonly Problem[]
  /** The certificates and lists that were read, for `sallyport check`. */
  readonly materials: Materials
  /**
   * Waits for what starts slowly, such as plugins and files of users.
   * @throws ConfigError where it cannot be used
   */
  ready(): Promise<void>
  /** Ends what `ready` has started, where it is never committed. */
  close(): void
  /** Puts it in use: retires pools that it does not need, and updates the metrics. Nothing changes before this. */
  commit(): void
}

/**
 * The composition root: turns a checked configuration into a complete Runtime before anything in use is touched.
 * @throws ConfigError with everything that keeps it from serving
 */
export function buildRuntime(loaded: LoadedConfig, lasting: Lasting): Runtime {
  return atOnce(compose(loaded, lasting))
}

/**
 * Does the same in slices, so that requests go on meanwhile.
 * @throws ConfigError
 */
export function buildRuntimeBeside(loaded: LoadedConfig, lasting: Lasting): Promise<Runtime> {
  return inSlices(compose(loaded, lasting))
}

function* compose(loaded: LoadedConfig, lasting: Lasting): Slices<Runtime> {
  if (!loaded.config) throw new ConfigError([...loaded.problems, ...furtherProblems(loaded, lasting)].toSorted(byLine))
  const { config } = loaded
  const materials = new Materials(loaded.locate, lasting.revocationFiles, lasting.keptMaterials)
  if (config.services.length === 0) materials.problem('services', nothingToServe(loaded.file))
  const accessLog = lasting.log.accessLog({
    enabled: config.log.access_log,
    secretParameters: new Set(config.auth['api-key'].key_names),
  })
  const usedPools = new Set<string>()
  const usedPolicies: PolicyRegistry = new Map()
  const store = storeOf(config.store, lasting.store, lasting.log, lasting.memory)
  const tokens = createTokens(config.tokens, store.store, lasting.ticketSecret, materials)
  const users = createUsers(config.consumers, config.disabled_consumers)
  const directory = createDirectory(config, users)
  yield
  const forwarded = forwardedHeadersOf(config)
  const addressOf = addressOfClients(forwarded)
  const authorizations = authorizationsOf(config.routes, addressOf, materials)
  yield
  const dockerPlugins = new Plugins(config.docker_plugins, users)
  const authentication = buildAuthentication({
    ...{ config, users, materials, dockerPlugins, store: store.store },
    ...{ tokens, directory, authorizations, addressOf, lasting },
  })
  yield
  const { methods, receipts, accesses } = authentication
  const identity = tokens && { config, users, methods: methods.byName, receipts, tokens, directory }
  const { password } = methods
  const realms = buildRealms(config.registry_realms, {
    ...{ materials, store: store.store, users, password, directory, addressOf },
  })
  yield
  const services = yield* buildServices(config, { materials, realms, identity, lasting, used: usedPools })
  const mappers = new Mappers(config, users, dockerPlugins, materials, lasting.usersFiles)
  const servers: (ListenerServers | undefined)[] = []
  for (const listener of config.listeners) {
    servers.push(yield* prepareServers(listener, config.certificates, materials, { ...lasting, mappers }, usedPolicies))
  }
  const demands = certificateDemandsOf(config.routes, materials)
  for (const message of ambiguousHeaders(config)) materials.problem('identity_presets', message)
  if (materials.problems.length > 0) throw new ConfigError(materials.problems)

  const router = yield* createRouter(yield* rulesOf(config, services, accesses.of, demands))
  yield
  const mostUpstreams = usedPools.size * upstreamMaxConnections(config, lasting.workers)
  yield* warnOfDoubts(config, {
    servers: servers as readonly ListenerServers[],
    ...{ router, authorizations, mostUpstreams, lasting, materials },
  })
  yield
  const begin = createRecorder({ accessLog, metrics: lasting.metrics })
  const parts = { config, router, forwarded, begin, mappedAccess: accesses.mapped }
  const listeners = config.listeners.map((listener, i) =>
    buildListener(listener, servers[i] as ListenerServers, parts, lasting),
  )
  return {
    config,
    listeners,
    accessLog,
    warnings: [...loaded.warnings, ...materials.warnings],
    materials,
    ready: () => mappers.ready().then(() => authentication.ready()),
    close: () => authentication.close(),
    commit() {
      lasting.authentication = authentication.use(lasting.authentication)
      lasting.policies = usedPolicies
      lasting.store = store.use(lasting.store)
      for (const each of servers) each?.commit()
      lasting.revocationFiles.forgetUnused()
      lasting.keptMaterials.commit()
      const { inUse } = lasting.keptMaterials.serverCertificates
      for (const policy of usedPolicies.values()) policy.servers.keepOnly(inUse)
      lasting.usersFiles.forgetUnused()
      lasting.listFetcher.apply(config.crl_fetch)
      lasting.pools.retireAllBut(usedPools)
      lasting.openFiles.shareOut(mostUpstreams)
      lasting.metrics.certificates(materials.certificatesInUse)
      lasting.metrics.crls(() => [...materials.crlsInUse, ...lasting.listFetcher.inUse])
      watchPools(services, lasting)
    },
  }
}

function nothingToServe(file: string | undefined): string {
  const remedy = file === undefined ? 'name a configuration with -c FILE' : 'declare a service with a route'
  return `there is nothing to serve: ${remedy}, or set SALLYPORT_UPSTREAM_URL`
}

function buildListener(
  listener: ListenerConfig,
  { virtualFor, ownUris, policyFor, certificatesFor, successorFor, policyIds, servers }: ListenerServers,
  parts: Pick<PhasesOptions, 'config' | 'router' | 'forwarded' | 'begin' | 'mappedAccess'>,
  lasting: Lasting,
): ListenerRuntime {
  const phases = createPhases({ ...lasting, ...parts, listener, virtualFor, ownUris, servers })
  const gateway = new Gateway(phases)
  const policies = { policyFor, certificatesFor, successorFor, virtualFor }
  const settings = settingsOf(listener, parts.config, policies, gateway, lasting)
  return { config: listener, settings, gateway, phases, policyIds }
}

interface ServiceIngredients {
  readonly materials: Materials
  readonly realms: readonly Realm[]
  readonly identity: BuiltinSurroundings['identity'] | undefined
  readonly lasting: Lasting
  readonly used: Set<string>
}

function* buildServices(config: Config, ingredients: ServiceIngredients): Slices<Services> {
  const { materials, realms, identity, lasting, used } = ingredients
  const answerHeaders: AnswerHeaders = createResponseHeaderFilter({ ownedNames: ownedNamesOf(config), via: config.via })
  const built = new Map<string, BuiltService>()
  ownPair(config, materials)
  const revocations = new UpstreamRevocations(config, materials, lasting.log)
  for (const service of config.services) {
    const builtins = { realms, log: lasting.log, identity }
    const made = buildService(service, {
      config,
      materials,
      revocations,
      pools: lasting.pools,
      used,
      answerHeaders,
      builtins,
      workers: lasting.workers,
    })
    if (made) built.set(service.name, made)
    yield
  }
  return built
}

function* rulesOf(
  config: Config,
  services: Services,
  accessOf: (route: RouteConfig) => Access | undefined,
  demands: ReadonlyMap<RouteConfig, CertificateDemand>,
): Slices<RouteRule[]> {
  const rules: RouteRule[] = []
  for (const route of config.routes) {
    const built = services.get(route.service.name)
    if (!built) continue
    rules.push({
      name: route.name,
      service: built.service,
      access: accessOf(route),
      certificate: demands.get(route),
      servicePath: route.service.path,
      hosts: route.hosts,
      paths: route.paths,
      methods: route.methods,
      headers: route.headers,
      snis: route.snis,
      protocols: route.protocols,
      stripPath: route.strip_path,
      preserveHost: route.preserve_host,
      regexPriority: route.regex_priority,
      createdAt: route.created_at,
    })
    yield
  }
  return rules
}
