/** Warns of routes that no request can reach, because another route with the same conditions comes first. */
import type { RouteConfig } from '../config/index.ts'
import type { Slices } from '../slices.ts'
import type { Materials } from './materials.ts'

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
