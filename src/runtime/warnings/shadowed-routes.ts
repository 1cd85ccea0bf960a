/** Warns of routes that no request can reach, because another route with the same conditions comes first, and of services without routes. */
import type { Config, RouteConfig } from '../../config/index.ts'
import type { Slices } from '../../slices.ts'
import type { Materials } from '../materials.ts'

export function* warnOfShadowedRoutes(routes: readonly RouteConfig[], materials: Materials): Slices<void> {
  const owners = new Map<string, RouteConfig>()
  const matched = routes.filter(({ protocols }) => protocols.includes('https'))
  for (const route of matched.toSorted(byPrecedence)) {
    const conditions = conditionsOf(route)
    const others = conditions.flatMap((condition) => owners.get(condition) ?? [])
    if (others.length === conditions.length) materials.warn(route.at, sentence(route, others[0]))
    for (const condition of conditions) if (!owners.has(condition)) owners.set(condition, route)
    yield
  }
}

/** Without any, whoever asks gets 404 and reads that the URL is wrong. */
export function warnOfUnroutedServices(
  { services, routes }: Pick<Config, 'services' | 'routes'>,
  materials: Materials,
): void {
  const routed = new Set(routes.map(({ service }) => service))
  for (const service of services) {
    if (!routed.has(service))
      materials.warn(
        service.at,
        `no route leads to the service ${service.name}, so that no request reaches it; routes: [{ paths: [/] }] takes all, with strip_path: false as they are`,
      )
  }
}

function sentence({ name }: RouteConfig, other: RouteConfig | undefined): string {
  return `no request reaches the route ${name}: the route ${other?.name} has the same conditions and goes before it; give one of them other hosts or paths, or remove it`
}

/** The router's order among routes with the same conditions. */
function byPrecedence(a: RouteConfig, b: RouteConfig): number {
  return b.regex_priority - a.regex_priority || a.created_at - b.created_at
}

/** The conditions of a route, once for each path: each path is matched by itself. */
function conditionsOf({ hosts, methods, headers, snis, paths = [''] }: RouteConfig): string[] {
  const rest = hosts || methods || headers || snis ? JSON.stringify([hosts, methods, headers, snis]) : ''
  return paths.map((path) => `${path} ${rest}`)
}
