/** Warns where certificates or their users are not asked for: of routes that let nobody in, and of users whose list keeps nobody out. */
import type { Config, RouteConfig, ServiceConfig } from '../../config/index.ts'
import type { Slices } from '../../slices.ts'
import type { VerifyMode } from '../../types.ts'
import type { Rules } from '../access.ts'
import type { Materials } from '../materials.ts'

/** How the servers of one listener verify. */
export interface Verifying {
  /** Undefined where the server of this name takes no connection. */
  policyFor(serverName: string): { readonly verify: VerifyMode } | undefined
  readonly servers: readonly { readonly config: { readonly ssl_verify_client: VerifyMode } }[]
}

const UNASKED =
  'has users, but nothing asks who they are: whoever has a certificate that the server takes is let in; set verify_and_map: on, or rules: [[certificate]] or users in allow at a service or route'
const UNASKED_AT_REGISTRY =
  'has users, but nothing asks who they are: at the registry their certificates open nothing; set rules: [[certificate]] and anonymous: on at its service and at that of its tokens'

function isOfRegistry({ builtin, registry }: ServiceConfig): boolean {
  return builtin === 'registry-tokens' || registry !== undefined
}

/** As of NATS, where a list of users alone demands one of them. */
export function warnOfUnaskedUsers(
  { listeners, services, routes }: Pick<Config, 'listeners' | 'services' | 'routes'>,
  rulesOf: (route: RouteConfig) => Rules | undefined,
  materials: Materials,
): void {
  // Whoever logs in there says himself whether by certificate.
  if (services.some(({ builtin }) => builtin === 'identity')) return
  if (routes.some((route) => rulesOf(route)?.flat().includes('certificate'))) return
  for (const { at, verify_and_map: isAsked, authorization } of listeners.flatMap(({ servers }) => servers)) {
    if (isAsked || (authorization.users.length === 0 && authorization.users_file === undefined)) continue
    materials.warn(`${at}.authorization`, services.some(isOfRegistry) ? UNASKED_AT_REGISTRY : UNASKED)
  }
}

export function* warnOfUnaskedCertificates(
  routes: readonly RouteConfig[],
  listeners: readonly Verifying[],
  rulesOf: (route: RouteConfig) => Rules | undefined,
  materials: Materials,
): Slices<void> {
  const everywhere = new Set(listeners.flatMap(({ servers }) => servers.map(({ config }) => config.ssl_verify_client)))
  const modesAt = (host: string) => listeners.flatMap(({ policyFor }) => policyFor(host)?.verify ?? [])
  for (const route of routes) {
    yield
    const demand = demandOf(route, rulesOf(route))
    if (demand === undefined) continue
    if (route.ssl_verify_client === 'off') {
      materials.warn(
        route.at,
        `${demand.what}, and ssl_verify_client: off, so that none is looked at: ${demand.meaning}; remove one of them`,
      )
      continue
    }
    const hosts = route.hosts?.some((host) => host.includes('*')) ? undefined : route.hosts?.map(withoutPort)
    const modes = hosts ? hosts.flatMap(modesAt) : [...everywhere]
    if (modes.length === 0 || modes.some((mode) => mode !== 'off')) continue
    const where = hosts ? `the server of ${hosts.join(', ')}` : 'a server'
    materials.warn(
      route.at,
      `${demand.what}, but no client is asked for one: ${demand.meaning}; set ssl_verify_client: optional and ssl_client_certificate at ${where}`,
    )
  }
}

interface Demand {
  readonly what: string
  readonly meaning: string
}

/** Undefined where no certificate is looked for. */
function demandOf(
  { name, ssl_verify_client: mode, anonymous }: RouteConfig,
  rules: Rules | undefined,
): Demand | undefined {
  const meaning = 'nobody is let in'
  if (mode === 'on') return { what: `the route ${name} has ssl_verify_client: on`, meaning }
  const demanding = rules?.filter((methods) => methods.includes('certificate')) ?? []
  if (demanding.length === 0) return undefined
  if (anonymous || demanding.length !== rules?.length)
    return { what: `a rule of the route ${name} needs a certificate`, meaning: 'nobody satisfies it' }
  return { what: `every rule of the route ${name} needs a certificate`, meaning }
}

function withoutPort(host: string): string {
  return host.replace(/:\d+$/, '')
}
