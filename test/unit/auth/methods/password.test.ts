import { expect, test } from '@jest/globals'
import { createPasswordMethod } from '../../../../src/auth/methods/password.ts'
import type { PasswordCheck } from '../../../../src/auth/passwords/check.ts'
import type { Identity, Outcome } from '../../../../src/types.ts'
import { accepted, ada, basic, bob, caller, denied } from '../support.ts'

/** Each knows one name with one password. */
function checkOf(name: string, secret: string, outcome: Outcome): PasswordCheck {
  const check: Partial<PasswordCheck> = {
    knows: (asked) => asked === name,
    ownerOf: (proof) => (proof === `${name}'s` ? bob : undefined),
    check: (asked, given) => (asked === name && given === secret ? outcome : denied(`no ${asked} with that`)),
  }
  return check as PasswordCheck
}

const method = createPasswordMethod({
  realm: 'r',
  check: checkOf('ada', 'of ada', accepted(ada, { proof: "ada's" })),
  loginOf: (user) => ({ [ada.id]: 'ada', ada: 'of somebody whose name is that' })[user],
  besideCertificate: {
    check: checkOf('server bob', 'beside', accepted(ada, { proof: "server bob's" })),
    keyOf: (_server, { name }) => (name === 'bob' ? 'server bob' : undefined),
  },
})

const asked = (name: string, secret: string, found?: Identity) =>
  method.authenticate(caller({ headers: ['Authorization', basic(name, secret)] }), undefined, found)

function foundBy(...methods: string[]): Identity {
  return { user: bob, methods, credential: undefined, expiresAt: Number.POSITIVE_INFINITY }
}

test('a name and its password let in, with nothing before them', async () => {
  expect(await asked('ada', 'of ada')).toMatchObject({ status: 'accepted', user: ada })
  expect(await asked('ada', 'wrong')).toMatchObject({ status: 'denied' })
  expect(method.authenticate(caller())).toEqual({ status: 'absent' })
})

test('beside a certificate the password of its user counts, whatever name is given', async () => {
  const outcome = await asked('whoever', 'beside', foundBy('certificate'))
  expect(outcome).toMatchObject({ status: 'accepted', user: bob })
  expect(await asked('ada', 'of ada', foundBy('certificate'))).toMatchObject({ status: 'denied' })
})

test('a password that is meant to stand beside a certificate is none beside anything else', async () => {
  expect(await asked('server bob', 'beside')).toMatchObject({ status: 'denied' })
  expect(await asked('whoever', 'beside', foundBy('api-key'))).toMatchObject({ status: 'denied' })
})

test('of a password beside a certificate the certificate says whose it is, and none of the other kind can be taken for it', async () => {
  const { proof } = (await asked('x', 'beside', foundBy('certificate'))) as { proof: string }
  for (const user of [ada, bob]) expect(method.ownerOf?.(proof, user)).toBe(user)
  expect(method.ownerOf?.("server bob's", bob)).toBeUndefined()
  expect(method.ownerOf?.("ada's", ada)).toBe(bob)
})

test('a client of the Identity API names the user by id or by login name', async () => {
  const payload = (user: object) => ({ user: { ...user, password: 'of ada' } })
  for (const named of [{ id: ada.id }, { name: 'ada' }])
    expect(await method.authenticate(caller(), payload(named))).toMatchObject({ status: 'accepted' })
  for (const wrong of [{ id: bob.id }, { name: 5 }, {}])
    expect(await method.authenticate(caller(), payload(wrong))).toMatchObject({ status: 'denied' })
  for (const nothing of [{}, { user: { name: 'ada' } }, { user: { password: 'of ada' } }])
    expect(method.authenticate(caller(), nothing)).toMatchObject({ reason: 'no name, or no password' })
})
