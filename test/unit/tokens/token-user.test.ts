import { expect, test } from '@jest/globals'
import { createUsers } from '../../../src/identity/users.ts'
import { claimsOfUser, userOfClaims } from '../../../src/tokens/token-user.ts'

const ADA = { id: '5f1d', name: 'ada', custom_id: undefined, groups: ['staff'] }
const users = createUsers([ADA])
const brought = { id: 'id of bob', name: 'bob', groups: ['guests'], customId: undefined }

/** Whom a token that was issued to `user` stands for, as things are later. */
function later(user: Parameters<typeof claimsOfUser>[0], then = users) {
  return userOfClaims(claimsOfUser(user, users), then)
}

test('a user of the configuration is named by id, and is what the configuration makes of it', () => {
  const ada = users.byName('ada') ?? brought
  expect(claimsOfUser(ada, users)).toEqual({ sub: '5f1d' })
  expect(later(ada)).toBe(ada)
  expect(later(ada, createUsers([]))).toBeUndefined()
})

test('a user of the configuration with groups of a certificate needs the configuration too', () => {
  const more = { ...brought, id: '5f1d', name: 'ada', groups: ['staff', 'OU'] }
  expect(later(more)).toEqual(more)
  expect(later(more, createUsers([]))).toBeUndefined()
})

test('any other user is what the token says', () => {
  expect(later(brought)).toEqual(brought)
  expect(later({ ...brought, customId: 'b-17' })).toEqual({ ...brought, customId: 'b-17' })
})

test.each(['bob', 'id of bob'])('whoever is not enabled any more, as %s, has no token', (nameOrId) => {
  expect(later(brought, createUsers([], [{ id: nameOrId, name: nameOrId }]))).toBeUndefined()
})
