/** From what is written to what is used: references looked up, children moved to their parents, disabled things left out. */
import type { Slices } from '../slices.ts'
import { checkAccessRules } from './access-rules.ts'
import { type TargetAddress, UNIX } from './addresses.ts'
import { checkAgainstServers, checkCertificateDemands } from './certificate-demands.ts'
import { checkTrustedBalancers } from './certificate-header.ts'
import {
  type CaCertificateConfig,
  type CertificateConfig,
  checkCertificate,
  NO_CERTIFICATE,
  type WrittenCertificate,
  type WrittenSni,
} from './certificates.ts'
import type { Config, Written } from './config.ts'
import type { Located } from './field.ts'
import { checkForwarding, checkIdentityHeaders } from './identity-headers.ts'
import { checkProxy, type ProxyConfig } from './proxy.ts'
import { Registry } from './registry.ts'
import type { RegistryRealmConfig } from './registry-realms.ts'
import { resolveAuth } from './resolve-auth.ts'
import { checkDefaultConsumers, resolveConsumers } from './resolve-consumers.ts'
import { located, passes, type ResolveContext } from './resolve-context.ts'
import { resolveIdentityApi } from './resolve-identity-api.ts'
import { resolveListeners } from './resolve-listeners.ts'
import { resolveRegistryGate, resolveRegistryRealms } from './resolve-registry.ts'
import { checkRoute, type RouteConfig, type WrittenRoute } from './routes.ts'
import { checkRevocationMode, checkService, type ServiceConfig, type WrittenService } from './services.ts'
import { checkTokens } from './tokens.ts'
import type { TargetConfig, UpstreamConfig, WrittenTarget, WrittenUpstream } from './upstreams.ts'

/** Whole only if nothing was reported. */
export function* resolveConfig(written: Written, context: ResolveContext): Slices<Config> {
  const certificates = yield* resolveCertificates(written, context)
  const authorities = resolveAuthorities(written, context)
  const upstreams = resolveUpstreams(written, certificates, context)
  const byHost = new Map(upstreams.values().map((upstream) => [upstream.name.toLowerCase(), upstream]))
  const realms = resolveRegistryRealms(written, certificates, context)
  const services = yield* resolveServices(written, { certificates, authorities, upstreams: byHost, realms }, context)
  const routes = yield* resolveRoutes(written, services, context)
  passes(written.proxy, checkProxy, context)
  passes(written.tokens, checkTokens, context)
  for (const problem of checkIdentityHeaders(written.identity_headers ?? {}, 'identity_headers'))
    context.report(problem)
  passes(written, checkForwarding, context)
  const { identity_headers, identity_presets, identity_headers_max_size } = written
  const { forward_client_cert_details, set_current_client_cert_details } = written
  const { trusted_ips, forwarded, via, proxy, store, tokens, workers, admin, log, shutdown, reload } = written
  const { consumers, disabled_consumers } = resolveConsumers(written, context)
  checkDefaultConsumers(written, consumers, context)
  const listeners = yield* resolveListeners(written, services.values(), context)
  for (const problem of checkAgainstServers(routes, listeners)) context.report(problem)
  const authentication = resolveAuth(written, context)
  const servers = listeners.flatMap((listener) => listener.servers)
  for (const problem of checkTrustedBalancers(servers, trusted_ips)) context.report(problem)
  return {
    listeners,
    services: services.values(),
    routes,
    upstreams: upstreams.values(),
    certificates: certificates.values(),
    ca_certificates: authorities.values(),
    ...{ consumers, disabled_consumers },
    identity_api: resolveIdentityApi(written, consumers, authentication.auth.methods, context),
    registry_realms: realms.values(),
    ...authentication,
    docker_plugins: written.docker_plugins,
    crl_fetch: written.crl_fetch,
    ...{ identity_headers, identity_presets, identity_headers_max_size },
    ...{ forward_client_cert_details, set_current_client_cert_details },
    ...{ trusted_ips, forwarded, via, proxy, store, tokens, workers, admin, log, shutdown, reload },
  }
}

function nameOf(entity: { at: string; id?: string | undefined; name?: string | undefined }): string {
  return entity.name ?? entity.id ?? entity.at
}

function* resolveCertificates(written: Written, context: ResolveContext): Slices<Registry<CertificateConfig>> {
  const registry = new Registry<CertificateConfig>('certificates', context.report)
  const names = new Registry<string>('snis', context.report)
  const snis = new Map<CertificateConfig, string[]>()
  const serve = (sni: WrittenSni, certificate: CertificateConfig | undefined) => {
    names.add(sni, sni.name)
    if (certificate && sni.name !== undefined) snis.get(certificate)?.push(sni.name)
  }
  for (const entity of located<WrittenCertificate>(written.certificates)) {
    const { at, id, cert, key, cert_alt, key_alt, passphrase } = entity
    const own: string[] = []
    const certificate = { at, id, name: nameOf(entity), cert, key, cert_alt, key_alt, passphrase, snis: own }
    snis.set(certificate, own)
    const usable = passes(entity, checkCertificate, context) ? certificate : undefined
    registry.add(entity, usable)
    for (const sni of located<WrittenSni>(entity.snis)) serve(sni, usable)
    yield
  }
  for (const sni of located<WrittenSni>(written.snis)) {
    const certificate =
      sni.certificate === undefined ? undefined : registry.find(sni.certificate, `${sni.at}.certificate`, 'certificate')
    serve(sni, certificate)
  }
  return registry
}

function resolveAuthorities(written: Written, context: ResolveContext): Registry<CaCertificateConfig> {
  const registry = new Registry<CaCertificateConfig>('ca_certificates', context.report)
  for (const entity of located<Written['ca_certificates'][number] & Located>(written.ca_certificates)) {
    const { at, id, cert } = entity
    registry.add(entity, context.broken.has(entity) ? undefined : { at, id, name: nameOf(entity), cert })
  }
  return registry
}

function resolveUpstreams(
  written: Written,
  certificates: Registry<CertificateConfig>,
  context: ResolveContext,
): Registry<UpstreamConfig> {
  const registry = new Registry<UpstreamConfig>('upstreams', context.report)
  const elsewhere = Map.groupBy(located<WrittenTarget>(written.targets), ({ upstream }) => upstream)
  for (const entity of located<WrittenUpstream>(written.upstreams)) {
    const own = [entity.name, entity.id].flatMap((label) => (label === undefined ? [] : (elsewhere.get(label) ?? [])))
    const targets = resolveTargets([...located<WrittenTarget>(entity.targets), ...own], context)
    const { at, name, algorithm, host_header, client_certificate: reference } = entity
    const client_certificate =
      reference && certificates.find(reference, `${at}.client_certificate`, 'client_certificate')
    const upstream = { at, name, algorithm, host_header, client_certificate: client_certificate || undefined, targets }
    registry.add(entity, context.broken.has(entity) ? undefined : upstream)
  }
  for (const [reference, targets] of elsewhere) {
    if (reference === undefined) continue
    for (const target of targets) registry.find(reference, `${target.at}.upstream`, 'upstream')
  }
  return registry
}

function resolveTargets(targets: readonly WrittenTarget[], context: ResolveContext): TargetConfig[] {
  const registry = new Registry<TargetConfig>('targets', context.report)
  for (const target of targets) {
    if (context.broken.has(target)) continue
    const { at, weight } = target
    const place = placeOf(target.target)
    registry.add({ at, name: place.name }, { at, weight, ...place })
  }
  return registry.values().filter(({ weight }) => weight > 0)
}

/** An API on a Unix socket is called localhost, as in nginx. */
function placeOf(address: TargetAddress): Pick<TargetConfig, 'name' | 'host' | 'port' | 'socket'> {
  if ('socket' in address)
    return { name: `${UNIX}${address.socket}`, host: 'localhost', port: 0, socket: address.socket }
  const { host, port } = address
  return { name: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`, host, port, socket: undefined }
}

interface ServiceReferences {
  readonly certificates: Registry<CertificateConfig>
  readonly authorities: Registry<CaCertificateConfig>
  readonly realms: Registry<RegistryRealmConfig>
  /** By the name that a service has as its host. */
  readonly upstreams: ReadonlyMap<string, UpstreamConfig>
}

function* resolveServices(
  written: Written,
  references: ServiceReferences,
  context: ResolveContext,
): Slices<Registry<ServiceConfig>> {
  const registry = new Registry<ServiceConfig>('services', context.report)
  for (const entity of located<WrittenService>(written.services)) {
    const check = (each: WrittenService) => [
      ...checkService(each),
      ...checkRevocationMode(each, written.proxy),
      ...checkCertificateDemands(each),
      ...checkAccessRules(each),
    ]
    const sound = passes(entity, check, context)
    const service = resolveService(entity, written.proxy, references, context)
    registry.add(entity, sound && entity.enabled ? service : undefined)
    yield
  }
  return registry
}

function resolveService(
  entity: WrittenService,
  proxy: ProxyConfig,
  references: ServiceReferences,
  context: ResolveContext,
): ServiceConfig {
  const { at, id, url, builtin, retries, connect_timeout, write_timeout, read_timeout } = entity
  const written = url?.host ?? entity.host ?? ''
  const place = placeOf(typeof written === 'string' ? { host: written, port: url?.port ?? entity.port ?? 80 } : written)
  const { host, port } = place
  const upstream = typeof written === 'string' ? references.upstreams.get(host) : undefined
  const itself = { at, weight: 100, ...place }
  return {
    ...{
      at,
      id,
      name: nameOf(entity),
      builtin,
      host,
      port,
      retries,
      connect_timeout,
      write_timeout,
      read_timeout,
      upstream,
    },
    protocol: url?.protocol ?? entity.protocol ?? 'http',
    path: url?.path ?? entity.path,
    registry: resolveRegistryGate(entity, references.realms, context),
    client_certificate: clientCertificate(entity, upstream, references.certificates),
    tls_verify: entity.tls_verify ?? !(entity.unsafe_skip_verify || proxy.unsafe_proxy_ssl_verify_off),
    tls_verify_depth: entity.tls_verify_depth ?? proxy.proxy_ssl_verify_depth,
    ca_certificates: entity.ca_certificates?.flatMap((reference, index) => {
      const found = references.authorities.find(reference, `${at}.ca_certificates[${index}]`, 'ca_certificates')
      return found ? [found] : []
    }),
    proxy_ssl_name: entity.proxy_ssl_name ?? proxy.proxy_ssl_name,
    proxy_revocation_check_mode: entity.proxy_revocation_check_mode ?? proxy.proxy_revocation_check_mode,
    targets: upstream?.targets ?? [itself],
    ...{ rules: entity.rules, anonymous: entity.anonymous, hide_credentials: entity.hide_credentials },
    ...{ ssl_verify_client: entity.ssl_verify_client, ssl_verify_allow: entity.ssl_verify_allow },
    ...{ allow: entity.allow, deny: entity.deny, default_consumer: entity.default_consumer },
    authorization_plugins: entity.authorization_plugins,
  }
}

function clientCertificate(
  { at, client_certificate: reference }: WrittenService,
  upstream: UpstreamConfig | undefined,
  certificates: Registry<CertificateConfig>,
): ServiceConfig['client_certificate'] {
  if (reference === undefined) return upstream?.client_certificate ?? 'default'
  if (reference === NO_CERTIFICATE) return 'none'
  return certificates.find(reference, `${at}.client_certificate`, 'client_certificate') ?? 'none'
}

function* resolveRoutes(
  written: Written,
  services: Registry<ServiceConfig>,
  context: ResolveContext,
): Slices<RouteConfig[]> {
  const registry = new Registry<RouteConfig>('routes', context.report)
  const add = function* (route: WrittenRoute, service: ServiceConfig | undefined): Slices<void> {
    const check = (each: WrittenRoute) => [
      ...checkRoute(each),
      ...checkCertificateDemands(each),
      ...checkAccessRules(each),
    ]
    const sound = passes(route, check, context)
    registry.add(route, sound && service ? resolveRoute(route, service) : undefined)
    yield
  }
  const byPlace = new Map(services.values().map((service) => [service.at, service]))
  for (const service of located<WrittenService>(written.services)) {
    for (const route of located<WrittenRoute>(service.routes)) yield* add(route, byPlace.get(service.at))
  }
  for (const route of located<WrittenRoute & { service?: string }>(written.routes)) {
    const { at, service } = route
    yield* add(route, service === undefined ? undefined : services.find(service, `${at}.service`, 'service'))
  }
  return [...registry.values()]
}

function resolveRoute(route: WrittenRoute, service: ServiceConfig): RouteConfig {
  const { at, id, protocols, https_redirect_status_code, strip_path, preserve_host, regex_priority } = route
  const given = <T extends readonly unknown[]>(values: T | undefined) =>
    values && values.length > 0 ? values : undefined
  const headers = Object.entries(route.headers ?? {}).map(([name, values]) => [name.toLowerCase(), values] as const)
  return {
    ...{
      at,
      id,
      name: nameOf(route),
      service,
      protocols,
      https_redirect_status_code,
      strip_path,
      preserve_host,
      regex_priority,
    },
    methods: given(route.methods),
    hosts: given(route.hosts),
    paths: given(route.paths),
    headers: headers.length > 0 ? Object.fromEntries(headers) : undefined,
    snis: given(route.snis),
    created_at: route.created_at ?? 0,
    access_rules: [service, { at, allow: route.allow, deny: route.deny }].filter(({ allow, deny }) => allow || deny),
    default_consumer: route.default_consumer ?? service.default_consumer,
    authorization_plugins: route.authorization_plugins ?? service.authorization_plugins ?? [],
    rules: route.rules ?? service.rules,
    anonymous: route.anonymous ?? service.anonymous ?? false,
    hide_credentials: route.hide_credentials ?? service.hide_credentials ?? true,
    ssl_verify_client: route.ssl_verify_client ?? service.ssl_verify_client,
    ssl_verify_allow: route.ssl_verify_allow ?? service.ssl_verify_allow,
  }
}
