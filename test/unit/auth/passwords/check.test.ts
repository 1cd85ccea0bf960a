import { describe, expect, test } from '@jest/globals'
import { encrypt } from 'unixcrypt'
import { Lockout } from '../../../../src/auth/lockout.ts'
import { PasswordCheck, type PasswordCheckOptions } from '../../../../src/auth/passwords/check.ts'
import { matches } from '../../../../src/auth/passwords/hash.ts'
import { Hasher } from '../../../../src/auth/passwords/hasher.ts'
import { MemoryStore } from '../../../../src/store/memory.ts'
import { ada, bob } from '../support.ts'

// As `openssl passwd -5` writes it, with the fewest rounds.
const hash = encrypt('right', '$5$rounds=1000$salt')

/** Counts the hashes that are computed, and how costly each is: the work, where a clock would only guess. */
class CountingHasher extends Hasher {
  readonly costs: string[] = []

  constructor() {
    super({ threads: 1, queue: 100 })
  }

  override async matches(password: string, text: string): Promise<boolean> {
    this.costs.push(text.slice(0, text.indexOf('$', 4)))
    return matches(password, text)
  }
}

function make(options: Partial<PasswordCheckOptions> = {}, attempts = 0) {
  const hasher = new CountingHasher()
  const lockout = new Lockout(new MemoryStore(10_000), {
    attempts,
    window: 60_000,
    backoff: 60_000,
    maxBackoff: 60_000,
    key: Buffer.alloc(32),
  })
  const entries = new Map([
    ['ada', { user: ada, hash, credential: 'ada-login' }],
    ['bob', { user: bob, hash, credential: undefined }],
  ])
  return { hasher, check: new PasswordCheck({ kind: 'password', entries, hasher, lockout, remember: 0, ...options }) }
}

test('the right password is accepted, with the name of the credential', async () => {
  expect(await make().check.check('ada', 'right')).toEqual({
    ...{ status: 'accepted', user: ada, credential: 'ada-login', proof: expect.stringMatching(/^ada\0[\w+/]{43}=$/) },
  })
})

test.each([
  ['ada', 'wrong', 'wrong password for "ada"'],
  ['ADA', 'right', 'nobody is named "ADA"'],
  ['ada', '', 'wrong password for "ada"'],
  ['ada', 'x'.repeat(1025), 'the password is too long'],
  ['__proto__', 'right', 'nobody is named "__proto__"'],
])('%s with %s is denied', async (name, password, reason) => {
  expect(await make().check.check(name, password)).toEqual({ status: 'denied', reason })
})

describe('a name that is not there', () => {
  test('costs one hash as costly as those of users', async () => {
    const { check, hasher } = make()
    await check.check('ada', 'wrong')
    await check.check('nobody', 'wrong')
    expect(hasher.costs).toHaveLength(2)
    expect(hasher.costs[1]).toBe(hasher.costs[0])
  })

  test('costs a hash even where nobody has a password', async () => {
    const { check, hasher } = make({ entries: new Map() })
    await check.check('nobody', 'x')
    expect(hasher.costs).toEqual(['$argon2id'])
  })
})

describe('a password that was right', () => {
  test('is hashed again once its time is over', async () => {
    const { check, hasher } = make({ remember: 1 })
    await check.check('ada', 'right')
    const known = Date.now()
    while (Date.now() < known + 2) await new Promise((resolve) => setTimeout(resolve, 1))
    await check.check('ada', 'right')
    expect(hasher.costs).toHaveLength(2)
  })

  test('is not hashed again for a while, and gives the same outcome', async () => {
    const { check, hasher } = make({ remember: 60_000 })
    const first = await check.check('ada', 'right')
    expect(check.check('ada', 'right')).toBe(first)
    expect(hasher.costs).toHaveLength(1)
  })

  test('says nothing about another one, or about another user', async () => {
    const { check, hasher } = make({ remember: 60_000 })
    await check.check('ada', 'right')
    expect(await check.check('ada', 'wrong')).toMatchObject({ status: 'denied' })
    expect(await check.check('bob', 'right')).toMatchObject({ user: bob })
    expect(hasher.costs).toHaveLength(3)
  })
})

describe('guessing', () => {
  test('after a few attempts even the right password must wait', async () => {
    const { check, hasher } = make({}, 3)
    for (let i = 0; i < 3; i++) await check.check('ada', `guess ${i}`)
    expect(await check.check('ada', 'right')).toEqual({
      status: 'denied',
      reason: 'too many attempts for "ada"',
      headers: ['Retry-After', '60'],
    })
    expect(hasher.costs).toHaveLength(3)
  })

  test('many at once are no way around it', async () => {
    const { check, hasher } = make({}, 3)
    await Promise.all(Array.from({ length: 50 }, (_, i) => check.check('ada', `guess ${i}`)))
    expect(hasher.costs).toHaveLength(3)
  })

  test('is locked out alike where the name is not there', async () => {
    const { check, hasher } = make({}, 3)
    const outcomes = []
    for (let i = 0; i < 4; i++) outcomes.push(await check.check('nobody', `guess ${i}`))
    expect(outcomes[3]).toMatchObject({ headers: ['Retry-After', '60'] })
    expect(hasher.costs).toHaveLength(3)
  })

  test('overload counts as no attempt: who was never heard is not locked out', async () => {
    const hasher = new Hasher({ threads: 1, queue: 1 })
    const { check } = make({ hasher }, 3)
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => check.check('ada', 'right')))
    const refused = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason.code] : []))
    expect(refused).toEqual(Array.from({ length: 18 }, () => 'GW_OVERLOADED'))
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(2)
    expect(await check.check('ada', 'right')).toMatchObject({ status: 'accepted' })
  })

  test('one user does not lock out another', async () => {
    const { check } = make({}, 3)
    for (let i = 0; i < 5; i++) await check.check('ada', 'guess')
    expect(await check.check('bob', 'right')).toMatchObject({ user: bob })
  })

  test('the right password wipes the failures out', async () => {
    const { check } = make({}, 3)
    for (let i = 0; i < 6; i++) {
      await check.check('ada', 'guess')
      expect(await check.check('ada', 'right')).toMatchObject({ status: 'accepted' })
    }
  })

  test('what was right before the guessing goes on being let in', async () => {
    const { check } = make({ remember: 60_000 }, 3)
    await check.check('ada', 'right')
    for (let i = 0; i < 5; i++) await check.check('ada', 'guess')
    expect(await check.check('ada', 'right')).toMatchObject({ status: 'accepted' })
  })
})

test('what was right stands for its user until the name, the hash or the end is another', async () => {
  const outcome = await make().check.check('ada', 'right')
  const proof = outcome.status === 'accepted' ? (outcome.proof ?? '') : ''
  const ownerIn = (entries: PasswordCheckOptions['entries']) => make({ entries }).check.ownerOf(proof)
  const entry = { user: ada, hash, credential: undefined }
  expect(ownerIn(new Map([['ada', entry]]))).toBe(ada)
  expect(ownerIn(new Map([['bob', entry]]))).toBeUndefined()
  expect(ownerIn(new Map([['ada', { ...entry, hash: encrypt('right', '$5$rounds=1000$other') }]]))).toBeUndefined()
  expect(ownerIn(new Map([['ada', { ...entry, expiresAt: Date.now() - 1 }]]))).toBeUndefined()
})
