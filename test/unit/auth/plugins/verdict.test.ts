import { describe, expect, test } from '@jest/globals'
import type { PluginAnswer } from '../../../../src/auth/plugins/plugin.ts'
import { verdictOf } from '../../../../src/auth/plugins/verdict.ts'
import type { Identity } from '../../../../src/types.ts'
import fc from '../../../support/random.ts'
import { ada, bob } from '../support.ts'

const users = {
  byId: (id: string) => [ada, bob].find((user) => user.id === id),
  byName: (name: string) => [ada, bob].find((user) => user.name === name),
  isDisabled: (nameOrId: string) => ['eve', 'id of eve'].includes(nameOrId),
  isIdOfAnother: () => false,
}
const returned = (value: unknown, set: Record<string, unknown> = {}): PluginAnswer => ({ kind: 'returned', value, set })
const success = (response_data: object) => returned({ status: true, response_body: null, response_data })
const verdict = (answer: PluginAnswer, ephemeralUsers = false, found?: Identity) =>
  verdictOf(answer, found, { users, ephemeralUsers })

describe('success', () => {
  test.each([
    ['the original contract: nothing returned, user_id set', returned(undefined, { user_id: ada.id })],
    ['null for nothing', returned(null, { user_id: ada.id })],
    ['the result object', success({ user_id: ada.id })],
    ['the result object, with user_id set', returned({ status: true }, { user_id: ada.id })],
  ])('%s', (_, answer) => {
    expect(verdict(answer)).toMatchObject({ status: 'accepted', user: ada })
  })

  test('with an end and with what Keystone reconciles', () => {
    const data = { user_id: ada.id, expires_at: '2035-01-01T00:00:00Z', project_id: 'p', domain_id: 5, other: 'x' }
    expect(verdict(success(data))).toEqual({
      ...{ status: 'accepted', user: ada },
      expiresAt: Date.UTC(2035, 0, 1),
      attributes: { project_id: 'p' },
    })
  })

  test('the user whom the methods before it found stays the same object', () => {
    const who = { ...ada, groups: ['by the certificate'] }
    const found: Identity = { user: who, methods: ['certificate'], credential: undefined, expiresAt: 1 }
    expect(verdict(success({ user_id: ada.id }), false, found)).toMatchObject({ user: who })
  })

  test('a user of its own, where that is allowed', () => {
    const data = { user_id: 'x', user_name: 'xenia', groups: ['g'] }
    expect(verdict(success(data), true)).toMatchObject({ user: { id: 'x', name: 'xenia', groups: ['g'] } })
    expect(verdict(success(data)).status).toBe('denied')
  })
})

test.each([
  ['any object is the next step', returned({ challenge: '?' }), { challenge: '?' }],
  ['the result object', returned({ status: false, response_body: { challenge: '?' } }), { challenge: '?' }],
])('one more step: %s', (_, answer, challenge) => {
  expect(verdict(answer)).toEqual({ status: 'challenged', challenge })
})

test.each([
  ['Unauthorized', { kind: 'unauthorized', reason: 'said no' } as const],
  ['nothing', returned(undefined)],
  ['no, without a step', returned({ status: false, response_body: null })],
  ['yes, of nobody', success({})],
  ['yes, and user_id in another place', returned({ status: true, user_id: ada.id })],
  ['a user_id that is no text', success({ user_id: 5 })],
  ['an empty user_id', success({ user_id: '' })],
  ['a user_id of two lines', success({ user_id: `${ada.id}\r\nX: y` })],
  ['a user who is not known', success({ user_id: 'root' })],
  ['an end that is no time', success({ user_id: ada.id, expires_at: 'soon' })],
  ['true', returned(true)],
  ['text', returned(ada.id)],
  ['a list', returned([ada.id])],
  ['a step that is too long', returned({ challenge: 'x'.repeat(9000) })],
])('%s is a denial', (_, answer) => {
  expect(verdict(answer).status).toBe('denied')
})

test.each([
  ['the name of another user', { user_id: 'x', user_name: 'ada' }],
  ['a group with a comma', { user_id: 'x', groups: ['a,b'] }],
  ['groups that are no list', { user_id: 'x', groups: 'a' }],
  ['a name that is no text', { user_id: 'x', user_name: {} }],
  ['an empty id', { user_id: '', user_name: 'xenia' }],
  ['an empty name', { user_id: 'x', user_name: '' }],
  ['an empty group', { user_id: 'x', groups: [''] }],
])('a user of its own with %s is a denial', (_, data) => {
  expect(verdict(success(data), true).status).toBe('denied')
})

test('whatever comes, it throws nothing, and lets nobody in who is not known', () => {
  const id = fc.constantFrom(ada.id, bob.id, ada.name, 'id of eve', 'constructor', '', 5, null)
  const end = fc.oneof(fc.constantFrom(null, '2035-01-01T00:00:00Z', 2e12), fc.jsonValue())
  const data = fc.record({ user_id: id, expires_at: end, groups: fc.jsonValue() }, { requiredKeys: [] })
  const object = fc.record({ status: fc.constantFrom(true, true, false, 'true', 1), response_data: data })
  let accepted = 0
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), object), data, (value, set) => {
      const outcome = verdict(returned(value, set))
      if (outcome.status !== 'accepted') return
      accepted += 1
      expect([ada, bob]).toContain(outcome.user)
    }),
    { numRuns: 1000 },
  )
  expect(accepted).toBeGreaterThan(20)
})

test.each([
  ['by the id', { user_id: 'id of eve', user_name: 'somebody' }],
  ['by the name', { user_id: 'somebody', user_name: 'eve' }],
  ['by an id that is the name', { user_id: 'eve' }],
])('a user of the configuration who is not enabled cannot be brought, named %s', (_, data) => {
  expect(verdict(success(data), true)).toMatchObject({
    status: 'denied',
    reason: expect.stringContaining('not enabled'),
  })
})
