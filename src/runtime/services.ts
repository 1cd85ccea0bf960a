import type { SecureVersion } from 'node:tls'
import type { Config, ServiceConfig, TargetConfig } from '../config/index.ts'
import type { Metrics } from '../metrics/metrics.ts'
import { RegistryGate } from '../registry/gate.ts'
import { createGateTokens } from '../registry/gate-tokens.ts'
import { withKnownIssuers } from '../tls-cert-utils/chain.ts'
import type { KeyPair } from '../tls-cert-utils/key-pair.ts'
import type { TrustStore } from '../tls-cert-utils/trust-store.ts'
import type { AnswerHeaders, Service } from '../types.ts'
import { Backend } from '../upstream/backend.ts'
import { createRoundRobin, type Target } from '../upstream/balancer.ts'
import type { ConnectionPool } from '../upstream/pool.ts'
import type { Pools } from '../upstream/pools.ts'
import type { UpstreamRevocation } from '../upstream/revocation.ts'
import type { UpstreamTls } from '../upstream/tls-identity.ts'
import { type BuiltinSurroundings, createBuiltin } from './builtins.ts'
import { digestOf, type Materials } from './materials.ts'
import type { UpstreamRevocations } from './revocation/upstream-revocation.ts'
import { rootlessAuthoritiesOfApis } from './warnings/never-works.ts'

export interface BuiltService {
  readonly service: Service
  readonly pools: readonly ConnectionPool[]
}

export type Services = ReadonlyMap<string, BuiltService>

interface Surroundings {
  readonly config: Config
  readonly materials: Materials
  readonly revocations: UpstreamRevocations
  readonly pools: Pools
  /** Collects the keys of the pools that this configuration uses. */
  readonly used: Set<string>
  readonly answerHeaders: AnswerHeaders
  readonly builtins: BuiltinSurroundings
  /** How many workers share the limits of the whole gateway. */
  readonly workers: number
}

/** So few milliseconds are hardly meant, and every request would fail: nginx's times without a unit are seconds. */
const FEW_MILLISECONDS = 100

function warnOfSeconds(service: ServiceConfig, materials: Materials): void {
  for (const key of ['connect_timeout', 'write_timeout', 'read_timeout'] as const) {
    const value = service[key]
    if (value < FEW_MILLISECONDS)
      materials.warn(
        `${service.at}.${key}`,
        `is ${value} ms, as Kong's timeouts are milliseconds; write ${value}000 for seconds`,
      )
  }
}

/** Undefined where a certificate or CA cannot be used; `materials` has the problems then. */
export function buildService(service: ServiceConfig, surroundings: Surroundings): BuiltService | undefined {
  const { materials, config, pools, used } = surroundings
  if (service.builtin !== undefined) {
    const made = createBuiltin(service.name, service.builtin, surroundings.builtins)
    return made && { service: made, pools: [] }
  }
  warnOfSeconds(service, materials)
  const before = materials.problems.length
  const trust = service.protocol === 'https' ? trustOf(service, config, materials) : undefined
  const pair = service.protocol === 'https' ? presentedPair(service, config, materials) : undefined
  const revocation = service.protocol === 'https' ? surroundings.revocations.of(service, trust) : undefined
  if (materials.problems.length > before) return undefined

  const tlsFor = upstreamTlsOf(service, surroundings, { trust, pair, revocation })
  if (!tlsFor) return undefined
  const limits = {
    readTimeout: service.read_timeout,
    idleTimeout: config.proxy.upstream_keepalive_idle_timeout,
    maxIdle: config.proxy.upstream_keepalive_pool_size,
    maxRequests: config.proxy.upstream_keepalive_max_requests || Number.POSITIVE_INFINITY,
    maxConnections: upstreamMaxConnections(config, surroundings.workers),
  }
  const namesStaleFor = config.proxy.dns_stale_ttl
  const poolOf = new Map<Target, ConnectionPool>(
    service.targets.map((target) => {
      const { socket, host, port } = target
      const address = socket === undefined ? { host, port } : { path: socket }
      const tls = service.protocol === 'https' ? tlsFor(target) : undefined
      return [target, pools.get({ address, tls, connectTimeout: service.connect_timeout, namesStaleFor, limits }, used)]
    }),
  )
  const backend = new Backend({
    name: service.name,
    balancer: createRoundRobin(service.targets),
    poolOf: (target) => poolOf.get(target) as ConnectionPool,
    isPlain: service.protocol === 'http',
    hostOf: hostOf(service),
    retries: service.retries,
    readTimeout: service.read_timeout,
    writeTimeout: service.write_timeout,
    answerHeaders: surroundings.answerHeaders,
  })
  const gate = gateOf(service, backend, surroundings.builtins)
  return gate && { service: gate, pools: [...new Set(poolOf.values())] }
}

/** For each of the workers. */
export function upstreamMaxConnections({ proxy }: Config, workers: number): number {
  return Math.ceil(proxy.upstream_max_connections / workers)
}

/** The backend itself, or the registry gate in front of it. Undefined where its realm cannot be used, which `materials` reports. */
function gateOf(
  { registry }: ServiceConfig,
  backend: Service,
  { realms, log }: BuiltinSurroundings,
): Service | undefined {
  if (!registry) return backend
  const realm = realms.find(({ name }) => name === registry.realm.name)
  if (!realm) return undefined
  const { service, filter } = registry
  const tokens = registry.token ? createGateTokens(realm.signer, service, realm.tokenLifetime) : undefined
  return new RegistryGate({ realm, service, backend, tokens, filter, url: registry.realm.url, warn: log.warn })
}

/** Undefined means the public authorities that Node brings, which is what a browser would trust. */
function trustOf(service: ServiceConfig, config: Config, materials: Materials): TrustStore | undefined {
  const { proxy_ssl_trusted_certificate: source, proxy_ssl_ciphers: ciphers } = config.proxy
  if (service.ca_certificates) {
    const stores = service.ca_certificates.map(({ cert, name }) => materials.trustStore(cert, name, ciphers))
    const certificates = stores.flatMap((store) => store?.certificates ?? [])
    for (const message of rootlessAuthoritiesOfApis(certificates))
      materials.warnOnce(`${service.at}.ca_certificates`, message)
    return {
      certificates,
      pems: certificates.map(({ pem }) => pem),
      digest: digestOf(stores.map((store) => store?.digest).sort()),
    }
  }
  const store = source && materials.trustStore(source, 'upstream', ciphers)
  for (const message of rootlessAuthoritiesOfApis(store?.certificates ?? []))
    materials.warnOnce(source?.setting ?? service.at, message)
  return store
}

function presentedPair(service: ServiceConfig, config: Config, materials: Materials): KeyPair | undefined {
  const chosen = service.client_certificate
  if (chosen === 'none') return undefined
  if (chosen !== 'default') {
    const { at, name, cert, key, passphrase } = chosen
    const passphraseSetting = `${at}.passphrase`
    return materials.keyPair({
      role: 'client',
      name,
      cert,
      key,
      passphrases: passphrase ? [passphrase] : [],
      passphraseSetting,
    })
  }
  return ownPair(config, materials)
}

/** The gateway's own key pair. It is read even where no service presents it, so that a key that does not fit is reported at the start. */
export function ownPair({ proxy }: Config, materials: Materials): KeyPair | undefined {
  const { proxy_ssl_certificate: cert, proxy_ssl_certificate_key: key, proxy_ssl_password: passphrase } = proxy
  if (!cert || !key) return undefined
  const passphraseSetting = 'proxy_ssl_password (SECRET_CLIENT_KEY_PASSPHRASE)'
  return materials.keyPair({
    role: 'client',
    name: 'proxy',
    cert,
    key,
    passphrases: passphrase ? [passphrase] : [],
    passphraseSetting,
  })
}

interface UpstreamParties {
  readonly trust: TrustStore | undefined
  readonly pair: KeyPair | undefined
  readonly revocation: UpstreamRevocation | undefined
}

function upstreamTlsOf(
  service: ServiceConfig,
  { config: { proxy }, materials }: Pick<Surroundings, 'config' | 'materials'>,
  { trust, pair, revocation }: UpstreamParties,
): ((target: TargetConfig) => UpstreamTls) | undefined {
  const protocols = proxy.proxy_ssl_protocols as readonly SecureVersion[]
  const minVersion = protocols.includes('TLSv1.2') ? 'TLSv1.2' : 'TLSv1.3'
  const maxVersion = protocols.includes('TLSv1.3') ? 'TLSv1.3' : 'TLSv1.2'
  const ciphers = proxy.proxy_ssl_ciphers
  const common = { minVersion, maxVersion, ciphers } as const
  const parties = { trust: trust?.digest ?? 'public', certificate: pair?.chainFingerprint ?? 'none' }
  const asked = { revocation: revocation?.identity ?? 'none' }
  const options = () => ({
    ...(trust ? { ca: [...trust.pems] } : {}),
    ...(pair ? { cert: withKnownIssuers(pair.certificates, trust?.certificates ?? []), key: pair.keyPem } : {}),
    ...common,
  })
  const { client_certificate: chosen } = service
  const source = typeof chosen === 'object' ? chosen.cert : proxy.proxy_ssl_certificate
  const context = materials.taken(source?.setting ?? 'proxy', 'proxy.proxy_ssl_ciphers', () =>
    materials.secureContext([parties, common], options),
  )
  if (!context) return undefined
  return (target) => {
    const verifyName = service.proxy_ssl_name ?? withoutPort(service.upstream?.host_header) ?? target.host
    const { tls_verify: verify, tls_verify_depth: verifyDepth } = service
    const identity = JSON.stringify({ ...parties, ...asked, verifyName, verify, verifyDepth, ...common })
    return { identity, context, verifyName, verifyDepth, verify, revocation }
  }
}

/** A certificate holds names, not ports. */
function withoutPort(authority: string | undefined): string | undefined {
  return authority?.replace(/:\d+$/, '').replace(/^\[(.+)\]$/, '$1')
}

/** Kong's rule for Host: the upstream's host_header, else the target's name, with its port unless that is the scheme's default. */
function hostOf(service: ServiceConfig): (target: Target) => string {
  const usual = service.protocol === 'https' ? 443 : 80
  return (target) => {
    if (service.upstream?.host_header) return service.upstream.host_header
    const host = target.host.includes(':') ? `[${target.host}]` : target.host
    return target.port === usual || target.socket !== undefined ? host : `${host}:${target.port}`
  }
}

/** Publishes the connection metrics of the services in use, and of no others. */
export function watchPools(services: Services, { forgetPoolMetrics, metrics }: WatchedPools): void {
  for (const forget of forgetPoolMetrics.splice(0)) forget()
  for (const [name, { pools }] of services) {
    const count = () => {
      const idle = pools.reduce((sum, pool) => sum + pool.idleConnections, 0)
      return { idle, active: pools.reduce((sum, pool) => sum + pool.size, 0) - idle }
    }
    forgetPoolMetrics.push(metrics.upstreamConnections(name, count))
  }
}

interface WatchedPools {
  readonly forgetPoolMetrics: (() => void)[]
  readonly metrics: Metrics
}
