import { expect, test } from '@jest/globals'
import { createApplicationCredentialMethod } from '../../../../src/auth/methods/application-credential.ts'
import type { PasswordCheck } from '../../../../src/auth/passwords/check.ts'
import { accepted, ada, basic, caller, denied } from '../support.ts'

const check: Partial<PasswordCheck> = {
  ownerOf: (proof) => (proof === 'the proof' ? ada : undefined),
  check: (id, secret) => (id === 'c1' && secret === 's' ? accepted(ada) : denied(`no ${id} with that`)),
}
const method = createApplicationCredentialMethod({
  ...{ check: check as PasswordCheck, realm: 'r' },
  idOf: (name, owner) => (name === 'backup' && (owner === 'ada' || owner === ada.id) ? 'c1' : undefined),
})

const asked = (payload: object) => method.authenticate(caller(), payload)

test('a program shows its id and secret, or its name and owner', () => {
  for (const named of [
    { id: 'c1' },
    { name: 'backup', user: { name: 'ada' } },
    { name: 'backup', user: { id: ada.id } },
  ]) {
    expect(asked({ ...named, secret: 's' })).toMatchObject({ status: 'accepted', user: ada })
    expect(asked({ ...named, secret: 'wrong' })).toMatchObject({ reason: 'no c1 with that' })
    expect(asked(named)).toMatchObject({ reason: 'no id, or no secret' })
  }
  const headers = ['Authorization', basic('c1', 's')]
  expect(method.authenticate(caller({ headers }))).toMatchObject({ status: 'accepted', user: ada })
  expect(method.authenticate(caller())).toEqual({ status: 'absent' })
})

test('a name without its owner names nothing, and an unknown one is looked up like a known one', () => {
  for (const nothing of [{}, { name: 'backup' }, { user: { name: 'ada' } }])
    expect(asked({ ...nothing, secret: 's' })).toMatchObject({ reason: 'no id, or no secret' })
  expect(asked({ name: 'backup', user: { name: 'bob' }, secret: 's' })).toMatchObject({
    reason: 'no bob/backup with that',
  })
})
