/** Warns at the start where the challenge of a registry gate leads to no token server, its requests lose their /v2, or robots cannot log in, before clients notice. */
import type { Config, RouteConfig } from '../../config/index.ts'
import { challengePath } from '../../registry/gate.ts'
import { TokenService } from '../../registry/token-service.ts'
import type { Router } from '../../routing/router.ts'
import type { Rules } from '../access.ts'
import type { Materials } from '../materials.ts'
import { arrivesAs } from './arriving-path.ts'

/** Stands for any host where a route takes all hosts, and for the label of a wildcard. */
const ANY = 'any'

/** Warns of gates that send clients to one of our addresses where something else answers, or nothing. */
export function warnOfLostChallenges({ routes }: Config, router: Router, materials: Materials): void {
  const ofTokens = routes.filter(({ service }) => service.builtin === 'registry-tokens')
  for (const route of routes) {
    const { registry, at } = route.service
    if (!registry) continue
    const path = challengePath(registry.realm.name)
    const leads = (host: string) => leadsToTokens(router, host, path)
    const lost = hostsOf(route, registry.realm.url, ofTokens).find((hosts) => !hosts.some(leads))
    if (!lost) continue
    const where = lost[0] === ANY ? path : `https://${lost[0]}${path}`
    materials.warn(
      `${at}.registry`,
      `clients without a certificate are sent to ${where} for a token, where no token server answers: lead a route there to a service with builtin: registry-tokens, with the hosts of the route ${route.name} if it has any`,
    )
  }
}

/** Warns of gates to which requests come without the /v2 of the protocol: Kong's default strips it, and each would be refused as none of the protocol. */
export function warnOfStrippedRegistries({ routes }: Pick<Config, 'routes'>, materials: Materials): void {
  for (const route of routes) {
    const { at, service, paths = [] } = route
    if (!service.registry) continue
    for (const prefix of paths.filter((path) => path.startsWith('/'))) {
      const start = prefix.replace(/\/$/, '')
      const sent = `${prefix.startsWith('/v2/') ? start : '/v2/'.startsWith(prefix) ? '/v2/app' : `${start}/v2/app`}/tags/list`
      const got = arrivesAs(route, prefix, sent)
      if (got.startsWith('/v2/')) continue
      materials.warn(
        at,
        `${sent} comes to the registry as ${got}, which is none of its paths; set strip_path: false, and a url without a path`,
      )
    }
  }
}

/** Warns of token servers where a rule asks for the password before they do: it knows no robot. */
export function warnOfLockedOutRobots(
  { routes, registry_realms: realms }: Pick<Config, 'routes' | 'registry_realms'>,
  rulesOf: (route: RouteConfig) => Rules | undefined,
  materials: Materials,
): void {
  if (realms.every(({ robots }) => robots.length === 0)) return
  for (const route of routes) {
    if (route.service.builtin !== 'registry-tokens' || !rulesOf(route)?.flat().includes('password')) continue
    materials.warn(
      route.at,
      'a rule asks for a password, which no robot has, and refuses them; leave it out: the token server checks passwords and the secrets of robots itself',
    )
  }
}

/** Each entry is a list of hosts, one of which must do: where a route takes all hosts, the client chooses. */
function hostsOf({ hosts }: RouteConfig, url: string | undefined, ofTokens: readonly RouteConfig[]): string[][] {
  if (url !== undefined) return [[new URL(url).host]]
  if (hosts) return hosts.map((host) => [host.replace('*', ANY)])
  return [[ANY, ...ofTokens.flatMap((route) => route.hosts ?? []).map((host) => host.replace('*', ANY))]]
}

function leadsToTokens(router: Router, authority: string, path: string): boolean {
  const [host = '', port] = authority.split(':')
  const destination = { host, port: port === undefined ? undefined : Number(port), authority, path, query: '' }
  const query = {
    destination,
    method: 'GET',
    rawHeaders: ['Host', authority],
    serverName: host,
  }
  return router.match(query)?.route.service instanceof TokenService
}
