import { expect, test } from '@jest/globals'
import { Lockout } from '../../../../src/auth/lockout.ts'
import { createTotpMethod, decodeBase32, type TotpOptions, totp } from '../../../../src/auth/methods/totp.ts'
import { createUsers } from '../../../../src/identity/users.ts'
import { MemoryStore } from '../../../../src/store/memory.ts'
import type { Identity } from '../../../../src/types.ts'
import { totpCode } from '../../../support/totp.ts'
import { ada, bob, caller } from '../support.ts'

// RFC 6238 appendix B, of which six digits are used.
test.each([
  [59, '287082'],
  [1111111109, '081804'],
  [1111111111, '050471'],
  [1234567890, '005924'],
  [2000000000, '279037'],
  [20000000000, '353130'],
])('at %d seconds the code is %s', (seconds, code) => {
  expect(totp(Buffer.from('12345678901234567890'), Math.floor(seconds / 30))).toBe(code)
})

// RFC 4648 10.
test.each([
  ['MY======', 'f'],
  ['MZXW6===', 'foo'],
  ['MZXW6YTBOI======', 'foobar'],
  ['mzxw 6ytb oi', 'foobar'],
  ['MZXW-6YTB-OI', 'foobar'],
])('%s is base32 of %s', (text, bytes) => {
  expect(decodeBase32(text)?.toString()).toBe(bytes)
})

test.each(['', '===', 'MZXW6Y1', 'MZ=XW', 'M&', 'ÄÖ'])('"%s" is no base32', (text) => {
  expect(decodeBase32(text)).toBeUndefined()
})

const SECRET = 'JBSWY3DPEHPK3PXP'
const NOW = 1_700_000_010_000
const key = Buffer.alloc(32)

function made(options: Partial<TotpOptions> = {}) {
  const store = new MemoryStore(1000)
  const secrets = new Map([
    [ada.id, [Buffer.from('another secret'), decodeBase32(SECRET) as Buffer]],
    [bob.id, [Buffer.from('the secret of bob')]],
  ])
  const users = {
    byName: (name: string) => [ada, bob].find((user) => user.name === name),
    byId: (id: string) => [ada, bob].find((user) => user.id === id),
    isDisabled: () => false,
    isIdOfAnother: () => false,
  }
  const lockout = new Lockout(store, { attempts: 5, window: 60_000, backoff: 60_000, maxBackoff: 60_000, key })
  return createTotpMethod({
    ...{ realm: 'r', header: 'X-OTP', previousWindows: 1, users, secrets, store, lockout, now: () => NOW },
    ...options,
  })
}

function make(options: Partial<TotpOptions> = {}) {
  const method = made(options)
  return (payload: object) => method.authenticate(caller(), payload)
}

const byKeystone = (user: object, passcode: string) => ({ user: { ...user, passcode } })

test('a client of the Identity API names the user, by id or by name; any of several generators counts', async () => {
  const proof = expect.stringMatching(/^[\w+/]{43}=$/)
  for (const named of [{ id: ada.id }, { name: 'ada' }]) {
    const outcome = await make()(byKeystone(named, totpCode(SECRET, 0, NOW)))
    expect(outcome).toEqual({ status: 'accepted', user: ada, proof })
  }
})

test.each([
  ['30 seconds ago, by default', -1, 1, 'accepted'],
  ['30 seconds ago, without previous windows', -1, 0, 'denied'],
  ['2 minutes ago', -4, 1, 'denied'],
  ['2 minutes ago, with four previous windows', -4, 4, 'accepted'],
  ['in 30 seconds', 1, 4, 'denied'],
])('the code of %s', async (_, steps, previousWindows, status) => {
  expect(await make({ previousWindows })(byKeystone({ id: ada.id }, totpCode(SECRET, steps, NOW)))).toMatchObject({
    status,
  })
})

test('no code counts twice, not even at the same moment', async () => {
  const check = make()
  const code = byKeystone({ id: ada.id }, totpCode(SECRET, 0, NOW))
  const outcomes = await Promise.all([check(code), check(code)])
  expect(outcomes.map(({ status }) => status).sort()).toEqual(['accepted', 'denied'])
  expect(await check(code)).toMatchObject({ status: 'denied', reason: 'the code of ada was used already' })
})

test("another user's code is wrong", async () => {
  expect(await make()(byKeystone({ id: bob.id }, totpCode(SECRET, 0, NOW)))).toMatchObject({ status: 'denied' })
})

test.each([
  [{}],
  [{ user: 5 }],
  [{ user: { id: 'nobody', passcode: '123456' } }],
  [{ user: { id: ada.id, passcode: 123456 } }],
])('%j is denied', async (payload) => {
  expect(await make()(payload)).toMatchObject({ status: 'denied' })
})

test('a million codes cannot be tried: after five the right one must wait too', async () => {
  const check = make()
  for (let i = 0; i < 5; i++) await check(byKeystone({ id: ada.id }, `00000${i}`))
  expect(await check(byKeystone({ id: ada.id }, totpCode(SECRET, 0, NOW)))).toMatchObject({
    status: 'denied',
    headers: ['Retry-After', '60'],
  })
})

test('nobody learns who is there, or has a generator: whoever is not there waits as long', async () => {
  const check = make({ secrets: new Map() })
  for (const name of ['ada', 'nobody']) {
    for (let i = 0; i < 5; i++) expect(await check(byKeystone({ name }, '000000'))).not.toHaveProperty('headers')
    expect(await check(byKeystone({ name }, '000000'))).toMatchObject({
      status: 'denied',
      headers: ['Retry-After', '60'],
    })
  }
})

test('two codes in one request are denied, even where one of them is right', async () => {
  const found: Identity = { user: ada, methods: ['password'], credential: undefined, expiresAt: NOW }
  const asked = (...codes: string[]) =>
    made().authenticate(caller({ headers: codes.flatMap((code) => ['X-OTP', code]) }), undefined, found)
  const right = totpCode(SECRET, 0, NOW)
  expect(await asked(right)).toMatchObject({ status: 'accepted' })
  for (const codes of [
    ['000000', right],
    [right, '000000'],
    [right, right],
  ])
    expect(await asked(...codes)).toEqual({ status: 'denied', reason: 'more than one X-OTP' })
})

test('a right code takes back the wrong ones before it', async () => {
  const check = make()
  for (const steps of [-1, 0]) {
    for (let i = 0; i < 4; i++) await check(byKeystone({ id: ada.id }, `00000${i}`))
    expect(await check(byKeystone({ id: ada.id }, totpCode(SECRET, steps, NOW)))).toMatchObject({ status: 'accepted' })
  }
})

test.each(['12345', '1234567', '12345x', '１２３４５６'])('“%s” is no code', async (code) => {
  expect(await make()(byKeystone({ id: ada.id }, code))).toEqual({
    status: 'denied',
    reason: 'the code is not six digits',
  })
})

test('what a code let in goes on while its generator is the user’s', async () => {
  const method = made()
  const outcome = await method.authenticate(caller(), byKeystone({ id: ada.id }, totpCode(SECRET, 0, NOW)))
  const { proof } = outcome as { proof: string }
  expect(method.ownerOf?.(proof, ada)).toBe(ada)
  expect(method.ownerOf?.(proof, bob)).toBeUndefined()
  expect(made({ secrets: new Map([[ada.id, [Buffer.from('a new one')]]]) }).ownerOf?.(proof, ada)).toBeUndefined()
  expect(made({ secrets: new Map() }).ownerOf?.(proof, ada)).toBeUndefined()
})

test('whoever gives no code has said nothing, and the header of a code is kept from the backend', () => {
  const found: Identity = { user: ada, methods: ['password'], credential: undefined, expiresAt: NOW }
  expect(made().authenticate(caller(), undefined, found)).toEqual({ status: 'absent' })
  const { isHeader } = made().credential ?? {}
  expect([isHeader?.('x-otp', ''), isHeader?.('x-other', '')]).toEqual([true, false])
})

test('a code of nobody in particular says nothing', () => {
  const store = new MemoryStore(10)
  const method = createTotpMethod({
    ...{ realm: 'r', header: 'X-OTP', previousWindows: 1, secrets: new Map(), store },
    users: createUsers([]),
    lockout: new Lockout(store, { attempts: 0, window: 1, backoff: 1, maxBackoff: 1, key }),
  })
  const nobody: Identity = { user: undefined, methods: [], credential: undefined, expiresAt: 0 }
  expect(method.authenticate(caller({ headers: ['X-OTP', '123456'] }), undefined, nobody)).toEqual({ status: 'absent' })
})
