import type { Config, RouteConfig } from '../../config/index.ts'
import type { Router } from '../../routing/router.ts'
import type { Slices } from '../../slices.ts'
import { askedRules } from '../access.ts'
import type { authorizationsOf } from '../authorization.ts'
import type { Lasting } from '../lasting.ts'
import type { Materials } from '../materials.ts'
import type { ListenerServers } from '../policies.ts'
import { warnOfOpenFiles } from './open-files.ts'
import { warnOfLockedOutRobots, warnOfLostChallenges, warnOfStrippedRegistries } from './registry-challenges.ts'
import { warnOfShadowedRoutes, warnOfUnroutedServices } from './shadowed-routes.ts'
import { warnOfUnaskedCertificates, warnOfUnaskedUsers } from './unasked-certificates.ts'
import { warnOfUnmatchedExpressions } from './unmatched-expressions.ts'

/** What a configuration has become by then. */
export interface Built {
  /** In the order of the configuration's listeners. */
  readonly servers: readonly ListenerServers[]
  readonly router: Router
  readonly authorizations: ReturnType<typeof authorizationsOf>
  /** How many connections to upstreams the configuration allows. */
  readonly mostUpstreams: number
  readonly lasting: Lasting
  readonly materials: Materials
}

/** Tells `materials` of everything in a configuration that does not keep it from serving, but is probably not as it was meant. */
export function* warnOfDoubts(
  config: Config,
  { servers, router, authorizations, mostUpstreams, lasting, materials }: Built,
): Slices<void> {
  yield* materials.warnOfMissingIssuers()
  yield
  yield* warnOfShadowedRoutes(config.routes, materials)
  warnOfUnroutedServices(config, materials)
  yield* warnOfUnmatchedExpressions(config.routes, materials)
  const rulesAt = (route: RouteConfig) => askedRules(route, authorizations.get(route))
  yield* warnOfUnaskedCertificates(config.routes, servers, rulesAt, materials)
  warnOfUnaskedUsers(config, rulesAt, materials)
  warnOfLostChallenges(config, router, materials)
  warnOfStrippedRegistries(config, materials)
  warnOfLockedOutRobots(config, rulesAt, materials)
  warnOfOpenFiles(config, mostUpstreams, lasting, materials)
}
