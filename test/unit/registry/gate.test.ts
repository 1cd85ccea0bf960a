import { expect, test } from '@jest/globals'
import { GatewayError } from '../../../src/errors.ts'
import type { HttpResponse } from '../../../src/http-messages.ts'
import { createUsers } from '../../../src/identity/users.ts'
import { RegistryGate } from '../../../src/registry/gate.ts'
import type { Realm } from '../../../src/registry/realm.ts'
import { createRights, type RightsRule } from '../../../src/registry/rights.ts'
import { createRobots } from '../../../src/registry/robots.ts'
import type { TokenClaims } from '../../../src/registry/token-signer.ts'
import type { Call, Service, User } from '../../../src/types.ts'
import { caller, user } from '../auth/support.ts'

const PULL = { type: 'repository', name: 'team/app', actions: ['pull'] }
const CLAIMS: TokenClaims = { subject: 'ada', audience: 'registry', access: [PULL], issuedAt: 0, expiresAt: 1e10 }

const ALLOWS: RightsRule = {
  ...{ name: 'ada', effect: 'allow', users: ['ada'], groups: [], anonymous: false, certificate: [] },
  ...{ addresses: undefined, repositories: ['team/**'], tags: [], catalog: false, actions: ['pull'] },
}

/** What becomes of a pull with these tokens; each text is a token that says the given claims. */
async function pull(
  tokens: Readonly<Record<string, Partial<TokenClaims>>>,
  shown?: User,
  rules: readonly RightsRule[] = [],
): Promise<string> {
  let passed = 0
  const backend = { name: 'hub', forward: async () => void passed++ } as unknown as Service
  const realm: Partial<Realm> = {
    addressOf: ({ connection }) => connection.remoteAddress,
    name: 'main',
    robots: createRobots([]),
    users: createUsers([]),
    rights: createRights(rules),
    signer: {
      ...{ issuer: 'main', sign: () => '', jwks: () => ({ keys: [] }) },
      verify: (token) => (tokens[token] ? { ...CLAIMS, ...tokens[token] } : undefined),
    },
  }
  const gate = new RegistryGate({
    ...{ realm: realm as Realm, service: 'registry', backend, tokens: undefined, filter: false, url: undefined },
  })
  const headers = Object.keys(tokens).flatMap((token) => ['Authorization', `Bearer ${token}`])
  const call = {
    ...caller({ headers }),
    ...{ target: '/v2/team/app/manifests/v1', headers: { own: [], constant: [] }, record: {} },
    identity: { user: shown, methods: [], credential: undefined, expiresAt: Number.POSITIVE_INFINITY },
  } as unknown as Call
  try {
    await gate.forward(call, {} as HttpResponse)
  } catch (error) {
    if (error instanceof GatewayError) return error.code
    throw error
  }
  return passed === 1 ? 'passes' : 'is lost'
}

test('a token of the realm that says the right lets a request through', async () => {
  expect(await pull({ good: {} })).toBe('passes')
  expect(await pull({ good: {} }, user('ada'), [ALLOWS])).toBe('passes')
})

test('where a certificate says who it is, a token from before its right was taken away lets nothing through', async () => {
  expect(await pull({ good: {} }, user('ada'))).toBe('GW_FORBIDDEN')
  expect(await pull({ good: {} }, user('ada'), [ALLOWS, { ...ALLOWS, effect: 'deny' }])).toBe('GW_FORBIDDEN')
  // A token that says less than the rules do is held to what it says.
  expect(await pull({ narrow: { access: [] } }, user('ada'), [ALLOWS])).toBe('GW_UNAUTHENTICATED')
})

test.each<[string, Partial<TokenClaims>]>([
  ['for another registry', { audience: 'another' }],
  ['for another repository', { access: [{ ...PULL, name: 'team/other' }] }],
  ['for another action', { access: [{ ...PULL, actions: ['push'] }] }],
])('a token %s lets nothing through', async (_, claims) => {
  expect(await pull({ token: claims })).toBe('GW_UNAUTHENTICATED')
})

test('a token of somebody else than the certificate lets nothing through', async () => {
  expect(await pull({ good: {} }, user('bob'))).toBe('GW_UNAUTHENTICATED')
})

test('two tokens are refused, although both are good: the registry might believe the other one', async () => {
  expect(await pull({ one: {}, two: {} })).toBe('GW_BAD_REQUEST')
})
