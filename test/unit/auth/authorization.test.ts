import { describe, expect, test } from '@jest/globals'
import { type Condition, createAuthorization, type Limits } from '../../../src/auth/authorization.ts'
import { NOBODY } from '../../../src/auth/chain.ts'
import type { CertificateFacts } from '../../../src/tls-cert-utils/certificate.ts'
import type { Identity } from '../../../src/types.ts'
import { fakeCertificate } from '../../support/fake-connection.ts'
import { caller, user } from './support.ts'

const CERTIFICATE = fakeCertificate()

function identity(name: string | undefined, groups: readonly string[] = []): Identity {
  const who = name === undefined ? undefined : user(name, { groups })
  return Object.freeze({ user: who, methods: [], credential: undefined, expiresAt: Number.POSITIVE_INFINITY })
}

type Conditions = readonly Omit<Condition, 'at'>[]

function limits(at: string, { allow, deny = [] }: { allow?: Conditions; deny?: Conditions }): Limits {
  const named = (list: string, conditions: Conditions) =>
    conditions.map((each, i): Condition => ({ at: `${at}.${list}[${i}]`, ...each }))
  return { at, allow: allow && named('allow', allow), deny: named('deny', deny) }
}

function decides(rules: readonly Limits[], who: Identity, request = caller()) {
  return createAuthorization({ limits: rules, addressOf: () => '192.0.2.7' }).decide(request, who)
}

const users = (...names: string[]) => ({ users: new Set(names) })
const groups = (...names: string[]) => ({ groups: new Set(names) })

describe('who may pass', () => {
  test('one of what is allowed must hold, all of what it says', () => {
    const rules = [limits('r', { allow: [users('ada'), { ...groups('staff'), methods: new Set(['GET']) }] })]
    expect(decides(rules, identity('ada'))).toEqual({ passes: true, by: 'r.allow[0]' })
    expect(decides(rules, identity('bob', ['x', 'staff']))).toEqual({ passes: true, by: 'r.allow[1]' })
    expect(decides(rules, identity('bob', ['staff']), { ...caller(), method: 'POST' })).toEqual({
      passes: false,
      by: 'r.allow',
    })
    expect(decides(rules, identity('eve'))).toEqual({ passes: false, by: 'r.allow' })
    expect(decides(rules, identity(undefined))).toEqual({ passes: false, by: 'r.allow' })
  })

  test('deny wins over allow, of the service and of the route', () => {
    const service = limits('s', { deny: [groups('suspended')] })
    const route = limits('r', { allow: [users('ada')] })
    expect(decides([service, route], identity('ada', ['suspended']))).toEqual({ passes: false, by: 's.deny[0]' })
    expect(decides([service, route], identity('ada'))).toEqual({ passes: true, by: 'r.allow[0]' })
  })

  test('both the service and the route must allow', () => {
    const rules = [limits('s', { allow: [groups('staff')] }), limits('r', { allow: [users('ada')] })]
    expect(decides(rules, identity('ada'))).toMatchObject({ passes: false })
    expect(decides(rules, identity('bob', ['staff']))).toMatchObject({ passes: false })
    expect(decides(rules, identity('ada', ['staff']))).toMatchObject({ passes: true })
  })

  test('the empty rule denies, and so does an empty list', () => {
    for (const rules of [limits('r', { allow: [] }), limits('r', { allow: [{}] }), limits('r', { deny: [{}] })]) {
      expect(decides([rules], identity('ada'))).toMatchObject({ passes: false })
    }
  })

  test('with deny alone everybody else passes', () => {
    expect(decides([limits('r', { deny: [users('eve')] })], identity('ada'))).toMatchObject({ passes: true })
  })

  test('a certificate counts only where it is verified', () => {
    const rules = [limits('r', { allow: [{ certificate: (each: CertificateFacts) => each === CERTIFICATE }] })]
    const shown = (verification: object, certificate = CERTIFICATE) =>
      caller({ connection: { certificate, verification: verification as never } })
    expect(decides(rules, identity(undefined), shown({ result: 'SUCCESS' }))).toMatchObject({ passes: true })
    const other = shown({ result: 'SUCCESS' }, fakeCertificate())
    expect(decides(rules, identity(undefined), other)).toMatchObject({ passes: false })
    expect(decides(rules, identity(undefined), shown({ result: 'FAILED', code: 'X', reason: '' }))).toMatchObject({
      passes: false,
    })
    expect(decides(rules, identity(undefined))).toMatchObject({ passes: false })
  })

  test('addresses are those that trusted proxies tell', () => {
    const only = (address: string) => [
      limits('r', { allow: [{ addresses: { has: (each: string) => each === address } }] }),
    ]
    expect(decides(only('192.0.2.7'), identity(undefined))).toMatchObject({ passes: true })
    expect(decides(only('192.0.2.1'), identity(undefined))).toMatchObject({ passes: false })
  })

  test('what does not look at the request is decided once per connection and user', () => {
    let asked = 0
    const names = { has: () => ++asked > 0 } as unknown as ReadonlySet<string>
    const authorization = createAuthorization({
      limits: [limits('r', { allow: [{ users: names }] })],
      addressOf: () => '',
    })
    const request = caller()
    const ada = identity('ada')
    for (let i = 0; i < 3; i++) authorization.authorize(request, ada)
    expect(asked).toBe(1)
    authorization.authorize(request, identity('bob'))
    expect(asked).toBe(2)
  })

  test('one denial that looks at the request is enough for each request to be looked at', () => {
    const rules = [limits('r', { allow: [users('ada')], deny: [groups('x'), { methods: new Set(['DELETE']) }] })]
    const { decide } = createAuthorization({ limits: rules, addressOf: () => '' })
    const [request, ada] = [caller(), identity('ada')]
    expect(decide(request, ada).passes).toBe(true)
    expect(decide({ ...request, method: 'DELETE' }, ada)).toEqual({ passes: false, by: 'r.deny[1]' })
  })

  test('whoever is named anywhere, if only in a denial, has to say who he is', () => {
    const needsUser = (conditions: { allow?: Conditions; deny?: Conditions }) =>
      createAuthorization({ limits: [limits('r', conditions)], addressOf: () => '' }).needsUser
    const methods = { methods: new Set(['GET']) }
    expect(needsUser({ allow: [methods, users('ada')] })).toBe(true)
    expect(needsUser({ deny: [methods, users('eve')] })).toBe(true)
    expect(needsUser({ deny: [groups('suspended'), methods] })).toBe(true)
    expect(needsUser({ allow: [methods] })).toBe(false)
  })

  test('a denial is 403 and names the setting in the log only', () => {
    const { authorize } = createAuthorization({ limits: [limits('r', { allow: [] })], addressOf: () => '' })
    expect(() => authorize(caller(), identity('ada'))).toThrow(
      expect.objectContaining({ code: 'GW_FORBIDDEN', detail: 'r.allow does not let ada pass' }),
    )
    expect(() => authorize(caller(), NOBODY)).toThrow(
      expect.objectContaining({ detail: 'r.allow does not let this caller, who is no user, pass' }),
    )
  })
})

test.each<[string, (answer: () => boolean) => Conditions[number]]>([
  ['times', (answer) => ({ times: answer })],
  ['addresses', (answer) => ({ addresses: { has: answer } })],
  ['methods', (answer) => ({ methods: { has: answer } as never })],
])('%s are looked at for each request of a connection', (_, condition) => {
  let holds = true
  const rules = [limits('r', { allow: [condition(() => holds)] })]
  const { decide } = createAuthorization({ limits: rules, addressOf: () => '192.0.2.7' })
  const [request, who] = [caller(), identity('ada')]
  expect(decide(request, who).passes).toBe(true)
  holds = false
  expect(decide(request, who).passes).toBe(false)
})
