import { describe, expect, test } from '@jest/globals'
import { createUsers } from '../../../src/identity/users.ts'
import { identify } from '../../../src/registry/identify.ts'
import type { Realm } from '../../../src/registry/realm.ts'
import type { Grant } from '../../../src/registry/refresh-tokens.ts'
import { createRobots, digestOfSecret } from '../../../src/registry/robots.ts'
import type { Call, Identity } from '../../../src/types.ts'
import { user } from '../auth/support.ts'

const ada = user('ada')
const GRANT: Grant = { user: 'ada', service: 'registry', methods: ['password'], issuedAt: 0 }
const NOBODY: Identity = { user: undefined, methods: [], credential: undefined, expiresAt: Number.POSITIVE_INFINITY }

function realmWith(grant: Partial<Grant> | undefined): Realm {
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
  ])('%s stands for nobody', async (_, grant) => {
    expect(await byToken(grant)).toMatchObject({ status: 'denied' })
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
