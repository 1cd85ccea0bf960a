/** Builds what authenticates and authorizes callers on each route, from the routes' settings and the methods that are set up. */
import { hkdfSync } from 'node:crypto'
import type { Authorization } from '../auth/authorization.ts'
import { type Chain, createChain, NOBODY, type Rule } from '../auth/chain.ts'
import { placesOf } from '../auth/credential-places.ts'
import type { MappedUsers } from '../auth/mapped-users.ts'
import { createCertificateMethod } from '../auth/methods/certificate.ts'
import type { MultiFactorRules } from '../auth/multi-factor.ts'
import { withoutKeys } from '../auth/query-keys.ts'
import { createReceipts, type Receipts } from '../auth/receipts.ts'
import type { AuthConfig, RouteConfig } from '../config/index.ts'
import { plainAddress } from '../identity/addresses.ts'
import { fold } from '../identity/fold.ts'
import { BELIEVED_ORIGIN, namesIdentity, namesOrigin } from '../identity/owned-names.ts'
import { askPlugins, type Withheld } from '../plugins/authorization.ts'
import type { Plugin } from '../plugins/plugin.ts'
import type { Access, AuthMethod, Caller, Identity, User, Users } from '../types.ts'
import type { Plugins } from './plugins.ts'

/** Services where people log in ask for credentials themselves: nobody needs to be known before. */
const ASKS_NOBODY: Access = { authenticate: () => NOBODY, authorize: () => {}, suffices: () => true }

/** Services where people log in see more proofs than the route does, and check these rules themselves. */
const JUDGED_THERE: MultiFactorRules = () => []

export interface AccessOptions {
  readonly users: Users
  readonly mappedUsers: MappedUsers
  readonly plugins: Plugins
  /** What routes allow and deny. */
  readonly authorizations: ReadonlyMap<RouteConfig, Authorization>
  readonly methods: ReadonlyMap<string, AuthMethod>
  /** The certificate method, whether or not rules may name it. */
  readonly certificate: AuthMethod
  /** Methods that the user of a certificate may have to pass in addition, whatever the rule says. */
  readonly besideCertificate: readonly AuthMethod[]
  /** A user as Keystone writes one. */
  readonly describe: (user: User) => object
  /** Methods that users must pass whatever the rule says, and all methods that these may name. */
  readonly multiFactorRules: { readonly of: MultiFactorRules; readonly methods: readonly AuthMethod[] }
  readonly receipts: Receipts
  /** Headers that only the gateway may write, beyond those that every gateway owns. */
  readonly ownedNames: readonly string[]
  /** `trusted_ips`. */
  readonly trusted: { has(address: string): boolean }
}

export interface Accesses {
  /** Undefined for a route that asks nothing. */
  of(route: RouteConfig): Access | undefined
  /** The access of routes without demands of their own, on a server with `verify_and_map`. */
  readonly mapped: Access
}

/** @param secret differs for each start of the gateway, and is the same in all its workers */
export function buildReceipts(auth: AuthConfig, users: Users, secret: Buffer): Receipts {
  return createReceipts({ key: receiptKey(auth, secret), ttl: auth.receipt_ttl, users })
}

export function createAccesses(options: AccessOptions): Accesses {
  const { methods, certificate, besideCertificate, receipts, authorizations, plugins, multiFactorRules } = options
  const { describe } = options
  const methodNamed = (name: string) => methods.get(name)
  const chainOf = (
    rules: readonly Rule[],
    anonymous: boolean,
    ofRoute: AuthMethod,
    multiFactor = multiFactorRules.of,
  ) => createChain({ rules, anonymous, receipts, certificate: ofRoute, methodNamed, multiFactor, describe })
  const mapped = chainOf([[certificate]], false, certificate)
  const besideRules = [...besideCertificate, ...multiFactorRules.methods]
  const withheld = withheldFromPlugins([...methods.values(), ...besideCertificate], options)
  return {
    of(route) {
      const authorization = authorizations.get(route)
      const asks = askedRules(route, authorization)
      const isBuiltin = route.service.builtin !== undefined
      const deciders = route.authorization_plugins.map((name) => plugins.named(name))
      if (!asks && !authorization && deciders.length === 0) return isBuiltin ? ASKS_NOBODY : undefined
      const own = certificateOf(route, options)
      const rules = (asks ?? []).map(
        (names): Rule => names.map((name) => (name === 'certificate' ? own : methodOf(name, methods))),
      )
      return {
        ...(isBuiltin
          ? authenticator(asks && chainOf(rules, route.anonymous, own, JUDGED_THERE), undefined)
          : authenticator(asks && chainOf(rules, route.anonymous, own), mapped)),
        authorize: authorizer(authorization, deciders, withheld),
        ...(authorization?.hasTimes && { authorizeByTime: authorization.authorize }),
        ...(authorization && { decidedBy: (caller: Caller, who: Identity) => authorization.decide(caller, who).by }),
        hides: route.hide_credentials ? placesOf([...rules.flat(), ...besideRules]) : undefined,
      }
    },
    mapped: {
      ...authenticator(mapped, mapped),
      authorize: () => {},
      hides: besideRules.length > 0 ? placesOf(besideRules) : undefined,
    },
  }
}

/** Names of methods. */
export type Rules = NonNullable<RouteConfig['rules']>

/** Where a route has none but needs a user, his certificate is asked for. Undefined where nobody is asked who he is. */
export function askedRules(
  { rules, default_consumer: fallback }: RouteConfig,
  authorization: Pick<Authorization, 'needsUser'> | undefined,
): Rules | undefined {
  return rules ?? (authorization?.needsUser || fallback ? [['certificate']] : undefined)
}

/**
 * Withholds the credentials of all methods from plugins, and every header by which a client could claim an identity or an origin: no backend gets
 * these as the client wrote them.
 */
function withheldFromPlugins(
  methods: readonly AuthMethod[],
  { ownedNames, trusted }: Pick<AccessOptions, 'ownedNames' | 'trusted'>,
): Withheld {
  const { isHeader, queryKeys } = placesOf(methods)
  const owned = new Set(ownedNames.map(fold))
  const isOurs = (name: string, { connection }: Caller) => {
    const folded = fold(name)
    if (owned.has(folded) || namesIdentity(folded)) return true
    return namesOrigin(folded) && !(BELIEVED_ORIGIN.has(name) && trusted.has(plainAddress(connection.remoteAddress)))
  }
  return {
    isHeader: (name, value, caller) => isHeader?.(name, value) === true || isOurs(name, caller),
    target(target) {
      const start = target.indexOf('?')
      return start === -1 || !queryKeys ? target : target.slice(0, start) + withoutKeys(target.slice(start), queryKeys)
    },
  }
}

/** Returns a promise only where plugins are asked. */
function authorizer(
  authorization: Authorization | undefined,
  deciders: readonly Plugin[],
  withheld: Withheld,
): Access['authorize'] {
  const own: Access['authorize'] = authorization ? authorization.authorize : () => {}
  if (deciders.length === 0) return own
  return async (caller, identity) => {
    await own(caller, identity)
    await askPlugins(deciders, caller, identity, withheld)
  }
}

/** A route with only `allow` or `deny` leaves it to the server whether callers are authenticated. */
function authenticator(chain: Chain | undefined, mapped: Chain | undefined): Pick<Access, 'authenticate' | 'suffices'> {
  const chainFor = ({ server }: Caller) => chain ?? (server.verifyAndMap ? mapped : undefined)
  return {
    authenticate: (caller) => chainFor(caller)?.authenticate(caller) ?? NOBODY,
    suffices: (caller, identity) => chainFor(caller)?.suffices(identity) ?? true,
  }
}

function certificateOf(
  { default_consumer: fallback }: RouteConfig,
  { users, mappedUsers, certificate }: AccessOptions,
): AuthMethod {
  if (fallback === undefined) return certificate
  return createCertificateMethod({ fallback: users.byName(fallback) ?? users.byId(fallback), mappedUsers })
}

/** The check of the configuration has seen to it that the method exists: a rule without one of its methods would ask too little. */
function methodOf(name: string, methods: AccessOptions['methods']): AuthMethod {
  const method = methods.get(name)
  if (!method) throw new Error(`a rule names ${name}, which was not made`)
  return method
}

function receiptKey({ receipt_secret: chosen }: AuthConfig, secret: Buffer): Buffer {
  return Buffer.from(hkdfSync('sha256', chosen?.reveal() ?? secret, '', 'sallyport receipts', 32))
}
