import { expect, test } from '@jest/globals'
import { GatewayError } from '../../../src/errors.ts'
import type { HttpResponse } from '../../../src/http-messages.ts'
import { createUsers } from '../../../src/identity/users.ts'
import { RegistryGate } from '../../../src/registry/gate.ts'
import type { Realm } from '../../../src/registry/realm.ts'
import { createRights, type RightsRule } from '../../../src/registry/rights.ts'
import { createRobots } from '../../../src/registry/robots.ts'
import { scopeText } from '../../../src/registry/scope.ts'
import type { TokenClaims } from '../../../src/registry/token-signer.ts'
import type { Call, Service, User } from '../../../src/types.ts'
import { caller, user } from '../auth/support.ts'

const PULL = { type: 'repository', name: 'team/app', actions: ['pull'] }
const CLAIMS: TokenClaims = { subject: 'ada', audience: 'registry', access: [PULL], issuedAt: 0, expiresAt: 1e10 }

const ALLOWS: RightsRule = {
  ...{ name: 'ada', effect: 'allow', users: ['ada'], groups: [], anonymous: false, certificate: [] },
  ...{ addresses: undefined, repositories: ['team/**'], tags: [], catalog: false, actions: ['pull'] },
}

interface Asked {
  readonly method?: string
  readonly target?: string
  readonly type?: string
}

/** The headers of the last request that reached the registry. */
let received: readonly string[] = []

/** What becomes of a pull with these tokens; each text is a token that says the given claims. */
async function pull(
  tokens: Readonly<Record<string, Partial<TokenClaims>>>,
  shown?: User,
  rules: readonly RightsRule[] = [],
  { method = 'GET', target = '/v2/team/app/manifests/v1', type }: Asked = {},
): Promise<string> {
  let passed = 0
  const forward = async ({ headers }: Call) => {
    received = [...headers.received, ...headers.own]
    passed++
  }
  const backend = { name: 'hub', forward } as unknown as Service
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
    ...{ realm: realm as Realm, service: 'registry', backend, filter: false, url: undefined, warn: () => {} },
    tokens: { authorization: (subject, access) => `for ${subject}: ${access.map(scopeText).join(' ')}` },
  })
  const shownTokens = Object.keys(tokens).flatMap((token) => ['Authorization', `Bearer ${token}`])
  const headers = [...shownTokens, 'Accept', '*/*', ...(type ? ['Content-Type', type] : [])]
  const call = {
    ...caller({ headers }),
    ...{ method, target, headers: { received: headers, own: [], constant: [] }, record: {} },
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
  ['for something else of that name', { access: [{ ...PULL, type: 'other' }] }],
])('a token %s lets nothing through', async (_, claims) => {
  expect(await pull({ token: claims })).toBe('GW_UNAUTHENTICATED')
})

test('a token of somebody else than the certificate lets nothing through', async () => {
  expect(await pull({ good: {} }, user('bob'))).toBe('GW_UNAUTHENTICATED')
})

test('two tokens are refused, although both are good: the registry might believe the other one', async () => {
  expect(await pull({ one: {}, two: {} })).toBe('GW_BAD_REQUEST')
})

test('the registry gets a token of ours for just this request, and the client’s own never', async () => {
  expect(await pull({ good: {} })).toBe('passes')
  expect(received).toEqual(['Accept', '*/*', 'Authorization', 'for ada: repository:team/app:pull'])
  expect(await pull({}, user('ada'), [ALLOWS])).toBe('passes')
  expect(received).toEqual(['Accept', '*/*', 'Authorization', 'for ada: repository:team/app:pull'])
})

test('a token must say every right that a request needs: that to both repositories of a mount', async () => {
  const push = { ...PULL, actions: ['pull', 'push'] }
  const digest = `sha256:${'a'.repeat(64)}`
  const mount = { method: 'POST', target: `/v2/team/app/blobs/uploads/?mount=${digest}&from=team/secret` }
  expect(await pull({ one: { access: [push] } }, undefined, [], mount)).toBe('GW_UNAUTHENTICATED')
  const both = { access: [push, { ...PULL, name: 'team/secret' }] }
  expect(await pull({ both }, undefined, [], mount)).toBe('passes')
})

test('a mount that a form might hide is refused', async () => {
  const access = [{ ...PULL, actions: ['pull', 'push'] }]
  const upload = { method: 'POST', target: '/v2/team/app/blobs/uploads/' }
  expect(await pull({ good: { access } }, undefined, [], upload)).toBe('passes')
  for (const type of ['application/x-www-form-urlencoded', 'multipart/FORM-data; boundary=x'])
    expect(await pull({ good: { access } }, undefined, [], { ...upload, type })).toBe('GW_ROUTE_NOT_FOUND')
})
