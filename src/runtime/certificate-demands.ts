import type { RouteConfig } from '../config/index.ts'
import type { CertificateDemand } from '../types.ts'
import type { Materials } from './materials.ts'
import { compiledNameRules } from './name-rules.ts'

/** What each route demands of the client's certificate. Routes that leave this to the server have no entry. */
export function certificateDemandsOf(
  routes: readonly RouteConfig[],
  materials: Materials,
): ReadonlyMap<RouteConfig, CertificateDemand> {
  const demands = new Map<RouteConfig, CertificateDemand>()
  for (const route of routes) {
    const { at, ssl_verify_client: verify, ssl_verify_allow: rules } = route
    if (verify === undefined && !rules) continue
    const isAllowed = rules && compiledNameRules(rules, `${at}.ssl_verify_allow`, materials)
    demands.set(route, { verify, isAllowed })
  }
  return demands
}
