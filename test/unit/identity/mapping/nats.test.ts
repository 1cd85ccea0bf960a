/** What nats-server's own tests expect of its mapping, with certificates of the same names. */
import { describe, expect, test } from '@jest/globals'
import { NatsMapper } from '../../../../src/identity/mapping/nats.ts'
import { createUsers } from '../../../../src/identity/users.ts'
import { factsOf } from '../../../support/facts.ts'
import { type Attribute, nameOf } from '../../../support/names.ts'
import { authority, type CertificateOptions } from '../../../support/pki.ts'

const root = authority('root')

function mapperOf(users: readonly string[]) {
  return new NatsMapper({ rules: users.map((user, i) => ({ at: `users[${i}]`, user })), users: createUsers([]) })
}

function found(users: readonly string[], options: CertificateOptions): string | undefined {
  const mapping = mapperOf(users).map(factsOf(root.client('x', options)))
  return mapping.status === 'mapped' ? mapping.user.name : undefined
}

type Rdns = readonly (Attribute | readonly Attribute[])[]
const LA: Rdns = [
  ['C', 'US'],
  ['ST', 'CA'],
  ['L', 'Los Angeles'],
  ['O', 'NATS'],
  ['OU', 'NATS'],
  ['CN', 'localhost'],
]
const SAN = { hosts: ['localhost', 'example.com', 'www.example.com'] }
const withSan = (...rdns: Rdns) => ({ subject: nameOf(...rdns), ...SAN })
const certificates = {
  a: withSan(...LA, ['DC', 'foo1'], ['DC', 'foo2']),
  b: withSan(...LA),
  c: withSan(...LA, ['DC', 'foo3'], ['DC', 'foo4']),
  d: withSan(
    ['C', 'US'],
    ['ST', 'CA'],
    ['L', 'Los Angeles'],
    ['OU', 'NATS'],
    ['O', 'NATS'],
    ['CN', '*.example.com'],
    ['DC', 'example'],
    ['DC', 'com'],
  ),
  e: withSan(
    ['CN', 'John Doe'],
    ['CN', '123456'],
    ['CN', 'jdoe'],
    ['OU', 'Users'],
    ['OU', 'Organic Units'],
    ['DC', 'acme'],
    ['DC', 'com'],
  ),
  f: withSan(
    ['DC', 'org'],
    ['DC', 'OpenSSL'],
    [
      ['O', 'users'],
      ['DC', 'DEV'],
    ],
    ['CN', 'John Doe'],
  ),
}

const FOO12 = 'CN=localhost,OU=NATS,O=NATS,L=Los Angeles,ST=CA,C=US,DC=foo1,DC=foo2'
const FOO12_REVERSED = 'DC=foo2,DC=foo1,CN=localhost,OU=NATS,O=NATS,L=Los Angeles,ST=CA,C=US'
const PLAIN = 'CN=localhost,OU=NATS,O=NATS,L=Los Angeles,ST=CA,C=US'
const D_EXACT = 'DC=com,DC=example,CN=*.example.com,O=NATS,OU=NATS,L=Los Angeles,ST=CA,C=US'
const D_GO = 'CN=*.example.com,OU=NATS,O=NATS,L=Los Angeles,ST=CA,C=US'

describe('distinguished names', () => {
  test.each<[keyof typeof certificates, readonly string[], string | undefined]>([
    ['a', [FOO12], FOO12],
    ['a', [FOO12_REVERSED], FOO12_REVERSED],
    ['a', [FOO12.replaceAll(',', ', ')], FOO12.replaceAll(',', ', ')],
    ['b', [FOO12, FOO12_REVERSED, PLAIN], PLAIN],
    ['c', [FOO12, FOO12_REVERSED, PLAIN], PLAIN],
    ['c', [FOO12, FOO12_REVERSED], undefined],
    ['d', [D_EXACT.replaceAll(',', ', ')], D_EXACT.replaceAll(',', ', ')],
    ['d', [`${D_GO},DC=example,DC=com`], `${D_GO},DC=example,DC=com`],
    ['d', [`${D_GO},DC=example,DC=com`, D_EXACT, D_GO], D_EXACT],
    [
      'e',
      ['DC=com,DC=acme,OU=Organic Units,OU=Users,CN=jdoe,CN=123456,CN=John Doe'],
      'DC=com,DC=acme,OU=Organic Units,OU=Users,CN=jdoe,CN=123456,CN=John Doe',
    ],
    ['e', ['CN=jdoe,OU=Users+OU=Organic Units'], 'CN=jdoe,OU=Users+OU=Organic Units'],
    ['e', ['CN=jdoe,OU=Users+OU=Organic Units,DC=acme,DC=com'], 'CN=jdoe,OU=Users+OU=Organic Units,DC=acme,DC=com'],
    ['f', ['CN=John Doe,DC=DEV+O=users,DC=OpenSSL,DC=org'], 'CN=John Doe,DC=DEV+O=users,DC=OpenSSL,DC=org'],
    ['f', ['CN=John Doe,O=users+DC=DEV,DC=OpenSSL,DC=org'], 'CN=John Doe,O=users+DC=DEV,DC=OpenSSL,DC=org'],
    ['f', ['CN=John Doe,DC=DEV,DC=OpenSSL,DC=org'], undefined],
    ['f', ['DC=org,DC=OpenSSL,O=users+DC=DEV,CN=John Doe'], 'DC=org,DC=OpenSSL,O=users+DC=DEV,CN=John Doe'],
    ['f', ['DC=org,DC=OpenSSL,O=users,CN=John Doe'], undefined],
    ['f', ['DC=OpenSSL, DC=org, O=users, CN=John Doe'], undefined],
    ['f', ['CN=John Doe,O=users'], 'CN=John Doe,O=users'],
  ])('certificate %s with users %j is %s', (name, users, expected) => {
    expect(found(users, certificates[name])).toBe(expected)
  })

  test.each<[string, Rdns, boolean]>([
    ['o=A', [['O', 'A']], true],
    ['o=a', [['O', 'A']], false],
    [
      'o=A+o=B',
      [
        [
          ['O', 'B'],
          ['O', 'A'],
        ],
      ],
      true,
    ],
    [
      'o=A+o=B',
      [
        [
          ['O', 'A'],
          ['O', 'B'],
          ['O', 'B'],
        ],
      ],
      false,
    ],
    [
      'cn=John Doe, ou=People',
      [
        ['OU', 'People'],
        ['CN', 'John Doe'],
      ],
      true,
    ],
    [
      'cn=John  Doe, ou=People',
      [
        ['OU', 'People'],
        ['CN', 'John Doe'],
      ],
      false,
    ],
    [
      'CN=Alice,CN=Alice,O=NATS',
      [
        ['OU', 'Users'],
        ['O', 'NATS'],
        ['CN', 'Alice'],
      ],
      false,
    ],
    [
      'CN=Alice,CN=Alice,O=NATS',
      [
        ['O', 'NATS'],
        ['CN', 'Alice'],
      ],
      false,
    ],
    ['CN=a,OU=', [['CN', 'a']], false],
    // Behind # stands the hex of what go-ldap cannot read.
    [
      'CN=#0c0161+OU=B,O=A',
      [
        ['O', 'A'],
        [
          ['CN', '0c0161'],
          ['OU', 'B'],
        ],
      ],
      false,
    ],
    ['CN=a=b', [['CN', 'a=b']], true],
  ])('user %s for %j: %s', (user, rdns, expected) => {
    expect(found([user], { subject: nameOf(...rdns) })).toBe(expected ? user : undefined)
  })

  test.each(['', ' ', 'CN=', 'CN=#0c00'])('user %j is not everybody without a subject', (user) => {
    expect(found([user], { subject: nameOf() })).toBeUndefined()
  })

  test('a subject with what NATS ignores is the user without it', () => {
    expect(found(['CN=admin'], { subject: nameOf(['CN', 'admin'], ['UID', 'x']) })).toBe('CN=admin')
  })
})

describe('alternative names', () => {
  const users = ['CN=www.nats.io', 'app.nats.prod', 'app.nats.dev']
  test.each<[readonly string[], CertificateOptions, string | undefined]>([
    [users, { subject: nameOf(['CN', 'www.nats.io']), hosts: ['other.example'] }, 'CN=www.nats.io'],
    [users, { hosts: ['app.nats.dev', '*.app.nats.dev'] }, 'app.nats.dev'],
    [users, { hosts: ['app.nats.prod', '*.app.nats.prod'] }, 'app.nats.prod'],
    [['CN=x', '*.app.nats.prod'], { hosts: ['app.nats.prod', '*.app.nats.prod'] }, '*.app.nats.prod'],
    [['*.app.nats.prod'], { hosts: ['a.app.nats.prod'] }, undefined],
    [['root@app.nats.dev'], { emails: ['admin@app.nats.dev', 'root@app.nats.dev'] }, 'root@app.nats.dev'],
    [
      ['app.nats.dev', 'root@app.nats.dev'],
      { hosts: ['app.nats.dev'], emails: ['root@app.nats.dev'] },
      'root@app.nats.dev',
    ],
    [['spiffe://localhost/a'], { uris: ['SPIFFE://localhost/a'] }, 'spiffe://localhost/a'],
    [['spiffe://localhost/c'], { uris: ['spiffe://localhost/a'] }, undefined],
    [
      ['O=SPIRE,C=US'],
      { subject: nameOf(['C', 'US'], ['O', 'SPIRE']), uris: ['spiffe://localhost/b'] },
      'O=SPIRE,C=US',
    ],
    [['localhost'], { subject: nameOf(), hosts: ['localhost'] }, 'localhost'],
    [['x', 'ada'], { subject: nameOf(['CN', 'ada']) }, undefined],
  ])('users %j', (list, options, expected) => {
    expect(found(list, options)).toBe(expected)
  })
})

describe('what is told of the rules', () => {
  test.each<[readonly string[], string | undefined]>([
    [['ada'], 'a bare CN names no user'],
    [['CN=ada,emailAddress=a@b'], 'NATS ignores EMAILADDRESS'],
    [['CN=ada,'], 'no distinguished name'],
    [['CN=ada,O=Acme', 'O=Acme, CN=ada'], 'same name as users[0]'],
    [['ada@example.com', 'spiffe://a/b', 'a.example', 'CN=ada'], undefined],
  ])('%j', (users, message) => {
    const { findings } = mapperOf(users)
    if (message === undefined) expect(findings).toEqual([])
    else expect(findings).toMatchObject([{ isFatal: false, message: expect.stringContaining(message) }])
  })

  test('the same user twice is a mistake, in the words of NATS', () => {
    expect(mapperOf(['a@b', 'a@b']).findings).toEqual([
      { at: 'users[1]', message: 'Duplicate user "a@b" detected', isFatal: true },
    ])
  })

  test('what only strict can do is refused', () => {
    const rules = [
      { at: 'r', user: 'a@b', certificates: ['email:a@b'] },
      { at: 's', user: { from: 'subject.cn' } },
    ]
    const { findings } = new NatsMapper({ rules, users: createUsers([]) })
    expect(findings.filter(({ isFatal }) => isFatal).map(({ at }) => at)).toEqual(['r', 's'])
  })
})

test('a user for other kinds of connections is nobody: the search goes on, and that is told', () => {
  const rules = [
    { at: 'users[0]', user: 'derek@nats.io', connectionTypes: ['WEBSOCKET'] },
    { at: 'users[1]', user: 'CN=derek', connectionTypes: ['MQTT', 'STANDARD'] },
  ]
  const mapper = new NatsMapper({ rules, users: createUsers([]) })
  const derek = factsOf(root.client('x', { emails: ['derek@nats.io'], subject: nameOf(['CN', 'derek']) }))
  expect(mapper.map(derek)).toMatchObject({ status: 'mapped', user: { name: 'CN=derek' } })
  expect(mapper.findings).toEqual([
    { at: 'users[0]', isFatal: false, message: expect.stringContaining('without STANDARD') },
  ])
  expect([...mapper.trials(derek)].map(({ matched }) => matched)).toEqual([false, true])
})

test('a type of attribute that is no word names nobody', () => {
  expect(found(['   \\ \\ A\\ \\    =   \\ \\ 1\\ \\    ,CN=a'], { subject: nameOf(['CN', 'a']) })).toBeUndefined()
})

test('the first user in the file wins of those with the same name in another order', () => {
  const users = ['O=Acme,CN=ada,OU=x', 'OU=x,O=Acme,CN=ada']
  const subject = nameOf(['CN', 'ada'], ['OU', 'x'], ['O', 'Acme'])
  expect(found(users, { subject })).toBe(users[0])
  expect(found(users.toReversed(), { subject })).toBe(users[1])
})

test('whoever is not enabled is nobody, although the certificate names him', () => {
  const users = createUsers([], [{ id: '7', name: 'derek@nats.io' }])
  const mapper = new NatsMapper({ rules: [{ at: 'users[0]', user: 'derek@nats.io' }], users })
  const derek = factsOf(root.client('x', { emails: ['derek@nats.io'] }))
  expect(mapper.map(derek)).toMatchObject({ status: 'unmapped', disabled: true })
})

test('what is empty in a subject is left out of the text that Go makes of it where there may be one only, and stays where there may be several', () => {
  // Go leaves the type out too that it does not know, and such a subject is compared as text alone.
  const unknown: Attribute = ['title', 'Dr']
  expect(found(['O=+O=Acme'], { subject: nameOf(['O', ''], ['O', 'Acme'], ['CN', ''], unknown) })).toBe('O=+O=Acme')
  expect(found(['CN=,O=Acme'], { subject: nameOf(['O', 'Acme'], ['CN', ''], unknown) })).toBeUndefined()
  expect(found(['O=Acme'], { subject: nameOf(['O', 'Acme'], ['CN', ''], unknown) })).toBe('O=Acme')
})

test('a value that is no text is left out of the text that Go makes of a subject', () => {
  const subject = nameOf(['O', 'Acme'], ['CN', Buffer.from([0x02, 0x01, 0x07])])
  expect(found(['O=Acme'], { subject })).toBe('O=Acme')
})

test('of each user who was not taken inspect says why', () => {
  const users = ['ada@acme.test', 'CN=ada,O=Acme', 'O=Acme,CN=ada', 'ada.acme.test', 'bob@acme.test', 'CN=ada']
  const mapper = new NatsMapper({
    rules: [
      { at: 'elsewhere', user: 'no@acme.test', connectionTypes: ['MQTT'] },
      ...users.map((user) => ({ at: user, user })),
    ],
    users: createUsers([]),
  })
  const subject = nameOf(['O', 'Acme'], ['CN', 'ada'])
  const ada = factsOf(root.client('x', { subject, emails: ['ada@acme.test'], hosts: ['ada.acme.test'] }))
  const reasons = [...mapper.trials(ada)].map(({ at, matched, reason }) => [at, matched, reason])
  const [before, none] = ['another user was found before', 'the certificate has no such name']
  expect(reasons).toEqual([
    ['elsewhere', false, expect.stringContaining('without STANDARD')],
    ['ada@acme.test', true, 'Using email found in cert for auth'],
    ['CN=ada,O=Acme', false, before],
    ['O=Acme,CN=ada', false, before],
    ['ada.acme.test', false, before],
    ['bob@acme.test', false, none],
    ['CN=ada', false, none],
  ])
})
