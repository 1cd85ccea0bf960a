import { expect, test } from '@jest/globals'
import { createExternalMethod } from '../../../../src/auth/methods/external.ts'
import { createUsers } from '../../../../src/identity/users.ts'
import { caller } from '../support.ts'

const consumer = (name: string) => ({ id: `id-of-${name}`, name, custom_id: undefined, groups: [] })
const users = createUsers([consumer('ada'), consumer('ada@example.org')])
const method = createExternalMethod({
  ...{ header: 'Remote-User', users },
  trusted: { has: (address) => address === '10.0.0.1' },
})
const ask = (headers: readonly string[], remoteAddress = '10.0.0.1') =>
  method.authenticate(caller({ headers, connection: { remoteAddress } }))

test('a front server says who it is, in any letter case; "@" separates nothing', () => {
  expect(ask(['REMOTE-USER', 'ada'])).toMatchObject({ status: 'accepted', user: { id: 'id-of-ada' } })
  expect(ask(['remote-user', 'ada@example.org'])).toMatchObject({ user: { id: 'id-of-ada@example.org' } })
})

test.each([
  ['from another address', ['Remote-User', 'ada'], '10.0.0.2'],
  ['nothing at all', [], '10.0.0.1'],
  ['that is empty', ['Remote-User', ''], '10.0.0.1'],
  ['under a name that CGI takes for the same', ['Remote_User', 'ada'], '10.0.0.1'],
])('a header %s says nothing', (_, headers, address) => {
  expect(ask(headers, address)).toEqual({ status: 'absent' })
})

test.each([
  ['somebody who is not known', ['Remote-User', 'eve']],
  ['a user by the id', ['Remote-User', 'id-of-ada']],
  ['two users', ['Remote-User', 'ada', 'remote-user', 'ada@example.org']],
  ['one user twice', ['Remote-User', 'ada', 'Remote-User', 'ada']],
  ['a list', ['Remote-User', 'ada, ada@example.org']],
])('a header that names %s is refused', (_, headers) => {
  expect(ask(headers)).toMatchObject({ status: 'denied' })
})

test('what is named without being known is short in the log', () => {
  const outcome = ask(['Remote-User', 'x'.repeat(10_000)])
  expect(outcome).toMatchObject({ status: 'denied' })
  expect(JSON.stringify(outcome).length).toBeLessThan(300)
})

test('is a credential of every client, also of those from whom it means nothing', () => {
  expect(method.credential?.isHeader?.('remote-user', 'x')).toBe(true)
  expect(method.credential?.isHeader?.('accept', 'x')).toBe(false)
})
