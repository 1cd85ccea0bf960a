/** Turns what is written into what is used: resolves references, moves children to their parents, leaves disabled entities out. */
import type { Slices } from '../../slices.ts'
import { checkAgainstServers } from '../schema/certificate-demands.ts'
import { checkTrustedBalancers } from '../schema/certificate-header.ts'
import type { Config, Written } from '../schema/config.ts'
import { checkForwarding, checkIdentityHeaders } from '../schema/identity-headers.ts'
import { checkProxy } from '../schema/proxy.ts'
import { checkTokens } from '../schema/tokens.ts'
import { resolveAuth } from './auth.ts'
import { resolveAuthorities, resolveCertificates } from './certificates.ts'
import { checkDefaultConsumers, resolveConsumers } from './consumers.ts'
import { passes, type ResolveContext } from './context.ts'
import { resolveIdentityApi } from './identity-api.ts'
import { resolveListeners } from './listeners.ts'
import { resolveRegistryRealms } from './registry.ts'
import { resolveRoutes } from './routes.ts'
import { resolveServices } from './services.ts'
import { resolveUpstreams } from './upstreams.ts'

/** The result is complete only if nothing was reported. */
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
  const authentication = yield* resolveAuth(written, context)
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
