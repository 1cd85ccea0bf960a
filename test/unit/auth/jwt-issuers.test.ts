import { beforeAll, expect, test } from '@jest/globals'
import { type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { givenKeys, type JwtIssuerOptions, JwtIssuers } from '../../../src/auth/jwt-issuers.ts'
import { createUsers } from '../../../src/identity/users.ts'
import { thumbprintOf } from '../../../src/tokens/binding.ts'
import type { Connection, Outcome, User } from '../../../src/types.ts'
import { fakeCertificate, fakeConnection } from '../../support/fake-connection.ts'

const ISSUER = 'https://idp.example'
const ADA = { id: 'u1', name: 'ada', custom_id: undefined, groups: ['staff'] }
const users = createUsers([ADA], [{ id: 'u2', name: 'eve' }])
const strangers = { ephemeralUsers: true, groupsClaim: 'groups' }
let privateKey: CryptoKey
let keys: JwtIssuerOptions['keys']

beforeAll(async () => {
  const pair = await generateKeyPair('ES256')
  privateKey = pair.privateKey
  keys = givenKeys({ keys: [await exportJWK(pair.publicKey)] })
})

function issuers(options: Partial<JwtIssuerOptions> = {}): JwtIssuers {
  const issuer = { issuer: ISSUER, audiences: ['us'], algorithms: ['ES256'], keys, userClaim: 'sub' }
  return new JwtIssuers(
    [{ ...issuer, groupsClaim: undefined, ephemeralUsers: false, clockTolerance: 5000, ...options }],
    users,
  )
}

/** @param left seconds until it expires */
function issue(claims: JWTPayload, left = 60): Promise<string> {
  const exp = Math.floor(Date.now() / 1000) + left
  const complete = { iss: ISSUER, aud: 'us', exp, ...claims }
  return new SignJWT(complete).setProtectedHeader({ alg: 'ES256' }).sign(privateKey)
}

async function judged(
  claims: JWTPayload,
  options?: Partial<JwtIssuerOptions>,
  connection: Connection | undefined = fakeConnection(),
): Promise<Outcome | undefined> {
  return issuers(options).verify(await issue(claims), connection)
}

const userOf = (outcome: Outcome | undefined): User | undefined =>
  outcome?.status === 'accepted' ? outcome.user : undefined

test('a token names a user of the configuration by name or id, and the groups are the configuration’s', async () => {
  for (const sub of ['ada', 'u1']) {
    expect(userOf(await judged({ sub, groups: ['admins'] }, strangers))).toBe(users.byName('ada'))
  }
})

test('of another issuer nothing is said, nor of what is no token or longer than any', async () => {
  const all = issuers()
  const long = await issue({ sub: 'ada', more: 'x'.repeat(8192) })
  for (const token of [await issue({ sub: 'ada', iss: 'https://other.example' }), 'x', 'a.b.c', '', long]) {
    expect(all.verify(token, fakeConnection())).toBeUndefined()
  }
})

test('whom the configuration does not know counts only where that is set, and never who is not enabled', async () => {
  expect(await judged({ sub: 'bob' })).toMatchObject({ status: 'denied' })
  expect(userOf(await judged({ sub: 'bob' }, strangers))).toMatchObject({ id: `${ISSUER} bob`, name: 'bob' })
  for (const sub of ['eve', 'u2']) expect(await judged({ sub }, strangers)).toMatchObject({ status: 'denied' })
})

test('two names that become the same text for backends are none', async () => {
  for (const sub of ['ada\ud800', '\udfffada', 'ada\n'])
    expect(await judged({ sub }, strangers)).toMatchObject({ status: 'denied', reason: 'sub is no name' })
  const groups = ['a\ud800', 'b']
  expect(userOf(await judged({ sub: 'xenia', groups }, strangers))?.groups).toEqual(['b'])
})

test('a jti that is no text, as some issuers number their tokens, names no credential', async () => {
  expect(await judged({ sub: 'ada', jti: 'of the token' })).toMatchObject({ credential: 'of the token' })
  for (const jti of [5, { a: 1 }] as unknown as string[])
    expect(await judged({ sub: 'ada', jti })).toMatchObject({ status: 'accepted', credential: undefined })
})

test('of the groups those are taken that a backend cannot read otherwise', async () => {
  const groups = ['staff', 'a,admins', '', 5, 'a\nb']
  expect(userOf(await judged({ sub: 'bob', groups }, strangers))?.groups).toEqual(['staff'])
  expect(userOf(await judged({ sub: 'bob', groups: 'staff' }, strangers))?.groups).toEqual([])
  const without = { ...strangers, groupsClaim: undefined }
  expect(userOf(await judged({ sub: 'bob', groups }, without))?.groups).toEqual([])
})

test.each(['', 'a\nb', 'x'.repeat(1025), 5, {}, null])('%j is no name', async (sub) => {
  expect(await judged({ sub } as JWTPayload, strangers)).toMatchObject({ status: 'denied' })
})

test('a bound token is of use with its certificate only, and one that is bound to something else with none', async () => {
  const [own, other] = ['a', 'c'].map((digit) =>
    fakeConnection({ certificate: fakeCertificate({ fingerprintSha256: digit.repeat(64) }) }),
  ) as [Connection, Connection]
  const all = issuers()
  const token = await issue({ sub: 'ada', cnf: { 'x5t#S256': thumbprintOf(own) } })
  // Also once its signature is known.
  for (let i = 0; i < 2; i++) {
    expect(await all.verify(token, own)).toMatchObject({ status: 'accepted' })
    for (const client of [other, fakeConnection()])
      expect(await all.verify(token, client)).toMatchObject({ status: 'denied' })
  }
  expect(await all.verify(token, undefined)).toMatchObject({ status: 'accepted' })
  expect(await judged({ sub: 'ada' }, {}, own)).toMatchObject({ status: 'accepted' })
  for (const cnf of [{ jkt: 'x' }, { 'x5t#S256': 5 }, {}, null])
    expect(await judged({ sub: 'ada', cnf }, {}, own)).toMatchObject({ status: 'denied' })
})

test('a token is good until its end and the tolerance, and not a moment longer', async () => {
  const left = async (seconds: number) => issuers().verify(await issue({ sub: 'ada' }, seconds), fakeConnection())
  expect(await left(-10)).toMatchObject({ status: 'denied' })
  const end = (Math.floor(Date.now() / 1000) - 2) * 1000
  const outcome = await left(-2)
  expect(outcome).toMatchObject({ status: 'accepted' })
  const { expiresAt = 0 } = outcome as { expiresAt?: number }
  expect(expiresAt - end).toBeGreaterThanOrEqual(5000)
  expect(expiresAt - end).toBeLessThanOrEqual(6000)
})

test('a signature counts as long as its key is known to be good, and keys that cannot be had say nothing', async () => {
  let until = Date.now() + 60_000
  let asked = 0
  const watched: JwtIssuerOptions['keys'] = {
    getKey: (...header) => {
      asked += 1
      return keys.getKey(...header)
    },
    goodUntil: () => until,
  }
  const all = issuers({ keys: watched })
  const token = await issue({ sub: 'ada' })
  for (let i = 0; i < 2; i++) await all.verify(token, fakeConnection())
  expect(asked).toBe(1)
  until = 0
  const another = issuers({ keys: watched })
  for (let i = 0; i < 2; i++) await another.verify(token, fakeConnection())
  expect(asked).toBe(3)
  const away = issuers({ keys: { getKey: () => Promise.reject(new Error('away')), goodUntil: () => 0 } })
  await expect(away.verify(token, fakeConnection())).rejects.toThrow('away')
})
