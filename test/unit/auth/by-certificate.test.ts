import { describe, expect, test } from '@jest/globals'
import { type ChainOptions, createChain } from '../../../src/auth/chain.ts'
import { createReceipts } from '../../../src/auth/receipts.ts'
import { createUsers } from '../../../src/identity/users.ts'
import type { AuthMethod, Outcome } from '../../../src/types.ts'
import { absent, accepted, ada, caller, denied, method } from './support.ts'

const receipts = createReceipts({ key: Buffer.alloc(32, 7), ttl: 300_000, users: createUsers([]) })

/** A chain whose first rule is the certificate alone, which says what stands in `says`. */
function setUp(first: Outcome | Promise<Outcome>, options: Partial<ChainOptions> = {}, ...others: AuthMethod[]) {
  const says = { outcome: first as Outcome | Promise<Outcome> | Error }
  const certificate = method('certificate', () => {
    if (says.outcome instanceof Error) throw says.outcome
    return says.outcome
  })
  const { authenticate } = createChain({
    rules: [[certificate], ...others.map((each) => [each])],
    ...{ anonymous: false, receipts, certificate, methodNamed: () => undefined, multiFactor: () => [] },
    describe: ({ id, name }) => ({ id, name }),
    ...options,
  })
  return { says, certificate, authenticate: () => authenticate(caller()) }
}

describe('a certificate that lets in by itself', () => {
  test('is asked about once per request, and is the same identity each time', () => {
    const { authenticate, certificate } = setUp(accepted(ada))
    const first = authenticate()
    expect(first).toMatchObject({ user: ada, methods: ['certificate'] })
    expect(authenticate()).toBe(first)
    expect(certificate.asked).toHaveLength(2)
  })

  test('lets nobody in any more once it says something else', () => {
    const { authenticate, says } = setUp(accepted(ada))
    authenticate()
    for (const other of [denied(), absent, new Error('down')]) {
      says.outcome = other
      expect(() => authenticate()).toThrow()
    }
  })

  test('lets nobody in any more once it has expired', () => {
    const { authenticate } = setUp(accepted(ada, { expiresAt: Date.now() + 50 }))
    authenticate()
    const now = Date.now
    try {
      Date.now = () => now() + 1000
      expect(() => authenticate()).toThrow('expired')
    } finally {
      Date.now = now
    }
  })

  test('may be waited for, and may leave it to the next rule', async () => {
    const { authenticate, certificate } = setUp(Promise.resolve(denied()), {}, method('api-key', accepted(ada)))
    expect(await authenticate()).toMatchObject({ methods: ['api-key'] })
    expect(certificate.asked).toHaveLength(1)
  })
})

describe('a certificate that is not enough', () => {
  test('is not enough at the second request either: a password of the mapped user', () => {
    const { authenticate } = setUp(accepted(ada, { requires: ['password'] }), {
      methodNamed: (name) => (name === 'password' ? method('password', absent) : undefined),
    })
    for (let i = 0; i < 3; i++) expect(() => authenticate()).toThrow()
  })

  test('nor after a password that was right: it has to come with each request', () => {
    const says = { outcome: accepted(ada) }
    const { authenticate } = setUp(accepted(ada, { requires: ['password'] }), {
      methodNamed: () => method('password', () => says.outcome),
    })
    expect(authenticate()).toMatchObject({ methods: ['certificate', 'password'] })
    says.outcome = absent
    expect(() => authenticate()).toThrow()
  })

  test('nor where the user must pass more than one method', () => {
    const { authenticate } = setUp(accepted(ada), {
      multiFactor: () => [['certificate', 'totp']],
      methodNamed: (name) => (name === 'totp' ? method('totp', absent) : undefined),
    })
    for (let i = 0; i < 3; i++) expect(() => authenticate()).toThrow()
  })
})
