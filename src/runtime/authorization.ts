/** Builds authorizations from `allow` and `deny` as written. */
import { type Authorization, type Condition, createAuthorization, type Limits } from '../auth/authorization.ts'
import { createTimes } from '../auth/time-of-week.ts'
import type { AccessRuleConfig, AccessRulesConfig, Config, RouteConfig } from '../config/index.ts'
import { createForwardedHeaders, type ForwardedHeaders } from '../identity/forwarded.ts'
import { createAddressSet, createPeerSet } from '../routing/addresses.ts'
import type { Caller } from '../types.ts'
import type { Materials } from './materials.ts'
import { compiledNameRules } from './name-rules.ts'

export function forwardedHeadersOf({ trusted_ips, forwarded, via }: Config): ForwardedHeaders {
  return createForwardedHeaders({ trusted: createPeerSet(trusted_ips), forwarded, via })
}

/**
 * The address of a client, also behind proxies of ours. Rules by address use this one: otherwise everybody behind a load balancer would have the load
 * balancer's rights.
 */
export type AddressOf = (caller: Pick<Caller, 'connection' | 'request'>) => string

export function addressOfClients(forwarded: ForwardedHeaders): AddressOf {
  return ({ connection, request }) => forwarded.clientAddress(connection, request.rawHeaders)
}

/** What each route allows and denies; routes that leave that open have no entry. */
export function authorizationsOf(
  routes: readonly RouteConfig[],
  addressOf: AddressOf,
  materials: Materials,
): ReadonlyMap<RouteConfig, Authorization> {
  // A service's rules hold for each of its routes, but their problems are reported once.
  const compiled = new Map<AccessRulesConfig, Limits>()
  const limitsAt = (place: AccessRulesConfig) => {
    const limits = compiled.get(place) ?? limitsOf(place, materials)
    compiled.set(place, limits)
    return limits
  }
  const limited = routes.filter(({ access_rules: rules }) => rules.length > 0)
  return new Map(
    limited.map((route) => [route, createAuthorization({ limits: route.access_rules.map(limitsAt), addressOf })]),
  )
}

function limitsOf({ at, allow, deny = [] }: AccessRulesConfig, materials: Materials): Limits {
  return {
    at,
    allow: allow?.map((rule, i) => conditionOf(rule, `${at}.allow[${i}]`, materials)),
    deny: deny.map((rule, i) => conditionOf(rule, `${at}.deny[${i}]`, materials)),
  }
}

function conditionOf(rule: AccessRuleConfig, at: string, materials: Materials): Condition {
  const { users, groups, certificate, addresses, methods, times } = rule
  return {
    at,
    users: users && new Set(users),
    groups: groups && new Set(groups),
    certificate: certificate && compiledNameRules(certificate, `${at}.certificate`, materials),
    addresses: addresses && createAddressSet(addresses),
    methods: methods && new Set(methods),
    times: times && createTimes(times),
  }
}
