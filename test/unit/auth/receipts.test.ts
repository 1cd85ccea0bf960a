import { describe, expect, test } from '@jest/globals'
import { createReceipts, type Progress, readReceiptHeader } from '../../../src/auth/receipts.ts'
import { createUsers } from '../../../src/identity/users.ts'
import type { Identity } from '../../../src/types.ts'
import { fakeCertificate, fakeConnection } from '../../support/fake-connection.ts'
import fc from '../../support/random.ts'
import { ada, caller } from './support.ts'

const key = Buffer.alloc(32, 7)
const nobody = createUsers([])
const receipts = createReceipts({ key, ttl: 300_000, users: nobody })
const identity = (more: Partial<Identity> = {}): Identity => ({
  ...{ user: ada, methods: ['password'], credential: 'c1', expiresAt: Number.POSITIVE_INFINITY },
  ...more,
})
const shown = (fingerprint: string) => ({ certificate: fakeCertificate({ fingerprintSha256: fingerprint.repeat(32) }) })
const open = (id: string, made = receipts) => made.open(id, caller(), undefined)

describe('a receipt', () => {
  test('says again what was passed', () => {
    const { id, issuedAt, expiresAt } = receipts.issue(identity({ attributes: { project_id: 'p' } }), fakeConnection())
    expect(open(id)).toEqual({
      ...{ user: ada, methods: ['password'], inherited: undefined, credential: 'c1', attributes: { project_id: 'p' } },
      validUntil: expiresAt,
    })
    expect(expiresAt - issuedAt).toBe(300_000)
  })

  test('ends after its time, and no later than what it attests', () => {
    const brief = createReceipts({ key, ttl: 0, users: nobody })
    expect(() => open(brief.issue(identity(), fakeConnection()).id)).toThrow(/has expired/)
    const until = Date.now() + 1000
    const { id, expiresAt } = receipts.issue(identity({ expiresAt: until }), fakeConnection())
    expect([expiresAt, (open(id) as { expiresAt: number }).expiresAt]).toEqual([until, until])
  })

  test('that is given for another one ends with it', () => {
    const before = open(receipts.issue(identity(), fakeConnection()).id) as Progress
    const longer = createReceipts({ key, ttl: 600_000, users: nobody })
    const { expiresAt } = longer.issue(identity(), fakeConnection(), before)
    expect(expiresAt).toBe(before.validUntil)
  })

  test('is good only with the certificate that was shown, and only without one where none was', () => {
    const bound = receipts.issue(identity(), fakeConnection(shown('ab'))).id
    const free = receipts.issue(identity(), fakeConnection()).id
    const as = (id: string, fingerprint: string | undefined) => () =>
      receipts.open(id, caller({ connection: fingerprint ? shown(fingerprint) : {} }), undefined)
    expect(as(bound, 'ab')()).toMatchObject({ user: { id: ada.id } })
    for (const thief of [as(bound, 'cd'), as(bound, undefined), as(free, 'ab')]) {
      expect(thief).toThrow(/another certificate/)
    }
  })

  test('of a user of the configuration ends with that user', () => {
    const users = createUsers([{ id: 'u1', name: 'ada', custom_id: undefined, groups: [] }])
    const known = createReceipts({ key, ttl: 300_000, users })
    const { id } = known.issue(identity({ user: users.byId('u1') }), fakeConnection())
    expect(open(id, known)).toMatchObject({ user: users.byId('u1') })
    expect(() => open(id)).toThrow(/of a user who is gone/)
  })

  test('is nothing for nobody', () => {
    expect(() => receipts.issue(identity({ user: undefined }), fakeConnection())).toThrow(/GW_INTERNAL/)
  })
})

describe('what is no receipt of ours', () => {
  const { id } = receipts.issue(identity(), fakeConnection())
  const [text = '', signature = ''] = id.split('.')

  test.each([
    ['nothing', ''],
    ['no signature', text],
    ['an empty signature', `${text}.`],
    ['a short signature', `${text}.${signature.slice(0, -4)}`],
    ['three parts', `${id}.${signature}`],
    ['another content', `${Buffer.from('{"sub":"root"}').toString('base64url')}.${signature}`],
    ['much', `${'A'.repeat(9000)}.${signature}`],
    [
      'of another key',
      createReceipts({ key: Buffer.alloc(32, 8), ttl: 300_000, users: nobody }).issue(identity(), fakeConnection()).id,
    ],
  ])('%s is refused', (_, forged) => {
    expect(() => open(forged)).toThrow(/GW_UNAUTHENTICATED/)
  })

  test('no change of a letter passes', () => {
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.constantFrom('A', 'z', '0', '-', '_', '=', '.'), (at, letter) => {
        fc.pre(text[at] !== letter)
        expect(() => open(`${text.slice(0, at)}${letter}${text.slice(at + 1)}.${signature}`)).toThrow(
          /GW_UNAUTHENTICATED/,
        )
      }),
    )
  })
})

test('a request has one receipt, in any letter case, or none', () => {
  expect(readReceiptHeader(['Accept', '*/*'])).toBeUndefined()
  expect(readReceiptHeader(['OPENSTACK-AUTH-RECEIPT', 'x'])).toBe('x')
  expect(() => readReceiptHeader(['Openstack-Auth-Receipt', 'x', 'openstack-auth-receipt', 'x'])).toThrow(/only one/)
})
