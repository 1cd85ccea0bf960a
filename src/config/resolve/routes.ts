import type { Slices } from '../../slices.ts'
import { checkAccessRules } from '../schema/access-rules.ts'
import { checkCertificateDemands } from '../schema/certificate-demands.ts'
import type { Written } from '../schema/config.ts'
import { checkRoute, type RouteConfig, type WrittenRoute } from '../schema/routes.ts'
import type { ServiceConfig, WrittenService } from '../schema/services.ts'
import { located, nameOf, passes, type ResolveContext } from './context.ts'
import { EntityIndex } from './entity-index.ts'

export function* resolveRoutes(
  written: Written,
  services: EntityIndex<ServiceConfig>,
  context: ResolveContext,
): Slices<RouteConfig[]> {
  const entities = new EntityIndex<RouteConfig>('routes', context.report)
  const add = function* (route: WrittenRoute, service: ServiceConfig | undefined): Slices<void> {
    const check = (each: WrittenRoute) => [
      ...checkRoute(each),
      ...checkCertificateDemands(each),
      ...checkAccessRules(each),
    ]
    const sound = passes(route, check, context)
    entities.add(route, sound && service ? resolveRoute(route, service) : undefined)
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
  return [...entities.values()]
}

function resolveRoute(route: WrittenRoute, service: ServiceConfig): RouteConfig {
  const { at, id, protocols, strip_path, preserve_host, regex_priority } = route
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
