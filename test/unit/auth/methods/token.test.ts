import { beforeAll, expect, test } from '@jest/globals'
import { JwtIssuers } from '../../../../src/auth/jwt-issuers.ts'
import { createTokenMethod } from '../../../../src/auth/methods/token.ts'
import { createUsers } from '../../../../src/identity/users.ts'
import { MemoryStore } from '../../../../src/store/memory.ts'
import { Revocations } from '../../../../src/tokens/revocations.ts'
import { derivedKeys } from '../../../../src/tokens/signing-keys.ts'
import { Tokens } from '../../../../src/tokens/tokens.ts'
import { fakeCertificate } from '../../../support/fake-connection.ts'
import { type CallerFacts, caller, denied, method as scripted } from '../support.ts'

const HOUR = 3_600_000
const users = createUsers([{ id: 'u1', name: 'ada', custom_id: undefined, groups: [] }])
const tokens = new Tokens({
  keys: derivedKeys({ secret: Buffer.alloc(32, 1), rotation: 24 * HOUR, lifetime: HOUR }),
  ...{ issuer: 'sallyport', cacheEntries: 100, expiredWindow: 0 },
  revocations: new Revocations(new MemoryStore(100)),
})
const method = createTokenMethod({
  ...{ tokens, users, realm: 'r', issuers: new JwtIssuers([], users), certificate: scripted('certificate', denied()) },
  describe: () => ({}),
})

/** Of a client without a certificate, and of one with one. */
let token: string
let bound: string
const CERTIFICATE = { certificate: fakeCertificate() }

beforeAll(async () => {
  const issue = (facts?: CallerFacts) =>
    tokens.issue({ sub: 'u1', methods: ['password'] }, Date.now() + HOUR, caller(facts).connection)
  token = (await issue()).token
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

test('everything that was read as a token is kept from the backend', () => {
  const { isHeader } = method.credential ?? {}
  expect(isHeader?.('x-auth-token', '')).toBe(true)
  expect(isHeader?.('authorization', `bEARER ${token}`)).toBe(true)
  expect(isHeader?.('authorization', 'Basic YTpi')).toBe(false)
})
