import { beforeAll, expect, test } from '@jest/globals'
import { JwtIssuers } from '../../../../src/auth/jwt-issuers.ts'
import { createTokenMethod, type TokenMethodOptions } from '../../../../src/auth/methods/token.ts'
import { createUsers } from '../../../../src/identity/users.ts'
import { MemoryStore } from '../../../../src/store/memory.ts'
import { Revocations } from '../../../../src/tokens/revocations.ts'
import { derivedKeys } from '../../../../src/tokens/signing-keys.ts'
import { Tokens } from '../../../../src/tokens/tokens.ts'
import type { Outcome, User } from '../../../../src/types.ts'
import { fakeCertificate } from '../../../support/fake-connection.ts'
import { accepted, bob, type CallerFacts, caller, denied, method as scripted } from '../support.ts'

const HOUR = 3_600_000
const users = createUsers([{ id: 'u1', name: 'ada', custom_id: undefined, groups: [] }])
const tokens = new Tokens({
  keys: derivedKeys({ secret: Buffer.alloc(32, 1), rotation: 24 * HOUR, lifetime: HOUR }),
  ...{ issuer: 'sallyport', cacheEntries: 100, expiredWindow: 0 },
  revocations: new Revocations(new MemoryStore(100)),
})
const method = methodWith()

function methodWith(options: Partial<TokenMethodOptions> = {}) {
  const issuers = new JwtIssuers([], users)
  const certificate = scripted('certificate', denied())
  return createTokenMethod({ tokens, users, realm: 'r', issuers, certificate, describe: () => ({}), ...options })
}

/** Of a client without a certificate, and of one with one. */
let token: string
let bound: string
/** Obtained with a certificate, and for a project. */
let mapped: string
const CERTIFICATE = { certificate: fakeCertificate() }

beforeAll(async () => {
  const issue = (facts?: CallerFacts, methods = ['password']) =>
    tokens.issue({ sub: 'u1', methods }, Date.now() + HOUR, caller(facts).connection)
  token = (await issue()).token
  mapped = (await issue({}, ['certificate'])).token
  bound = (await issue({ connection: CERTIFICATE })).token
})

const asked = (headers: readonly string[], connection: CallerFacts['connection'] = {}) =>
  method.authenticate(caller({ headers, connection }))

test.each(['X-Auth-Token', 'x-auth-token'])('is taken from %s and from Bearer', async (name) => {
  for (const headers of [
    [name, token],
    ['Authorization', `Bearer ${token}`],
    ['AUTHORIZATION', `bearer   ${token}`],
  ])
    expect(await asked(headers)).toMatchObject({ status: 'accepted', user: { name: 'ada' } })
})

test('another scheme, or none, says nothing', () => {
  for (const value of ['Basic YTpi', 'Bearer', token])
    expect(asked(['Authorization', value])).toEqual({ status: 'absent' })
})

test('two tokens in one request are denied, even where both are good: a backend might believe the other one', () => {
  const twice = { status: 'denied', reason: 'more than one token' }
  expect(asked(['X-Auth-Token', token, 'X-Auth-Token', token])).toEqual(twice)
  expect(asked(['X-Auth-Token', token, 'Authorization', `Bearer ${token}`])).toEqual(twice)
  expect(asked(['Authorization', 'Bearer x', 'X-Auth-Token', token])).toEqual(twice)
})

test('is of no use with another certificate than it was issued to, nor with none', async () => {
  expect(await asked(['X-Auth-Token', bound], CERTIFICATE)).toMatchObject({ status: 'accepted' })
  const other = { certificate: fakeCertificate({ fingerprintSha256: 'c'.repeat(64) }) }
  for (const connection of [other, {}])
    expect(await asked(['X-Auth-Token', bound], connection)).toMatchObject({ status: 'denied' })
})

test('one obtained with a certificate is its user’s, as long as the certificate belongs to him', async () => {
  const now = { ...(users.byId('u1') as User), groups: ['now'] }
  const by = (outcome: Outcome | Promise<Outcome>) =>
    methodWith({ certificate: scripted('certificate', outcome) }).authenticate(
      caller({ headers: ['X-Auth-Token', mapped] }),
    )
  expect(await by(accepted(now))).toMatchObject({ status: 'accepted', user: now })
  expect(await by(Promise.resolve(accepted(now)))).toMatchObject({ status: 'accepted', user: now })
  for (const outcome of [accepted(bob), denied()]) {
    expect(await by(outcome)).toMatchObject({ status: 'denied' })
    expect(await by(Promise.resolve(outcome))).toMatchObject({ status: 'denied' })
  }
})

test('is denied, and owned by nobody, once what it is good for is gone', async () => {
  const gone = methodWith({ describe: () => undefined })
  expect(await gone.authenticate(caller({ headers: ['X-Auth-Token', token] }))).toMatchObject({ status: 'denied' })
  expect(await gone.ownerOf?.(token, users.byId('u1') as User)).toBeUndefined()
})

test('is owned by its user until it is revoked, or he is removed', async () => {
  const ada = users.byId('u1') as User
  expect(await method.ownerOf?.(token, ada)).toBe(ada)
  const withGroups = { ...ada, groups: ['of his certificate'] }
  expect(await method.ownerOf?.(mapped, withGroups)).toBe(withGroups)
  expect(await method.ownerOf?.(mapped, bob)).toBe(ada)
  expect(await methodWith({ users: createUsers([]) }).ownerOf?.(token, ada)).toBeUndefined()
  const { token: brief, claims } = await tokens.issue({ sub: 'u1' }, Date.now() + HOUR, caller().connection)
  await tokens.revoke(claims)
  expect(await method.ownerOf?.(brief, ada)).toBeUndefined()
})

test('is taken from Keystone’s id as well', async () => {
  expect(await method.authenticate(caller(), { id: token })).toMatchObject({ status: 'accepted' })
  expect(await method.authenticate(caller({ headers: ['X-Auth-Token', token] }), {})).toMatchObject({
    status: 'denied',
  })
})

test('everything that was read as a token is kept from the backend', () => {
  const { isHeader } = method.credential ?? {}
  expect(isHeader?.('x-auth-token', '')).toBe(true)
  expect(isHeader?.('authorization', `bEARER ${token}`)).toBe(true)
  expect(isHeader?.('authorization', 'Basic YTpi')).toBe(false)
})
