import { describe, expect, test } from '@jest/globals'
import { createUsers } from '../../../src/identity/users.ts'
import { assertCurrent, identify } from '../../../src/registry/identify.ts'
import type { Realm } from '../../../src/registry/realm.ts'
import type { Grant } from '../../../src/registry/refresh-tokens.ts'
import { createRobots, digestOfSecret } from '../../../src/registry/robots.ts'
import type { Call, Identity, Outcome } from '../../../src/types.ts'
import { absent, accepted, denied, method, user } from '../auth/support.ts'

const ada = user('ada')
const GRANT: Grant = { user: 'ada', service: 'registry', methods: ['password'], issuedAt: 0 }
const NOBODY: Identity = { user: undefined, methods: [], credential: undefined, expiresAt: Number.POSITIVE_INFINITY }

function realmWith(grant: Partial<Grant> | undefined, more: Partial<Realm> = {}): Realm {
  const robot = (name: string, expiresAt: number) => ({
    ...{ user: user(name), secretDigest: digestOfSecret('s3cret'), expiresAt },
  })
  const realm: Partial<Realm> = {
    robots: createRobots([robot('ci', Number.POSITIVE_INFINITY), robot('over', 1)]),
    // A user of the configuration has the name of a robot that is over.
    users: createUsers([
      { id: ada.id, name: 'ada', custom_id: undefined, groups: [] },
      { id: 'x', name: 'over', custom_id: undefined, groups: [] },
    ]),
    refreshTokens: {
      find: async () => grant && { ...GRANT, ...grant },
      issue: async () => undefined,
      revoke: async () => {},
    },
    secretsOf: () => ['of today'],
    isEnough: () => true,
    ...more,
  }
  return realm as Realm
}

function byToken(grant: Partial<Grant> | undefined, identity: Identity = NOBODY) {
  return identify(realmWith(grant), { identity } as Call, 'registry', { kind: 'refresh', token: 'x' })
}

describe('a refresh token', () => {
  test('stands for its user', async () => {
    expect(await byToken({})).toMatchObject({
      ...{ status: 'identified', identity: { user: { name: 'ada' }, methods: ['password', 'refresh_token'] } },
    })
    expect(await byToken({ user: 'ci' })).toMatchObject({ status: 'identified', identity: { user: user('ci') } })
  })

  test.each<[string, Partial<Grant> | undefined]>([
    ['that nobody knows', undefined],
    ['for another registry', { service: 'another' }],
    ['of a robot that is over, also where a user has its name', { user: 'over' }],
    ['of somebody who is gone', { user: 'eve' }],
    ['that was got with a password of yesterday', { secrets: ['of yesterday'] }],
    ['that was got with a certificate, which is not there', { methods: ['certificate'] }],
    ['that was got with a token of another issuer, which is not there', { methods: ['token'] }],
    ['that was got with an API key, which is not there', { methods: ['password', 'api-key'] }],
  ])('%s stands for nobody', async (_, grant) => {
    expect(await byToken(grant)).toMatchObject({ status: 'denied' })
  })

  test('that was got with a certificate stands for nobody beside another proof of the same user', async () => {
    const shown = { ...NOBODY, user: ada, methods: ['api-key'] }
    expect(await byToken({ methods: ['certificate'] }, shown)).toMatchObject({
      reason: 'a refresh token that wants its certificate',
    })
    expect(await byToken({ methods: ['api-key'] }, shown)).toMatchObject({ status: 'identified' })
  })

  test('of somebody else than the certificate stands for nobody', async () => {
    const shown = { ...NOBODY, user: user('bob'), methods: ['certificate'] }
    expect(await byToken({}, shown)).toMatchObject({ status: 'denied' })
  })
})

test.each(['ci', 'over'])('the name of the robot %s needs its secret, and a robot that has not ended', async (name) => {
  const said = (password: string) =>
    identify(realmWith(undefined), { identity: NOBODY } as Call, 'registry', { kind: 'password', name, password })
  expect((await said('s3cret')).status).toBe(name === 'ci' ? 'identified' : 'denied')
  for (const wrong of ['', 's3cre', 'S3CRET']) expect((await said(wrong)).status).toBe('denied')
})

test('a wrong secret of a robot takes as long as the password of nobody, and is told to wait as often', async () => {
  const headers = ['Retry-After', '5']
  const password = method('password', { status: 'denied', reason: 'nobody', headers })
  const said = (secret: string) =>
    identify(realmWith(undefined, { password }), { identity: NOBODY } as Call, 'registry', {
      ...{ kind: 'password', name: 'ci', password: secret },
    })
  expect(await said('wrong')).toEqual({ status: 'denied', reason: 'wrong secret for the robot ci', headers })
  expect(password.asked).toHaveLength(1)
  expect(await said('s3cret')).toMatchObject({ status: 'identified' })
  expect(password.asked).toHaveLength(1)
})

describe('a password', () => {
  const shown = (name: string): Identity => ({ ...NOBODY, user: user(name), methods: ['certificate'], expiresAt: 2000 })
  const said = (realm: Partial<Realm>, identity = NOBODY, name = 'ada') =>
    identify(realmWith(undefined, realm), { identity } as Call, 'registry', { kind: 'password', name, password: 'x' })
  const password = (outcome: Outcome) => method('password', outcome)
  const right = { password: password(accepted(ada, { expiresAt: 1000, proof: 'of ada' })) }

  test('says who it is, and what may take it back', async () => {
    expect(await said(right)).toMatchObject({
      ...{ status: 'identified' },
      identity: { user: ada, methods: ['password'], expiresAt: 1000, proofs: [{ method: 'password', of: 'of ada' }] },
    })
  })

  test('that is wrong, or that nobody checks, says nothing', async () => {
    const headers = ['Retry-After', '5']
    const wrong = { password: password({ status: 'denied', reason: 'wrong', headers }) }
    expect(await said(wrong)).toEqual({ status: 'denied', reason: 'wrong', headers })
    for (const realm of [{ password: undefined }, { password: password(absent) }])
      expect(await said(realm)).toMatchObject({ status: 'denied' })
  })

  test('must agree with the certificate, and the earlier end counts', async () => {
    expect(await said(right, shown('ada'))).toMatchObject({
      identity: { user: ada, methods: ['certificate', 'password'], expiresAt: 1000 },
    })
    expect(await said(right, shown('bob'))).toMatchObject({ status: 'denied' })
  })

  test('is not looked at where the certificate of the same user stands for it, as far as that is set', async () => {
    const wrong = { password: password(denied()) }
    const replaced = { ...wrong, certificateReplacesPassword: true }
    expect(await said(replaced, shown('ada'))).toEqual({ status: 'identified', identity: shown('ada') })
    expect(await said(replaced, shown('bob'))).toMatchObject({ status: 'denied' })
    expect(await said(replaced)).toMatchObject({ status: 'denied' })
    expect(await said(wrong, shown('ada'))).toMatchObject({ status: 'denied' })
  })

  test('is not enough for whoever needs more', async () => {
    const isEnough: Realm['isEnough'] = ({ methods }) => methods.includes('certificate')
    expect(await said({ ...right, isEnough })).toMatchObject({ status: 'denied' })
    expect(await said({ ...right, isEnough }, shown('ada'))).toMatchObject({ status: 'identified' })
  })
})

test('the user of a refresh token is the certificate’s, with its groups', async () => {
  const now = user('ada', { groups: ['of the certificate'] })
  expect(await byToken({}, { ...NOBODY, user: now, methods: ['certificate'] })).toMatchObject({
    identity: { user: now },
  })
})

test('what has ended proves nothing any more', () => {
  expect(() => assertCurrent({ ...NOBODY, expiresAt: 1000 }, 1000)).toThrow('expired')
  expect(() => assertCurrent({ ...NOBODY, expiresAt: 1000 }, 999)).not.toThrow()
})
