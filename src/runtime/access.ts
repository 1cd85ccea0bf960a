/** From the demands of routes to what answers them: the rules over the methods that are set up. */
import { hkdfSync } from 'node:crypto'
import { type Chain, createChain, type Rule } from '../auth/chain.ts'
import { placesOf } from '../auth/credential-places.ts'
import { createReceipts, type Receipts } from '../auth/receipts.ts'
import type { AuthConfig, RouteConfig } from '../config/index.ts'
import type { Access, AuthMethod, Identity, Users } from '../types.ts'

/** The caller of a route that asks nobody who he is. */
export const NOBODY: Identity = Object.freeze({
  user: undefined,
  methods: [],
  credential: undefined,
  expiresAt: Number.POSITIVE_INFINITY,
})

/** Services that people log in at ask by themselves: who can say it already need not come to them. */
const ASKS_NOBODY: Access = { authenticate: () => NOBODY, authorize: () => {} }

export interface AccessOptions {
  readonly methods: ReadonlyMap<string, AuthMethod>
  /** Whether or not rules may name it. */
  readonly certificate: AuthMethod
  readonly receipts: Receipts
}

export interface Accesses {
  /** Undefined for a route that asks nothing. */
  of(route: RouteConfig): Access | undefined
  /** What a server with `verify_and_map` demands where a route demands nothing of its own. */
  readonly mapped: Access
}

/** @param secret of this start of the gateway, the same in all workers */
export function buildReceipts(auth: AuthConfig, users: Users, secret: Buffer): Receipts {
  return createReceipts({ key: receiptKey(auth, secret), ttl: auth.receipt_ttl, users })
}

export function createAccesses({ methods, certificate, receipts }: AccessOptions): Accesses {
  const methodNamed = (name: string) => methods.get(name)
  const chainOf = (rules: readonly Rule[], anonymous: boolean) =>
    createChain({ rules, anonymous, receipts, methodNamed })
  return {
    of(route) {
      if (!route.rules) return route.service.builtin === undefined ? undefined : ASKS_NOBODY
      const rules = route.rules.map((names): Rule => names.map((name) => methodOf(name, methods)))
      return accessOf(chainOf(rules, route.anonymous), rules, route)
    },
    mapped: accessOf(chainOf([[certificate]], false), [], { hide_credentials: false }),
  }
}

/** The configuration's check knows which there are: a rule that lost one of its methods would ask too little. */
function methodOf(name: string, methods: AccessOptions['methods']): AuthMethod {
  const method = methods.get(name)
  if (!method) throw new Error(`a rule names ${name}, which was not made`)
  return method
}

function accessOf(chain: Chain, rules: readonly Rule[], route: Pick<RouteConfig, 'hide_credentials'>): Access {
  return {
    authenticate: (caller) => chain.authenticate(caller),
    authorize: () => {},
    hides: route.hide_credentials ? placesOf(rules.flat()) : undefined,
  }
}

function receiptKey({ receipt_secret: chosen }: AuthConfig, secret: Buffer): Buffer {
  return Buffer.from(hkdfSync('sha256', chosen?.reveal() ?? secret, '', 'sallyport receipts', 32))
}
