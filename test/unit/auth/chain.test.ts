import { describe, expect, test } from '@jest/globals'
import { ANONYMOUS, type ChainOptions, createChain, NOBODY } from '../../../src/auth/chain.ts'
import { createReceipts, type Progress } from '../../../src/auth/receipts.ts'
import { GatewayError } from '../../../src/errors.ts'
import { createUsers } from '../../../src/identity/users.ts'
import type { AuthMethod, Caller, Identity, Outcome } from '../../../src/types.ts'
import { absent, accepted, ada, bob, caller, denied, method, user } from './support.ts'

const users = createUsers([])
const ANONYMOUS_ADA = { user: ada, methods: ['password'], credential: undefined, expiresAt: Number.POSITIVE_INFINITY }
const receipts = createReceipts({ key: Buffer.alloc(32, 7), ttl: 300_000, users })
const certificate = method('certificate', absent)

function chain(rules: readonly (readonly AuthMethod[])[], options: Partial<ChainOptions> = {}) {
  const made = chainOf(rules, options)
  return (who: Caller = caller()) => made.authenticate(who)
}

function chainOf(rules: readonly (readonly AuthMethod[])[], options: Partial<ChainOptions> = {}) {
  return createChain({
    rules,
    ...{
      anonymous: false,
      receipts,
      certificate,
      methodNamed: () => undefined,
      multiFactor: () => [],
      describe: ({ id, name }) => ({ id, name }),
    },
    ...options,
  })
}

async function refusalOf(run: () => Identity | Promise<Identity>): Promise<GatewayError> {
  try {
    await run()
  } catch (error) {
    if (error instanceof GatewayError) return error
    throw error
  }
  throw new Error('nobody was refused')
}

const schemesOf = ({ headers }: GatewayError) =>
  headers.flatMap((value, i) => (headers[i - 1] === 'WWW-Authenticate' ? [value] : []))

const receiptOf = ({ headers }: GatewayError) => headers[headers.indexOf('Openstack-Auth-Receipt') + 1] as string

describe('one rule', () => {
  test('lets in whom its method accepts, without waiting for anything', () => {
    const identity = chain([[method('certificate', accepted(ada, { credential: 'c1' }))]])()
    expect(identity).toEqual({
      user: ada,
      methods: ['certificate'],
      credential: 'c1',
      expiresAt: Number.POSITIVE_INFINITY,
    })
  })

  test('gives the same object for the same outcome, so that what follows from it is made once', () => {
    const authenticate = chain([[method('certificate', accepted(ada))]])
    expect(authenticate()).toBe(authenticate())
  })

  test('needs all of its methods, in their order', async () => {
    const [password, code] = [method('password', accepted(ada)), method('totp', accepted(ada))]
    const identity = await chain([[password, code]])()
    expect(identity.methods).toEqual(['password', 'totp'])
    expect(code.asked[0]?.user).toBe(ada)
  })

  test('asks nobody after a method that the request says nothing to', async () => {
    const password = method('password', accepted(ada))
    await refusalOf(() => chain([[method('certificate', absent), password]])())
    expect(password.asked).toStrictEqual([])
  })

  test('asks nobody after a denial', async () => {
    const code = method('totp', accepted(ada))
    const error = await refusalOf(() => chain([[method('password', denied('wrong password')), code]])())
    expect(error).toMatchObject({ code: 'GW_UNAUTHENTICATED', detail: 'password: wrong password' })
    expect(code.asked).toStrictEqual([])
  })

  test('of no methods lets nobody in', async () => {
    expect((await refusalOf(() => chain([[]])())).code).toBe('GW_UNAUTHENTICATED')
  })

  test('takes nothing that has expired', async () => {
    const old = method('token', accepted(ada, { expiresAt: Date.now() - 1 }))
    expect((await refusalOf(() => chain([[old]])())).detail).toBe('token: has expired')
  })
})

describe('agreement', () => {
  test('two methods that find different users let nobody in', async () => {
    const error = await refusalOf(() =>
      chain([[method('certificate', accepted(ada)), method('password', accepted(bob))]])(),
    )
    expect(error).toMatchObject({
      code: 'GW_UNAUTHENTICATED',
      detail: 'password found bob, but certificate found ada',
    })
  })

  test.each(['project_id', 'domain_id', 'access_token_id'])('%s must be the same too', async (name) => {
    const by = (value: string) => accepted(ada, { attributes: { [name]: value } })
    const error = await refusalOf(() => chain([[method('one', by('a')), method('two', by('b'))]])())
    expect(error.detail).toBe(`two and one found different values of ${name}`)
    expect(await chain([[method('one', by('a')), method('two', by('a'))]])()).toMatchObject({
      attributes: { [name]: 'a' },
    })
  })

  test('what only one of them knows is no contradiction, and is kept', async () => {
    const by = (attributes?: object) => method(JSON.stringify(attributes) ?? 'none', accepted(ada, { attributes }))
    const [project, domain] = [{ project_id: 'p' }, { domain_id: 'd' }]
    for (const rule of [
      [by(project), by(domain)],
      [by(project), by(), by(domain)],
      [by(), by(domain), by(project)],
    ]) {
      expect(await chain([rule])()).toMatchObject({ attributes: { ...project, ...domain } })
    }
  })

  test('of other attributes the last counts', async () => {
    const by = (value: string) => accepted(ada, { attributes: { region: value } })
    expect(await chain([[method('one', by('a')), method('two', by('b'))]])()).toMatchObject({
      attributes: { region: 'b' },
    })
  })

  test('the earliest expiry wins', async () => {
    const [soon, late] = [Date.now() + 10_000, Date.now() + 20_000]
    const by = (expiresAt?: number) => method(`m${expiresAt}`, accepted(ada, { expiresAt }))
    expect(await chain([[by(late), by(soon), by()]])()).toMatchObject({ expiresAt: soon })
  })

  test('the methods that a token stands for are counted once each', async () => {
    const token = method('token', accepted(ada, { methods: ['password', 'totp'] }))
    expect((await chain([[token, method('password', accepted(ada))]])()).methods).toEqual(['token', 'password', 'totp'])
  })
})

describe('several rules', () => {
  test('the first that is satisfied counts', async () => {
    const rules = [
      [method('certificate', absent)],
      [method('password', accepted(bob))],
      [method('api-key', accepted(ada))],
    ]
    expect((await chain(rules)()).user).toBe(bob)
  })

  test('the first counts also on a connection where a later one, the certificate alone, let in before', () => {
    const says: { outcome: Outcome } = { outcome: absent }
    const certificate = method('certificate', accepted(ada))
    const authenticate = chain([[method('password', () => says.outcome)], [certificate]], { certificate })
    expect(authenticate()).toMatchObject({ user: ada })
    says.outcome = accepted(bob)
    expect(authenticate()).toMatchObject({ user: bob })
  })

  test('a denial of one leaves the others', async () => {
    expect((await chain([[method('certificate', denied())], [method('password', accepted(bob))]])()).user).toBe(bob)
  })

  test('ask a method that several of them name only once', async () => {
    const password = method('password', denied())
    await refusalOf(() => chain([[password], [password, method('totp', accepted(ada))]])())
    expect(password.asked).toHaveLength(1)
  })

  test('a code is asked for once for each user that the rules have found', async () => {
    const code = method('totp', denied(), { needsUser: true })
    await refusalOf(() =>
      chain([
        [method('certificate', accepted(ada)), code],
        [method('password', accepted(bob)), code],
        [method('api-key', accepted(bob)), code],
      ])(),
    )
    expect(code.asked.map((found) => found?.user?.name)).toEqual(['ada', 'bob'])
  })

  test('a 401 names a way even where only a certificate would do', async () => {
    const certificate = method('certificate', absent, { challenge: undefined })
    expect(schemesOf(await refusalOf(() => chain([[certificate]])()))).toEqual(['Certificate'])
  })

  test('a 401 names every way that is open once, one a line', async () => {
    const password = method('password', absent)
    const error = await refusalOf(() =>
      chain([[password, method('totp', absent)], [password], [method('api-key', absent)]])(),
    )
    expect(schemesOf(error)).toEqual(['password realm="test"', 'totp realm="test"', 'api-key realm="test"'])
  })
})

describe('what nobody can tell', () => {
  const broken = () => {
    throw new Error('the disk is gone')
  }

  test.each([
    ['throws', broken],
    ['rejects', async () => broken()],
  ])('a method that %s is neither a yes nor a no: 503', async (_, outcome) => {
    const error = await refusalOf(() => chain([[method('ldap', outcome)]])())
    expect(error).toMatchObject({ code: 'GW_UNDECIDED', detail: 'ldap: the disk is gone' })
  })

  test('leaves the other rules', async () => {
    expect((await chain([[method('ldap', broken)], [method('certificate', accepted(ada))]])()).user).toBe(ada)
  })

  test('beats a denial, and anonymous', async () => {
    const rules = [[method('ldap', broken)], [method('password', denied())], [method('api-key', absent)]]
    expect((await refusalOf(() => chain(rules, { anonymous: true })())).code).toBe('GW_UNDECIDED')
  })

  test('keeps the reason where the method gave one', async () => {
    const full = method('password', () => {
      throw new GatewayError('GW_OVERLOADED', 'too many wait')
    })
    expect((await refusalOf(() => chain([[full]])())).code).toBe('GW_OVERLOADED')
  })
})

describe('anonymous', () => {
  test('lets pass who says nothing', async () => {
    expect(await chain([[method('password', absent)]], { anonymous: true })()).toBe(ANONYMOUS)
  })

  test.each([
    ['denied', denied()],
    ['in the middle of several steps', { status: 'challenged', challenge: {} } as const],
  ])('does not let pass who is %s', async (_, outcome) => {
    const error = await refusalOf(() => chain([[method('password', outcome)]], { anonymous: true })())
    expect(error.code).toBe('GW_UNAUTHENTICATED')
  })
})

test('anonymous does not let pass who brings a receipt, and else says nothing', async () => {
  const password = method('password', accepted(ada))
  const begun = await refusalOf(() => chain([[password, method('totp', absent)]])())
  const brings = caller({ headers: ['Openstack-Auth-Receipt', receiptOf(begun)] })
  const error = await refusalOf(() => chain([[method('api-key', absent)]], { anonymous: true })(brings))
  expect(error.code).toBe('GW_UNAUTHENTICATED')
})

test('a method that adds to a user is not asked where none was found, and lets nobody in', async () => {
  const code = method('totp', accepted(ada), { needsUser: true })
  const error = await refusalOf(() => chain([[code], [method('password', absent), code]])())
  expect(error.code).toBe('GW_UNAUTHENTICATED')
  expect(code.asked).toStrictEqual([])
})

describe('anonymous, where an earlier method of the rule had nothing to go by', () => {
  const places = { isHeader: (name: string) => name === 'authorization', queryKeys: new Set(['apikey']) }
  const key = method('api-key', denied(), { credential: places })
  const authenticate = chain([[method('certificate', absent), key]], { anonymous: true })

  test('lets pass who says nothing', async () => {
    expect(await authenticate(caller({ headers: ['Accept', '*/*'], query: '?page=2' }))).toBe(ANONYMOUS)
  })

  test.each([
    ['a header', { headers: ['Authorization', 'Basic wrong'] }],
    ['the query', { query: '?page=2&api%6bey=wrong' }],
  ])('does not let pass who shows a credential of a later method in %s', async (_, facts) => {
    const error = await refusalOf(async () => authenticate(caller(facts)))
    expect(error.code).toBe('GW_UNAUTHENTICATED')
    expect(key.asked).toStrictEqual([])
  })
})

describe('several steps', () => {
  const challenge = { challenge: 'Which school did you go to?' }

  test('the challenges of a rule go out together, in the words of Keystone too', async () => {
    const error = await refusalOf(() =>
      chain([
        [method('school', { status: 'challenged', challenge }), method('pet', { status: 'challenged', challenge })],
      ])(),
    )
    expect(error.members).toMatchObject({
      error: { code: 401, identity: { methods: ['school', 'pet'], school: challenge, pet: challenge } },
    })
  })

  test('a challenge is no success, whatever else succeeds', async () => {
    const rules = [[method('school', { status: 'challenged', challenge }), method('password', accepted(ada))]]
    expect((await refusalOf(() => chain(rules)())).code).toBe('GW_UNAUTHENTICATED')
  })

  test('what was passed is kept in a receipt, and the rest is enough with it', async () => {
    const rules = [[method('password', accepted(ada)), method('totp', absent)], [method('api-key', absent)]]
    const error = await refusalOf(() => chain(rules)())
    expect(error.members).toMatchObject({
      receipt: { methods: ['password'], user: { id: ada.id, name: 'ada' } },
      required_auth_methods: [['password', 'totp']],
    })
    const later = caller({ headers: ['openstack-auth-receipt', receiptOf(error)] })
    const rest = chain([[method('password', absent), method('totp', accepted(ada), { needsUser: true })]])
    expect(await rest(later)).toMatchObject({ user: { id: ada.id }, methods: ['password', 'totp'] })
  })

  test('a failed method gives no receipt', async () => {
    const error = await refusalOf(() => chain([[method('password', accepted(ada)), method('totp', denied())]])())
    expect(error.headers).not.toContain('Openstack-Auth-Receipt')
    expect(error.members).toEqual({})
  })

  const receipt = (who = ada, methods = ['password'], connection = {}) =>
    receipts.issue(
      { user: who, methods, credential: undefined, expiresAt: Number.POSITIVE_INFINITY },
      caller({ connection }).connection,
    ).id
  const withReceipt = (id: string) => caller({ headers: ['Openstack-Auth-Receipt', id] })

  test('a receipt alone lets nobody in: it may come from a route that asks for more', async () => {
    const error = await refusalOf(() => chain([[method('password', absent)]])(withReceipt(receipt())))
    expect(error.code).toBe('GW_UNAUTHENTICATED')
  })

  const openedOf = async (error: GatewayError) =>
    (await receipts.open(receiptOf(error), caller(), undefined)) as Progress

  test('a receipt that is given for a receipt alone ends with it: it cannot be renewed', async () => {
    const brief = createReceipts({ key: Buffer.alloc(32, 7), ttl: 60_000, users })
    const first = brief.issue(ANONYMOUS_ADA, caller().connection)
    const asked = chain([[method('password', absent), method('totp', absent, { needsUser: true })]])
    const second = await openedOf(await refusalOf(() => asked(withReceipt(first.id))))
    expect(second.validUntil).toBe(first.expiresAt)
    const again = chain([[method('password', accepted(ada)), method('totp', absent, { needsUser: true })]])
    const third = await openedOf(await refusalOf(() => again(withReceipt(first.id))))
    expect(third.validUntil).toBeGreaterThan(first.expiresAt)
  })

  test('the methods that a token was issued for are no steps of a rule, with a receipt neither', async () => {
    const token = method('token', accepted(ada, { methods: ['password', 'totp'] }))
    const rules = [[token, method('totp', absent, { needsUser: true })]]
    const error = await refusalOf(() => chain(rules)())
    expect(await openedOf(error)).toMatchObject({
      methods: ['token', 'password', 'totp'],
      inherited: ['password', 'totp'],
    })
    expect(error.members).toMatchObject({
      receipt: { methods: ['token'] },
      required_auth_methods: [['token', 'totp']],
    })
    await refusalOf(() => chain(rules)(withReceipt(receiptOf(error))))
    const rest = [[token, method('totp', accepted(ada), { needsUser: true })]]
    expect(await chain(rest)(withReceipt(receiptOf(error)))).toMatchObject({ user: { id: ada.id } })
  })

  test('whoever was let in with a token has not passed what it was issued for, where the rules of another configuration ask for that', async () => {
    const token = method('token', accepted(ada, { methods: ['password'] }))
    const identity = await chain([[token]])()
    const suffices = (...names: string[]) => chainOf([names.map((name) => method(name, absent))]).suffices(identity)
    expect([suffices('token'), suffices('password'), suffices('token', 'password')]).toEqual([true, false, false])
  })

  test('what another user passed beside is no step of a receipt', async () => {
    const password = method('password', accepted(bob))
    const rules = [
      [password, method('certificate', accepted(ada))],
      [method('token', accepted(ada)), method('totp', absent, { needsUser: true }), password],
    ]
    const error = await refusalOf(() => chain(rules)())
    expect(await openedOf(error)).toMatchObject({ user: { id: ada.id }, methods: ['token'] })
  })

  test('a receipt of somebody else does not help', async () => {
    const rest = chain([[method('password', absent), method('totp', accepted(bob))]])
    expect((await refusalOf(() => rest(withReceipt(receipt(ada))))).detail).toContain('totp found bob')
  })

  test.each([
    ['made up', 'bogus'],
    ['empty', ''],
    ['signed by nobody', `${receipt().split('.')[0]}.${'A'.repeat(43)}`],
    ['changed', receipt().replace(/^.{8}/, 'AAAAAAAA')],
    [
      'of another key',
      createReceipts({ key: Buffer.alloc(32), ttl: 1000, users }).issue(ANONYMOUS_ADA, caller().connection).id,
    ],
    ['too long', 'A'.repeat(10_000)],
    ['from a client with a certificate', receipt(ada, ['password'], { certificate: { fingerprintSha256: 'f00' } })],
    [
      'expired',
      createReceipts({ key: Buffer.alloc(32, 7), ttl: -1, users }).issue(ANONYMOUS_ADA, caller().connection).id,
    ],
  ])('a receipt that is %s is refused, even where another rule would let the caller in', async (_, id) => {
    const error = await refusalOf(async () => chain([[method('certificate', accepted(ada))]])(withReceipt(id)))
    expect(error.code).toBe('GW_UNAUTHENTICATED')
  })

  test('a receipt of a certificate is good only while the certificate belongs to the same user', async () => {
    const rules = [[method('password', absent), method('totp', accepted(ada))]]
    const request = withReceipt(receipt(ada, ['certificate', 'password']))
    const opened = (outcome: Outcome | (() => Promise<Outcome>)) =>
      chain(rules, { certificate: method('certificate', outcome) })(request)
    const now = user('ada', { groups: ['now'] })
    expect((await opened(accepted(now))).user).toBe(now)
    expect((await opened(async () => accepted(now))).user).toBe(now)
    for (const outcome of [absent, denied(), accepted(bob)]) {
      expect((await refusalOf(async () => opened(outcome))).code).toBe('GW_UNAUTHENTICATED')
    }
    const undecided = async () => {
      throw new GatewayError('GW_UNDECIDED', 'the plugin is away')
    }
    expect((await refusalOf(() => opened(undecided))).code).toBe('GW_UNDECIDED')
  })

  test('a credential that is wrong now is refused, though a receipt says that it was right', async () => {
    const rest = chain([[method('password', denied('wrong password')), method('totp', accepted(ada))]])
    expect((await refusalOf(() => rest(withReceipt(receipt())))).detail).toBe('password: wrong password')
  })

  test('a receipt for what was passed is given also where an earlier rule was not begun', async () => {
    const rules = [[method('api-key', absent)], [method('password', accepted(ada)), method('totp', absent)]]
    expect(receiptOf(await refusalOf(() => chain(rules)()))).toMatch(/\./)
  })

  test('the log says what is missing of a rule that was passed in part, also where another rule was refused for a reason', async () => {
    const rules = [
      [method('certificate', absent)],
      [method('password', accepted(ada)), method('totp', absent)],
      [method('application_credential', denied('nobody is named "ada"'))],
    ]
    expect((await refusalOf(() => chain(rules)())).detail).toBe(
      'nothing yet for totp, after password; application_credential: nobody is named "ada"',
    )
  })

  test('with a receipt the certificate is asked about like any other method', async () => {
    const both = { certificate: method('certificate', accepted(ada)) }
    const rest = chain([[method('password', absent), both.certificate]], both)
    expect((await rest(withReceipt(receipt()))).methods).toEqual(['password', 'certificate'])
  })

  test('two receipts are refused', async () => {
    const both = caller({ headers: ['Openstack-Auth-Receipt', receipt(), 'openstack-auth-receipt', receipt()] })
    expect((await refusalOf(async () => chain([[method('totp', accepted(ada))]])(both))).detail).toMatch(
      /not the only one/,
    )
  })
})

describe('what a user demands besides the rule', () => {
  const certificate = method('certificate', accepted(ada, { requires: ['password'] }))

  test('is asked too, and must agree', async () => {
    const run = (password: AuthMethod) => chain([[certificate]], { methodNamed: () => password })()
    expect((await run(method('password', accepted(ada)))).methods).toEqual(['certificate', 'password'])
    expect((await refusalOf(() => run(method('password', accepted(bob))))).detail).toContain('password found bob')
    expect((await refusalOf(() => run(method('password', absent)))).code).toBe('GW_UNAUTHENTICATED')
  })

  test('lets nobody in where it is not set up', async () => {
    expect((await refusalOf(() => chain([[certificate]])())).detail).toMatch(/password, which is not set up/)
  })
})

describe('multi-factor rules of a user', () => {
  const [password, code] = [method('password', accepted(ada)), method('totp', accepted(ada))]
  const known = [password, code, method('certificate', absent)]
  const options = (combinations: string[][], methods: readonly AuthMethod[] = known): Partial<ChainOptions> => ({
    multiFactor: ({ id }) => (id === ada.id ? combinations : []),
    methodNamed: (name) => methods.find((each) => each.name === name),
  })

  test('are asked for besides the rule, and concern nobody else', async () => {
    const both = [['password', 'totp']]
    expect((await chain([[password]], options(both))()).methods).toEqual(['password', 'totp'])
    const key = method('api-key', accepted(ada))
    expect((await chain([[key]], options(both))()).methods).toEqual(['api-key', 'password', 'totp'])
    const ofBob = method('password', accepted(bob))
    expect((await chain([[ofBob]], options(both))()).methods).toEqual(['password'])
  })

  test('let in by any of them', async () => {
    const missing = [method('totp', absent), password, method('certificate', accepted(ada))]
    const run = (combinations: string[][]) => chain([[password]], options(combinations, missing))()
    expect((await run([['password']])).methods).toEqual(['password'])
    expect((await run([['password', 'totp'], ['certificate']])).methods).toEqual(['password', 'certificate'])
    expect((await refusalOf(() => run([['password', 'totp']]))).code).toBe('GW_UNAUTHENTICATED')
  })

  test('let in by any of them, also where one has to be waited for', async () => {
    const late = [method('totp', Promise.resolve(absent)), method('certificate', accepted(ada))]
    const either = options([['password', 'totp'], ['certificate']], late)
    expect((await chain([[password]], either)()).methods).toEqual(['password', 'certificate'])
  })

  test('count what a token was issued for', async () => {
    const token = (methods: string[]) => method('token', accepted(ada, { methods }))
    const only = options([['password', 'totp']], [method('totp', absent), password])
    expect((await chain([[token(['password', 'totp'])]], only)()).methods).toEqual(['token', 'password', 'totp'])
    expect((await refusalOf(() => chain([[token(['password'])]], only)())).code).toBe('GW_UNAUTHENTICATED')
    const rest = options([['password', 'totp']], [method('password', absent), code])
    expect((await chain([[token(['password'])]], rest)()).methods).toEqual(['token', 'password', 'totp'])
  })

  test('are what the 401 tells, with a receipt for what was passed', async () => {
    const waiting = options([['password', 'totp']], [method('totp', absent)])
    const error = await refusalOf(() => chain([[password], [method('api-key', absent)]], waiting)())
    expect(schemesOf(error)).toEqual(['totp realm="test"', 'api-key realm="test"'])
    expect(error.members).toMatchObject({
      receipt: { methods: ['password'] },
      required_auth_methods: [['password', 'totp']],
    })
    const rules = [[method('password', absent)]]
    const next = options([['password', 'totp']])
    const who = caller({ headers: ['Openstack-Auth-Receipt', receiptOf(error)] })
    expect((await chain(rules, next)(who)).methods).toEqual(['password', 'totp'])
  })

  test('must agree with the rule, and let nobody in where one is not set up or cannot be decided', async () => {
    const run = (...methods: AuthMethod[]) => chain([[password]], options([['password', 'totp']], methods))()
    expect((await refusalOf(() => run(method('totp', accepted(bob))))).detail).toContain('totp found bob')
    expect((await refusalOf(() => run())).detail).toContain('needs methods that are not set up')
    const broken = method('totp', () => Promise.reject(new Error('away')))
    expect((await refusalOf(() => run(broken))).code).toBe('GW_UNDECIDED')
  })
})

describe('whoever has been let in, perhaps by other rules, has proved enough', () => {
  const [password, key] = [method('password', absent), method('key', absent)]
  const by = (...methods: string[]): Identity => ({ ...ANONYMOUS_ADA, methods })
  test('where he has passed all methods of one rule, and whatever he needs besides', () => {
    const rules = chainOf([[certificate, password], [key]])
    expect(rules.suffices(by('certificate', 'password'))).toBe(true)
    expect(rules.suffices(by('password', 'token', 'certificate'))).toBe(true)
    expect(rules.suffices(by('key'))).toBe(true)
    expect(rules.suffices(by('certificate'))).toBe(false)
    const strict = chainOf([[key]], { multiFactor: () => [['key', 'password']] })
    expect(strict.suffices(by('key'))).toBe(false)
    expect(strict.suffices(by('key', 'password'))).toBe(true)
  })

  test('without a user where anybody may pass', () => {
    for (const identity of [ANONYMOUS, NOBODY]) {
      expect(chainOf([[key]]).suffices(identity)).toBe(false)
      expect(chainOf([[key]], { anonymous: true }).suffices(identity)).toBe(true)
    }
  })
})
