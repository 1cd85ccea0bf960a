import { expect, test } from '@jest/globals'
import { ConnectionNotes, connectionOf } from '../../src/connection-notes.ts'
import { fakeConnection } from '../support/fake-connection.ts'

test('a note is that of its kind and its connection', () => {
  const [one, other] = [new ConnectionNotes<string>(), new ConnectionNotes<string>()]
  const [ada, bob] = [fakeConnection(), fakeConnection()]
  one.set(ada, 'ada')
  other.set(ada, 'other')
  one.set(bob, 'bob')
  expect([one.get(ada), other.get(ada), one.get(bob), other.get(bob)]).toEqual(['ada', 'other', 'bob', undefined])
  one.set(ada, 'again')
  expect([one.get(ada), other.get(ada)]).toEqual(['again', 'other'])
})

test('what was noted for a connection does not hold for the same one with other facts', () => {
  const notes = new ConnectionNotes<string>()
  const before = fakeConnection({ verification: { result: 'SUCCESS' } })
  notes.set(before, 'SUCCESS')
  const after = connectionOf({ ...before, verification: { result: 'NONE' } })
  expect(notes.get(after)).toBeUndefined()
  notes.set(after, 'NONE')
  expect([notes.get(before), notes.get(after)]).toEqual(['SUCCESS', 'NONE'])
  // Nor where somebody copies it by hand: such a copy has no notes at all.
  const copy = Object.freeze({ ...before })
  notes.set(copy, 'nobody')
  expect(notes.get(copy)).toBeUndefined()
})

test('the facts of a connection cannot be changed', () => {
  const connection = fakeConnection()
  expect(Object.isFrozen(connection)).toBe(true)
})
