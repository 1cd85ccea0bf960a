/** The methods that rules may name: those that Sallyport brings, and those of plugins. */
import type { Slices } from '../../slices.ts'
import { AUTH_METHODS, type AuthConfig, checkAuth, checkDemands, type Demands } from '../schema/auth.ts'
import type { Written } from '../schema/config.ts'
import { type Located, Unfit } from '../schema/field.ts'
import { checkJwtIssuer, type JwtIssuerConfig, keysOf, type WrittenJwtIssuer } from '../schema/jwt-issuers.ts'
import {
  addressOf,
  checkMethodPlugin,
  type MethodPluginConfig,
  type WrittenMethodPlugin,
} from '../schema/method-plugins.ts'
import type { WrittenRoute } from '../schema/routes.ts'
import type { WrittenService } from '../schema/services.ts'
import { located, passes, type ResolveContext } from './context.ts'
import { EntityIndex } from './entity-index.ts'

export interface ResolvedAuth {
  readonly auth: AuthConfig
  readonly method_plugins: readonly MethodPluginConfig[]
}

export function* resolveAuth(written: Written, context: ResolveContext): Slices<ResolvedAuth> {
  const entities = new EntityIndex<MethodPluginConfig>('method_plugins', context.report)
  for (const plugin of located<WrittenMethodPlugin>(written.method_plugins)) {
    const sound = passes(plugin, checkMethodPlugin, context)
    entities.add(plugin, sound ? resolvePlugin(plugin, context) : undefined)
  }
  // A plugin without a valid name is left out.
  const named = located<Partial<WrittenMethodPlugin> & Located>(written.method_plugins).flatMap(
    ({ name }) => name ?? [],
  )
  const known = [...AUTH_METHODS, ...named]
  passes(written.auth, (auth) => checkAuth(auth, known), context)
  const methods = written.auth.methods ?? known
  // Undefined where what is written is none.
  const trusted: readonly unknown[] | undefined = written.auth.external.trusted_ips
  const isTrusting = trusted?.length !== 0
  for (const demands of eachDemands(written)) {
    if (!context.broken.has(demands))
      for (const problem of checkDemands(demands, { methods, isTrusting })) context.report(problem)
    yield
  }
  const jwt_issuers = resolveIssuers(written, context)
  return { auth: { ...written.auth, methods, jwt_issuers }, method_plugins: entities.values() }
}

/** The demands of services and routes. A route without rules has those of its service, whose problems are reported there. */
function* eachDemands(written: Written): Generator<Demands> {
  const services = located<WrittenService>(written.services)
  for (const service of services) {
    yield service
    for (const route of located<WrittenRoute>(service.routes)) yield withRulesOf(service, route)
  }
  const known = new Map<string | undefined, WrittenService>()
  // Of two with the same name, which is a mistake, the first counts.
  for (const service of services.toReversed()) known.set(service.name, service).set(service.id, service)
  for (const route of located<WrittenRoute & { readonly service?: string }>(written.routes)) {
    yield withRulesOf(route.service === undefined ? undefined : known.get(route.service), route)
  }
}

function withRulesOf(service: WrittenService | undefined, route: WrittenRoute): Demands {
  return route.rules || !service?.rules ? route : { at: route.at }
}

function resolveIssuers(written: Written, context: ResolveContext): JwtIssuerConfig[] {
  const names = new EntityIndex<true>('jwt_issuers', context.report, 'issuer')
  return located<WrittenJwtIssuer>(written.auth.jwt_issuers).flatMap((entity) => {
    if (!passes(entity, checkJwtIssuer, context)) return []
    names.add({ at: entity.at, issuer: entity.issuer }, true)
    const { jwks: _jwks, jwks_uri: _uri, ...settings } = entity
    try {
      return { ...settings, keys: keysOf(entity, context.pems) }
    } catch (error) {
      if (!(error instanceof Unfit)) throw error
      context.report({ path: `${entity.at}.jwks`, message: error.message })
      return []
    }
  })
}

function resolvePlugin(plugin: WrittenMethodPlugin, context: ResolveContext): MethodPluginConfig | undefined {
  const { module: _module, url: _url, ...settings } = plugin
  try {
    return { ...settings, address: addressOf(plugin, context.pems) }
  } catch (error) {
    if (!(error instanceof Unfit)) throw error
    context.report({ path: `${plugin.at}.module`, message: error.message })
    return undefined
  }
}
