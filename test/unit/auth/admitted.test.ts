import { describe, expect, test } from '@jest/globals'
import { Admitted } from '../../../src/auth/admitted.ts'
import { agree, identityOf } from '../../../src/auth/agreement.ts'
import type { AuthMethod, Identity, User } from '../../../src/types.ts'
import { absent, ada, method, user } from './support.ts'

type Owner = User | undefined | Promise<User | undefined>

const letIn = (more: object = {}): Identity =>
  identityOf('key', { status: 'accepted', user: ada, proof: 'the key', ...more })

function objection(identity: Identity | undefined, ownerOf: ((proof: string, who: User) => Owner) | undefined) {
  const admitted = new Admitted()
  const socket = {}
  if (identity) admitted.note({ socket }, identity)
  const key: AuthMethod = { ...method('key', absent), ...(ownerOf && { ownerOf }) }
  return admitted.objection(socket, new Map([['key', key]]))
}

describe('what a connection carries', () => {
  test('may go on while its credential is the same user’s', async () => {
    const asked: unknown[] = []
    const ownerOf = (proof: string, who: User) => {
      asked.push([proof, who])
      return user('ada')
    }
    expect(objection(letIn(), ownerOf)).toBeUndefined()
    expect(asked).toEqual([['the key', ada]])
    expect(await objection(letIn(), async () => ada)).toBeUndefined()
  })

  test('is nobody’s concern where nobody was asked, or nothing can be asked about', () => {
    const never = () => undefined
    expect(objection(undefined, never)).toBeUndefined()
    expect(objection({ ...letIn(), user: undefined }, never)).toBeUndefined()
    expect(objection(identityOf('certificate', { status: 'accepted', user: ada }), never)).toBeUndefined()
  })

  test.each<[string, Owner]>([
    ['of nobody', undefined],
    ['of somebody else', user('bob')],
    ['of nobody, as is learned later', Promise.resolve(undefined)],
  ])('ends with a credential %s', async (_, owner) => {
    expect(await objection(letIn(), () => owner)).toBe('the key of ada is of no use any more')
  })

  test('ends where the method is not set up any more, with other groups, and at its end', () => {
    expect(objection(letIn(), undefined)).toMatch(/of no use/)
    expect(objection(letIn(), () => user('ada', { groups: ['staff'] }))).toBe('the groups of ada are others now')
    const staff = letIn({ user: user('ada', { groups: ['staff'] }) })
    for (const groups of [['admins'], ['staff', 'admins'], []]) {
      expect(objection(staff, () => user('ada', { groups }))).toBe('the groups of ada are others now')
    }
    expect(objection(letIn({ expiresAt: Date.now() - 1 }), () => ada)).toBe('what let ada in has expired')
  })

  test.each<[string, Owner, Owner]>([
    ['at once', ada, undefined],
    ['later', Promise.resolve(ada), Promise.resolve(undefined)],
    ['at once beside one that has to be waited for', Promise.resolve(ada), undefined],
  ])('ends with either of two credentials, as is learned %s', async (_, good, bad) => {
    for (const [first, second] of [
      [good, bad],
      [bad, good],
    ]) {
      const both = agree(letIn(), 'token', { status: 'accepted', user: ada, proof: 'the token' }) as Identity
      const admitted = new Admitted()
      const socket = {}
      admitted.note({ socket }, both)
      const key: AuthMethod = { ...method('key', absent), ownerOf: () => first }
      const token: AuthMethod = { ...method('token', absent), ownerOf: () => second }
      const methods = new Map([key, token].map((each) => [each.name, each]))
      expect(await admitted.objection(socket, methods)).toMatch(/ of ada is of no use any more/)
    }
  })

  test.each([
    [letIn(), { status: 'accepted', user: ada }],
    [identityOf('certificate', { status: 'accepted', user: ada }), { status: 'accepted', user: ada, proof: 'the key' }],
  ] as const)('ends with the one credential of two methods that can', (found, outcome) => {
    expect(objection(agree(found, 'key', outcome) as Identity, () => undefined)).toMatch(/of no use/)
  })

  test('is not ended for what carried somebody before, though the answer came late', async () => {
    const admitted = new Admitted()
    const socket = {}
    admitted.note({ socket }, letIn())
    const key: AuthMethod = { ...method('key', absent), ownerOf: async () => undefined }
    const waiting = admitted.objection(socket, new Map([['key', key]]))
    admitted.note({ socket }, letIn())
    expect(await waiting).toBeUndefined()
  })

  test('is known by its request, and as long as that has not been let in nobody knows', () => {
    const admitted = new Admitted()
    const socket = {}
    const [first, second] = [{ socket }, { socket }]
    expect(admitted.identityOf(first)).toBeUndefined()
    const identity = letIn()
    admitted.note(first, identity)
    expect([admitted.identityOf(first), admitted.identityOf(second)]).toEqual([identity, undefined])
    admitted.note(second, identity)
    expect([admitted.identityOf(first), admitted.identityOf(second)]).toEqual([undefined, identity])
  })

  test('nobody can tell where the method cannot', async () => {
    const away = new Error('away')
    expect(() =>
      objection(letIn(), () => {
        throw away
      }),
    ).toThrow(away)
    await expect(objection(letIn(), () => Promise.reject(away))).rejects.toBe(away)
  })
})
