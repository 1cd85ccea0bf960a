import { expect, test } from '@jest/globals'
import { createUsers } from '../../../src/identity/users.ts'

const ADA = { id: '5f1d', name: 'ada', custom_id: '42', groups: ['staff'] }

test('a user is found by name and by id, as one frozen object', () => {
  const users = createUsers([ADA, { id: 'eve', name: 'eve', custom_id: undefined, groups: [] }])
  const ada = users.byName('ada')
  expect(ada).toEqual({ id: '5f1d', name: 'ada', customId: '42', groups: ['staff'] })
  expect(users.byId('5f1d')).toBe(ada)
  expect(Object.isFrozen(ada)).toBe(true)
  expect(Object.isFrozen(ada?.groups)).toBe(true)
})

test('neither a name in another case nor a name of every object finds anybody', () => {
  const users = createUsers([ADA])
  expect(users.byName('Ada')).toBeUndefined()
  expect(users.byName('constructor')).toBeUndefined()
  expect(users.byId('ada')).toBeUndefined()
})

test('a user who is not enabled is known as such by name and by id, and by nothing else', () => {
  const users = createUsers([{ id: 'eve', name: 'eve', custom_id: undefined, groups: [] }], [ADA])
  expect(['ada', '5f1d', 'eve', 'Ada', 'constructor'].map(users.isDisabled)).toEqual([true, true, false, false, false])
  expect([users.byName('ada'), users.byId('5f1d')]).toEqual([undefined, undefined])
})

test("a name is another's id only where nobody has it as his name", () => {
  const own = { id: 'eve', name: 'eve', custom_id: undefined, groups: [] }
  const crossed = { id: 'ada', name: 'bob', custom_id: undefined, groups: [] }
  const users = createUsers([ADA, own, crossed])
  expect(['5f1d', 'ada', 'eve', 'bob', 'nobody'].map(users.isIdOfAnother)).toEqual([true, false, false, false, false])
})
