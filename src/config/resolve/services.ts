import type { Slices } from '../../slices.ts'
import { checkAccessRules } from '../schema/access-rules.ts'
import { checkCertificateDemands } from '../schema/certificate-demands.ts'
import { type CaCertificateConfig, type CertificateConfig, NO_CERTIFICATE } from '../schema/certificates.ts'
import type { Written } from '../schema/config.ts'
import type { ProxyConfig } from '../schema/proxy.ts'
import type { RegistryRealmConfig } from '../schema/registry-realms.ts'
import { checkRevocationMode, checkService, type ServiceConfig, type WrittenService } from '../schema/services.ts'
import type { UpstreamConfig } from '../schema/upstreams.ts'
import { located, nameOf, passes, type ResolveContext } from './context.ts'
import { EntityIndex } from './entity-index.ts'
import { resolveRegistryGate } from './registry.ts'
import { placeOf } from './upstreams.ts'

interface ServiceReferences {
  readonly certificates: EntityIndex<CertificateConfig>
  readonly authorities: EntityIndex<CaCertificateConfig>
  readonly realms: EntityIndex<RegistryRealmConfig>
  /** By the name that a service has as its host. */
  readonly upstreams: ReadonlyMap<string, UpstreamConfig>
}

export function* resolveServices(
  written: Written,
  references: ServiceReferences,
  context: ResolveContext,
): Slices<EntityIndex<ServiceConfig>> {
  const entities = new EntityIndex<ServiceConfig>('services', context.report)
  for (const entity of located<WrittenService>(written.services)) {
    const check = (each: WrittenService) => [
      ...checkService(each),
      ...checkRevocationMode(each, written.proxy),
      ...checkCertificateDemands(each),
      ...checkAccessRules(each),
    ]
    const sound = passes(entity, check, context)
    const service = resolveService(entity, written.proxy, references, context)
    entities.add(entity, sound && entity.enabled ? service : undefined)
    yield
  }
  return entities
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
  certificates: EntityIndex<CertificateConfig>,
): ServiceConfig['client_certificate'] {
  if (reference === undefined) return upstream?.client_certificate ?? 'default'
  if (reference === NO_CERTIFICATE) return 'none'
  return certificates.find(reference, `${at}.client_certificate`, 'client_certificate') ?? 'none'
}
