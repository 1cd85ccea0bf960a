import { describe, expect, test } from '@jest/globals'
import { FiledRules } from '../../../../src/identity/mapping/filed-rules.ts'
import { FILE_RULE } from '../../../../src/identity/mapping/filing.ts'
import type { RuleSettings } from '../../../../src/identity/mapping/rule.ts'
import { RuleTable } from '../../../../src/identity/mapping/rule-table.ts'
import { StrictMapper } from '../../../../src/identity/mapping/strict.ts'
import { createUsers } from '../../../../src/identity/users.ts'
import { factsOf } from '../../../support/facts.ts'
import { fakeConnection } from '../../../support/fake-connection.ts'
import { type Attribute, nameOf } from '../../../support/names.ts'
import { authority, type CertificateOptions, withUpn } from '../../../support/pki.ts'
import fc from '../../../support/random.ts'

const root = authority('root')
const CONNECTION = fakeConnection()

function mapperOf(...rules: Omit<RuleSettings, 'at'>[]) {
  const settings = rules.map((rule, i) => ({ at: `users[${i}]`, ...rule }))
  return new StrictMapper({ rules: settings, users: createUsers([]), trusted: [factsOf(root)] })
}

function userOf(mapper: ReturnType<typeof mapperOf>, options: CertificateOptions): string | undefined {
  const mapping = mapper.map(factsOf(root.client('x', options)), CONNECTION)
  return mapping.status === 'mapped' ? mapping.user.name : undefined
}

const subject = (...attributes: Attribute[]) => ({ subject: nameOf(...attributes) })

test("of Kong's subject_name it is told where nothing but alternative names keep the CN from counting", () => {
  const reasonFor = (subjectName: string, options: CertificateOptions) => {
    const mapper = mapperOf({ user: 'ada', subjectName })
    return [...mapper.trials(factsOf(root.client('x', options)), CONNECTION)].map(({ reason }) => reason)
  }
  const both = { ...subject(['CN', 'ada']), emails: ['ada@example.com'] }
  expect(reasonFor('ada', both)).toEqual([expect.stringMatching(/^it is the CN, which does not count beside .* cn: /)])
  expect(reasonFor('eve', both)).toEqual(['the certificate has no such name'])
  expect(userOf(mapperOf({ user: 'ada', subjectName: 'ada' }), subject(['CN', 'ada']))).toBe('ada')
  expect(userOf(mapperOf({ user: 'ada', subjectName: 'cn:ada' }), both)).toBe('ada')
})

test('of each rule inspect says whether it names the certificate, and why not', () => {
  const mapper = mapperOf(
    { user: 'bob', certificates: ['cn:bob', 'email:bob@example.com'] },
    { user: 'ada', subjectName: 'ada@example.com' },
    { user: { from: 'san.email', domain: 'example.org' } },
    { user: { from: 'subject.cn' } },
  )
  const ada = factsOf(root.client('x', { ...subject(['CN', 'ada']), emails: ['ada@example.com'] }))
  expect([...mapper.trials(ada, CONNECTION)].map(({ rule, matched }) => [rule, matched])).toEqual([
    ['cn:bob or email:bob@example.com', false],
    ['ada@example.com', true],
    ['san.email of example.org', false],
    ['subject.cn', true],
  ])
})

describe('a typed rule names a certificate by exactly that field', () => {
  test.each<[string, CertificateOptions]>([
    ['email:ada@EXAMPLE.com', { emails: ['ada@example.COM'] }],
    ['dns:Api.example.com', { hosts: ['api.Example.com'] }],
    ['dns:*.example.com', { hosts: ['*.example.com'] }],
    ['uri:SPIFFE://example.com/a', { uris: ['spiffe://Example.com/a'] }],
    ['dn:CN=ada, O=Acme', subject(['O', 'Acme'], ['CN', 'ada'])],
    ['dn:O=Acme,CN=ada', subject(['O', 'Acme'], ['CN', 'ada'])],
    ['cn:ada', subject(['O', 'Acme'], ['CN', 'ada'])],
    ['upn:ada@corp.example', withUpn('ada@CORP.example')],
  ])('%s', (rule, options) => {
    expect(userOf(mapperOf({ user: 'ada', certificates: [rule] }), options)).toBe('ada')
  })

  test.each<[string, CertificateOptions]>([
    ['email:ada@example.com', { hosts: ['ada@example.com'] }],
    ['email:ada@example.com', { emails: ['Ada@example.com'] }],
    ['email:ada@example.com', subject(['emailAddress', 'ada@example.com'])],
    ['email:ada@example.com', { emails: ['ada@example.com.evil.org'] }],
    ['dns:api.example.com', { hosts: ['*.example.com'] }],
    ['dns:*.example.com', { hosts: ['api.example.com'] }],
    ['dns:api.example.com', subject(['CN', 'api.example.com'])],
    ['uri:spiffe://example.com/a', { uris: ['spiffe://example.com/A'] }],
    ['uri:spiffe://example.com/a', { uris: ['spiffe://example.com/a/b'] }],
    ['uri:spiffe://example.com/a', { uris: ['no-scheme'] }],
    ['dn:CN=ada,O=Acme', subject(['O', 'Acme'], ['CN', 'ada'], ['OU', 'x'])],
    ['dn:CN=ada,O=Acme', subject(['CN', 'ada,O=Acme'])],
    ['dn:CN=ada,O=Acme', { hosts: ['CN=ada,O=Acme'] }],
    ['dn:CN=ada,CN=ada', subject(['CN', 'ada'])],
    ['cn:ada', subject(['CN', 'ada'], ['CN', 'eve'])],
    ['cn:ada', subject(['O', 'CN=ada'])],
    ['cn:ada', { hosts: ['ada'] }],
  ])('%s, and nothing else', (rule, options) => {
    expect(userOf(mapperOf({ user: 'ada', certificates: [rule] }), options)).toBeUndefined()
  })

  test('fingerprint and spki are SHA-256, with colons or without; serial needs its issuer', () => {
    const ada = factsOf(root.client('ada'))
    const colons = ada.fingerprintSha256.toUpperCase().replace(/..(?=.)/g, '$&:')
    for (const rule of [`fingerprint:${colons}`, `spki:${ada.publicKeySha256}`]) {
      expect(mapperOf({ user: 'ada', certificates: [rule] }).map(ada, CONNECTION)).toMatchObject({ status: 'mapped' })
    }
    const serial = { user: 'ada', certificates: [`serial:00${ada.serial}`] }
    expect(mapperOf(serial).findings).toMatchObject([{ isFatal: true }])
    const named = mapperOf({ ...serial, issuers: [factsOf(root)] })
    expect(named.map(ada, CONNECTION)).toMatchObject({ status: 'mapped' })
  })

  test('a serial number counts only from its issuer itself, not from one below', () => {
    const below = root.authority('below')
    const ada = factsOf(below.client('ada', { serial: Buffer.from([0x2a]) }))
    const rule = { at: 'r', user: 'ada', certificates: ['serial:2A'], issuers: [factsOf(root)] }
    const trusted = [factsOf(root), factsOf(below)]
    const mapper = new StrictMapper({ rules: [rule], users: createUsers([]), trusted })
    expect(mapper.map(ada, CONNECTION)).toMatchObject({ status: 'unmapped' })
    const byName = { ...rule, certificates: ['cn:ada'] }
    const named = new StrictMapper({ rules: [byName], users: createUsers([]), trusted })
    expect(named.map(ada, CONNECTION)).toMatchObject({ status: 'mapped' })
  })
})

describe('rules that cannot be used are told', () => {
  test.each([
    ['ada', 'names no type'],
    ['email:', 'nothing after'],
    ['email:ada', 'not an address'],
    ['email:a da@example.com', 'not an address'],
    ['dn:', 'nothing after'],
    ['dn:ada', 'TYPE=value'],
    ['dn:XX=ada', 'attribute type'],
    ['fingerprint:abcd', '64 hex'],
    ['serial:xyz', 'hex'],
    ['constructor:x', 'names no type'],
  ])('%s', (rule, message) => {
    const { findings } = mapperOf({ user: 'ada', certificates: [rule] })
    expect(findings).toMatchObject([{ at: 'users[0]', isFatal: true, message: expect.stringContaining(message) }])
  })

  test('connection types, which only nats knows', () => {
    const { findings } = mapperOf({ user: 'ada', certificates: ['cn:ada'], connectionTypes: ['STANDARD'] })
    expect(findings).toMatchObject([{ isFatal: true, message: expect.stringContaining('need mapping: nats') }])
  })

  test('a rule that an earlier one takes everything from', () => {
    const { findings } = mapperOf(
      { user: 'ada', certificates: ['dn:CN=ada,O=Acme'] },
      { user: 'eve', certificates: ['dn:o=Acme, cn=ada'] },
    )
    expect(findings).toEqual([
      { at: 'users[1]', isFatal: false, message: 'can never match: users[0] names the same certificates' },
    ])
  })
})

test('the first rule in the file wins, whatever the order of names in the certificate', () => {
  const rules = [
    { user: 'first', certificates: ['dns:b.example'] },
    { user: 'second', certificates: ['email:a@example.com'] },
  ]
  const options = { emails: ['a@example.com'], hosts: ['b.example'] }
  expect(userOf(mapperOf(...rules), options)).toBe('first')
  expect(userOf(mapperOf(...rules.toReversed()), options)).toBe('second')
})

describe('users whose names stand in the certificate', () => {
  test.each<[object, CertificateOptions, string | undefined]>([
    [{ from: 'san.email', domain: 'example.com' }, { emails: ['ada@Example.com'] }, 'ada@example.com'],
    [{ from: 'san.email', domain: 'example.com' }, { emails: ['x@other.org', 'ada@example.com'] }, 'ada@example.com'],
    [{ from: 'san.email', domain: 'example.com' }, { emails: ['ada@sub.example.com'] }, undefined],
    [{ from: 'san.email', domain: 'example.com' }, { emails: ['ada@evilexample.com'] }, undefined],
    [{ from: 'san.email', domain: 'example.com' }, { emails: ['a@example.com', 'b@example.com'] }, undefined],
    [{ from: 'san.dns', domain: 'example.com' }, { hosts: ['api.example.com'] }, 'api.example.com'],
    [{ from: 'san.dns', domain: 'example.com' }, { hosts: ['apiexample.com'] }, undefined],
    [{ from: 'spiffe', domain: 'td' }, { uris: ['spiffe://td/a'] }, 'spiffe://td/a'],
    [{ from: 'spiffe', domain: 'td' }, { uris: ['spiffe://td2/a'] }, undefined],
    [{ from: 'spiffe', domain: 'td' }, { uris: ['spiffe://td/a', 'spiffe://td/b'] }, undefined],
    [{ from: 'spiffe.path', domain: 'td' }, { uris: ['spiffe://td/a/b'] }, 'a/b'],
    [{ from: 'spiffe.path', domain: 'td' }, { uris: ['spiffe://td/a/../b'] }, undefined],
    [{ from: 'subject.cn' }, subject(['CN', 'ada']), 'ada'],
    [{ from: 'subject.cn' }, subject(['CN', 'ada'], ['CN', 'eve']), undefined],
    [{ from: 'subject.cn' }, subject(['CN', 'ada\u202e']), undefined],
    [{ from: 'subject.UID' }, subject(['UID', 'u1']), 'u1'],
    [{ template: '{subject.cn}@{subject.o}' }, subject(['O', 'acme'], ['CN', 'ada']), 'ada@acme'],
    [{ template: '{subject.cn}@{subject.o}' }, subject(['O', 'acme'], ['CN', 'ada@x']), undefined],
    [{ template: '{subject.cn}@{subject.o}' }, subject(['CN', 'ada']), undefined],
  ])('%j of %j', (user, options, expected) => {
    expect(userOf(mapperOf({ user }), options)).toBe(expected)
  })

  test.each([
    [{}, 'names neither'],
    [{ from: 'san.ip' }, 'unknown field'],
    [{ from: 'spiffe.path' }, 'any trust domain'],
    [{ from: 'subject.cn', domain: 'x' }, 'none of'],
    [{ template: 'x' }, 'without a field'],
    [{ template: '{subject.cn}{subject.o}' }, 'without text in between'],
    [{ template: '{subject.cn}', from: 'subject.cn' }, 'beside'],
  ])('%j cannot be one', (user, message) => {
    expect(mapperOf({ user }).findings).toMatchObject([{ isFatal: true, message: expect.stringContaining(message) }])
  })
})

const attribute = fc.tuple(
  fc.constantFrom('CN', 'OU', 'O', 'L') as fc.Arbitrary<'CN'>,
  fc.constantFrom('ada', 'eve', 'Acme', 'CN=ada', 'ada,O=Acme'),
)

test('no user is reachable by a certificate that its rule does not name, and the order of RDNs never matters', () => {
  const rule = [
    ['CN', 'ada'],
    ['O', 'Acme'],
    ['OU', 'Ops'],
  ] as const
  const mapper = mapperOf({ user: 'ada', certificates: ['dn:CN=ada,O=Acme,OU=Ops'] })
  const sorted = (attributes: readonly (readonly string[])[]) =>
    JSON.stringify(attributes.map((each) => each.join('=')).sort())
  const attributes = fc.oneof(
    fc.array(attribute, { minLength: 1, maxLength: 4 }),
    fc.shuffledSubarray([...rule], { minLength: 1, maxLength: 3 }),
  )
  fc.assert(
    fc.property(attributes, (each) => {
      const certificate = factsOf(root.client('x', { subject: nameOf(...(each as Attribute[])) }))
      const expected = sorted(each as string[][]) === sorted(rule as never)
      expect(mapper.map(certificate, CONNECTION).status).toBe(expected ? 'mapped' : 'unmapped')
    }),
    { numRuns: 60 },
  )
})

describe('of rules of all types, written in the configuration or in a file', () => {
  // The same words as names of several types: none may stand for another.
  const TYPES: Readonly<Record<'email' | 'dns' | 'uri' | 'cn', readonly string[]>> = {
    email: ['a@x.test', 'b@x.test'],
    dns: ['x.test', 'a.x.test'],
    uri: ['spiffe://x.test/a', 'spiffe://x.test/b'],
    cn: ['a@x.test', 'x.test', 'spiffe://x.test/a', 'a'],
  }
  type Type = keyof typeof TYPES
  const named = fc.constantFrom(
    ...(Object.keys(TYPES) as Type[]).flatMap((type) => TYPES[type].map((value) => ({ type, value }))),
  )
  const written = ({ type, value }: { type: Type; value: string }) => `${type}:${value}`
  const fromFile = (rules: readonly string[]) => {
    const table = new RuleTable()
    const filing = { file: 'users.csv', table, findings: [], tops: [] }
    for (const [i, certificate] of rules.entries())
      FILE_RULE.strict({ line: i, user: `user${i}`, certificates: [certificate], groups: [], issuer: '' }, filing)
    const mapper = mapperOf()
    mapper.attach(new FiledRules('users.csv', table, () => []))
    return mapper
  }
  const fromConfiguration = (rules: readonly string[]) =>
    mapperOf(...rules.map((certificate, i) => ({ user: `user${i}`, certificates: [certificate] })))

  test('exactly the first one that names the certificate counts, in whatever order its names stand', () => {
    const names = fc.uniqueArray(named, { maxLength: 5, selector: written })
    const rules = fc.uniqueArray(named, { maxLength: 6, selector: written })
    fc.assert(
      fc.property(names, rules, (own, wanted) => {
        const of = (type: Type) => own.flatMap((each) => (each.type === type ? [each.value] : []))
        // A rule for a CN names a certificate with one alone.
        const cns = of('cn')
        const holds = ({ type, value }: { type: Type; value: string }) =>
          type === 'cn' ? cns.length === 1 && cns[0] === value : of(type).includes(value)
        const first = wanted.findIndex(holds)
        const expected = first === -1 ? undefined : `user${first}`
        const subject = (values: readonly string[]) => nameOf(['O', 'Acme'], ...values.map((cn) => ['CN', cn] as const))
        const forwards = { subject: subject(cns), emails: of('email'), hosts: of('dns'), uris: of('uri') }
        const backwards = {
          subject: subject(cns.toReversed()),
          emails: of('email').toReversed(),
          hosts: of('dns').toReversed(),
          uris: of('uri').toReversed(),
        }
        for (const mapper of [fromConfiguration(wanted.map(written)), fromFile(wanted.map(written))])
          for (const options of [forwards, backwards]) expect(userOf(mapper, options)).toBe(expected)
      }),
      { numRuns: 60 },
    )
  })
})

describe('a user who is not enabled', () => {
  const users = createUsers([], [{ id: '7', name: 'ada' }])
  const map = (...rules: Omit<RuleSettings, 'at'>[]) =>
    new StrictMapper({
      ...{ rules: rules.map((rule, i) => ({ at: `users[${i}]`, ...rule })), users, trusted: [factsOf(root)] },
    }).map(factsOf(root.client('ada', { emails: ['ada@example.com'] })), CONNECTION)

  test.each<[string, Omit<RuleSettings, 'at'>]>([
    ['a rule names', { user: 'ada', certificates: ['email:ada@example.com'] }],
    ['the certificate itself names', { user: { from: 'subject.cn' } }],
  ])('whom %s is nobody', (_, rule) => {
    expect(map(rule)).toEqual({ status: 'unmapped', reason: 'ada is not enabled (users[0])', disabled: true })
  })

  test('is no other user of a later rule either', () => {
    const later = { user: 'bob', certificates: ['cn:ada'] }
    expect(map({ user: 'ada', certificates: ['email:ada@example.com'] }, later)).toMatchObject({ disabled: true })
  })
})
