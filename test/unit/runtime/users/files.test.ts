import { writeFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import type { Problem } from '../../../../src/errors.ts'
import { NatsMapper } from '../../../../src/identity/mapping/nats.ts'
import { StrictMapper } from '../../../../src/identity/mapping/strict.ts'
import { createUsers } from '../../../../src/identity/users.ts'
import { readWhereItHoldsNobodyUp, UsersFiles } from '../../../../src/runtime/users/files.ts'
import { factsOf } from '../../../support/facts.ts'
import { fakeConnection } from '../../../support/fake-connection.ts'
import { temporaryFile } from '../../../support/folder.ts'
import { nameOf } from '../../../support/names.ts'
import { type Authority, authority } from '../../../support/pki.ts'

const root = authority('root')
const other = authority('other')

interface Setup {
  readonly trusted?: readonly Authority[]
  readonly name?: string
  readonly mapping?: 'strict' | 'nats'
  /** Of the configuration itself. */
  readonly users?: readonly string[]
  readonly bounds?: object
}

const BOUNDS = { maxSize: 64 * 1024 * 1024, maxUsers: 2_000_000, maxEntry: 64 * 1024 }

async function read(content: string | Buffer, setup: Setup = {}) {
  const { trusted = [root], name = 'users.csv', mapping = 'strict', users = [], bounds = {} } = setup
  const file = temporaryFile(name, content)
  const known = trusted.map((each) => factsOf(each))
  const rules = users.map((user, i) => ({ at: `users[${i}]`, user }))
  const settings = { rules, users: createUsers([]), trusted: known }
  const mapper = mapping === 'nats' ? new NatsMapper(settings) : new StrictMapper(settings)
  const found = { problems: [] as Problem[], warnings: [] as Problem[] }
  const tops = known.map(({ subject }) => subject)
  const issuersOf = (written: string) => known.filter(({ subject }) => subject === written)
  await new UsersFiles().attach({ wanted: { file, mapping, tops, ...BOUNDS, ...bounds }, mapper, issuersOf }, found)
  const told = (list: Problem[]) =>
    list.map(({ source, line, message }) => {
      expect(source).toBe(file)
      return `${line ?? ''}: ${message}`
    })
  return { mapper, problems: told(found.problems), warnings: told(found.warnings) }
}

async function userOf(content: string, email = 'ada@example.com', setup: Setup = {}) {
  const { mapper, problems } = await read(content, setup)
  expect(problems).toEqual([])
  const mapping = mapper.map(factsOf(root.client('x', { emails: [email] })), fakeConnection())
  return mapping.status === 'mapped' ? mapping : undefined
}

describe('a file of users is read', () => {
  test.each<[string, string]>([
    ['with plain lines', 'user,certificate\nada,email:ada@example.com\n'],
    ['without a last line break', 'user,certificate\nada,email:ada@example.com'],
    ['with CRLF', 'user,certificate\r\nada,email:ada@example.com\r\n'],
    ['with a byte order mark', '\uFEFFuser,certificate\nada,email:ada@example.com\n'],
    ['with columns in another order', 'certificate,groups,user\nemail:ada@example.com,,ada\n'],
    ['with quotes, blanks and empty lines', '"user", certificate\n\n"ada" , "email:ada@example.com"\n\n'],
  ])('%s', async (_, content) => {
    expect((await userOf(content))?.user.name).toBe('ada')
  })

  test('with groups and a name of its own place', async () => {
    const mapping = await userOf('user,certificate,groups\nbob,"dn:CN=bob,O=Acme",\nada,email:ada@example.com,a; b\n')
    expect(mapping?.user.groups).toEqual(['a', 'b'])
    expect(mapping?.reason).toMatch(/users\.csv:3\)$/)
  })

  test('with an issuer where the server trusts several', async () => {
    const name = factsOf(other).subject
    const { mapper, problems } = await read(`user,certificate,issuer\nada,email:ada@example.com,"${name}"\n`, {
      trusted: [root, other],
    })
    expect(problems).toEqual([])
    const by = (who: Authority) =>
      mapper.map(factsOf(who.client('x', { emails: ['ada@example.com'] })), fakeConnection()).status
    expect([by(other), by(root)]).toEqual(['mapped', 'unmapped'])
  })

  test('in a thread of its own where it is large, so that others have their turn', async () => {
    const rows = Array.from({ length: 20_000 }, (_, i) => `user${i},email:user${i}@example.com,staff`)
    let turns = 0
    let reading = true
    const count = () => {
      turns++
      if (reading) setImmediate(count)
    }
    setImmediate(count)
    const mapping = await userOf(['user,certificate,groups', ...rows].join('\n'), 'user19999@example.com')
    reading = false
    expect(mapping?.user).toMatchObject({ name: 'user19999', groups: ['staff'] })
    expect(mapping?.reason).toMatch(/users\.csv:20001\)$/)
    expect(turns).toBeGreaterThan(50)
  })
})

test('a rule that can never match is told with its line and that of the one before it, unless it is for another issuer', async () => {
  const names = [root, other].map((each) => `"${factsOf(each).subject}"`)
  const rows = [
    'user,certificate,issuer',
    `ada,email:a@b.c,${names[0]}`,
    `bob,email:a@b.c,${names[1]}`,
    `eve,email:a@b.c,${names[1]}`,
    `ann,email:a@b.c;cn:ann,${names[1]}`,
  ]
  const { problems, warnings } = await read(rows.join('\n'), { trusted: [root, other] })
  expect(problems).toEqual([])
  expect(warnings).toEqual([expect.stringMatching(/^4: can never match: .*users\.csv:3 names the same certificates$/)])
})

describe('a file of users in YAML is read', () => {
  const yaml = { name: 'users.yaml' }
  test.each<[string, string]>([
    ['in blocks', '- user: ada\n  certificate: email:ada@example.com\n'],
    ['with a list of certificates', '- user: ada\n  certificate:\n    - email:a@b.c\n    - email:ada@example.com\n'],
    ['on one line', '- { user: ada, certificate: "email:ada@example.com" }'],
    [
      'with comments, a marker and CRLF',
      '# ours\r\n---\r\n\r\n- user: ada # she\r\n# and\r\n  certificate: email:ada@example.com\r\n',
    ],
    ['with a byte order mark', '\uFEFF- user: ada\n  certificate: email:ada@example.com\n'],
    ['with the hyphen alone on its line', '-\n  user: ada\n  certificate: email:ada@example.com\n'],
  ])('%s', async (_, content) => {
    expect((await userOf(content, 'ada@example.com', yaml))?.user.name).toBe('ada')
  })

  test('with groups, and values that look like something else are text', async () => {
    const content =
      '- user: a\n  certificate: email:a@b.c\n- user: 007\n  certificate: email:ada@example.com\n  groups: [1, yes]\n'
    const mapping = await userOf(content, 'ada@example.com', yaml)
    expect(mapping?.user).toMatchObject({ name: '007', groups: ['1', 'yes'] })
    expect(mapping?.reason).toMatch(/users\.yaml:3\)$/)
  })

  test('in slices, with a line for each user', async () => {
    const users = Array.from(
      { length: 3000 },
      (_, i) => `- user: user${i}\n  certificate: email:user${i}@example.com\n`,
    )
    const mapping = await userOf(users.join('\n'), 'user2999@example.com', yaml)
    expect(mapping?.reason).toMatch(/users\.yaml:8998\)$/)
  })

  test.each<[string, string | Buffer, RegExp]>([
    ['when it is empty', '', /^: holds no user/],
    ['when it is no list', 'user: ada\n', /^1: is not part of a list of users/],
    ['when it is a list in brackets', '[{user: ada}]\n', /^1: is not part of a list/],
    ['with a second document', '- user: ada\n  certificate: cn:ada\n---\n- user: eve\n', /^3: is not part of a list/],
    ['with an alias', '- &a\n  user: ada\n  certificate: cn:ada\n- *a\n', /^1: has an alias/],
    [
      'with a quote that is never closed',
      '- user: "ada\n  certificate: cn:ada\n- user: eve\n  certificate: cn:eve\n',
      /^\d: is no valid YAML \(MISSING_CHAR\)/,
    ],
    [
      'with a user twice in one',
      '- user: ada\n  certificate: cn:ada\n  user: eve\n',
      /^3: is no valid YAML \(DUPLICATE_KEY\)/,
    ],
    ['with a tag', '- user: !x YWRh\n  certificate: cn:ada\n', /^1: is no valid YAML \(TAG_RESOLVE_FAILED\)/],
    [
      'with a setting that nobody knows',
      '- user: ada\n  certificate: cn:ada\n  password: x\n',
      /^1: has a setting that is none of/,
    ],
    [
      'with __proto__',
      '- user: ada\n  certificate: cn:ada\n  __proto__: {issuer: x}\n',
      /^1: has a setting that is none of/,
    ],
    ['with a text in place of a user', '- ada\n', /^1: is no user/],
    [
      'with a map for a name',
      '- user: {from: subject.cn}\n  certificate: cn:ada\n',
      /^1: has a user or issuer that is no text/,
    ],
    [
      'with a map among the groups',
      '- user: ada\n  certificate: cn:ada\n  groups: [{a: b}]\n',
      /^1: has a certificate or groups that are no text/,
    ],
    ['without a certificate', '- user: ada\n', /^1: has no certificate/],
    [
      'with a rule of no type',
      '- user: ada\n  certificate: cn:ada\n- user: bob\n  certificate: bob\n',
      /^3: names no type/,
    ],
    [
      'with a comma in a group',
      '- user: ada\n  certificate: cn:ada\n  groups: ["a,b"]\n',
      /^1: has an empty group, or one with a comma/,
    ],
    ['with a control character', '- user: "a\\x1fb"\n  certificate: cn:ada\n', /^1: holds control characters/],
    [
      'in another encoding',
      Buffer.from('- user: ad\xe4\n  certificate: cn:ada\n', 'latin1'),
      /^1: holds control characters or is not UTF-8/,
    ],
    ['with a huge line', `- user: ${'x'.repeat(200_000)}\n`, /longer than users_file_max_entry/],
    ['with a huge user', `- user: ada\n${'  # x\n'.repeat(20_000)}`, /longer than users_file_max_entry/],
    ['with lists in lists without end', `- user: ${'['.repeat(20_000)}\n`, /^1: is no valid YAML/],
  ])('not %s', async (_, content, expected) => {
    const { problems } = await read(content, yaml)
    expect(problems[0]).toMatch(expected)
    expect(problems.join()).not.toMatch(/YWRh|password|eve/)
  })
})

describe('with mapping: nats a file holds names as certificates have them', () => {
  const nats = { mapping: 'nats', users: ['first@example.com', 'O=Acme,CN=both'] } as const
  const found = async (content: string, options: object, setup: Setup = nats) => {
    const { mapper, problems } = await read(content, setup)
    expect(problems).toEqual([])
    const mapping = mapper.map(factsOf(root.client('x', options)), fakeConnection())
    return mapping.status === 'mapped'
      ? `${mapping.user.name} ${mapping.user.groups} ${mapping.reason.replace(/\(.*\d-users/, '(users')}`
      : undefined
  }
  const CSV = 'user,groups\nada@example.com,a;b\n"CN=carl,O=Acme",\n'

  test('an address, in CSV and in YAML', async () => {
    const expected = 'ada@example.com a,b Using email found in cert for auth'
    expect(await found(CSV, { emails: ['ada@example.com'] })).toBe(`${expected} (users.csv:2)`)
    const yaml = { ...nats, name: 'users.yml' }
    expect(await found('- user: ada@example.com\n  groups: [a, b]\n', { emails: ['ada@example.com'] }, yaml)).toBe(
      `${expected} (users.yml:1)`,
    )
  })

  test('a subject in any order', async () => {
    expect(await found(CSV, { subject: nameOf(['CN', 'carl'], ['O', 'Acme']) })).toMatch(
      /^CN=carl,O=Acme .*DistinguishedNameMatch/,
    )
  })

  test('an earlier name of the certificate counts, wherever its user stands', async () => {
    const options = { emails: ['ada@example.com', 'first@example.com'] }
    expect(await found(CSV, options)).toMatch(/^ada@example.com/)
    expect(await found(CSV, { emails: options.emails.toReversed() })).toMatch(/^first@example.com/)
  })

  test.each<[string, string, RegExp]>([
    [
      'a user of the configuration again',
      'user\nfirst@example.com\n',
      /^2: Duplicate user "first@example.com" detected/,
    ],
    ['a user twice', 'user\na@b.c\na@b.c\n', /^3: Duplicate user "a@b.c" detected/],
    [
      'a column of typed rules',
      'user,certificate\na@b.c,email:a@b.c\n',
      /^: must begin with a line that names its columns: user,/,
    ],
  ])('not %s', async (_, content, expected) => {
    expect((await read(content, nats)).problems).toEqual([expect.stringMatching(expected)])
  })

  test('not a certificate in YAML', async () => {
    const { problems } = await read('- user: a@b.c\n  certificate: email:a@b.c\n', { ...nats, name: 'users.yaml' })
    expect(problems).toEqual([expect.stringMatching(/^1: has certificate or issuer, which need mapping: strict/)])
  })

  test('what can never match is told', async () => {
    const { warnings } = await read('user\nada\n"CN=a,UID=x"\n"CN=both,O=Acme"\n', nats)
    expect(warnings).toEqual([
      expect.stringMatching(/^2: matches the DNS name "ada" only/),
      expect.stringMatching(/^3: can never match a subject: NATS ignores UID/),
      expect.stringMatching(/^4: is the same name as users\[1\] in another order/),
    ])
  })
})

describe('what may stand in a file has a bound', () => {
  const CSV = 'user,certificate\nada,cn:ada\nbob,cn:bob\n'
  test.each<[object, RegExp]>([
    [{ maxSize: 20 }, /^: has more than 20 bytes; raise users_file_max_size/],
    [{ maxUsers: 1 }, /^: has more than 1 users; raise users_file_max_users/],
    [{ maxEntry: 5 }, /^\d?: has a line that is longer than users_file_max_entry/],
  ])('%j', async (bounds, expected) => {
    expect((await read(CSV, { bounds })).problems[0]).toMatch(expected)
  })
})

describe('a file that has not changed', () => {
  const wanted = (file: string) => ({ file, mapping: 'strict' as const, tops: [], ...BOUNDS })
  const attached = async (files: UsersFiles, file: string) => {
    const mapper = new StrictMapper({ rules: [], users: createUsers([]), trusted: [] })
    const told = { problems: [] as Problem[], warnings: [] as Problem[] }
    await files.attach({ wanted: wanted(file), mapper, issuersOf: () => [] }, told)
    files.forgetUnused()
    const by = (email: string) => mapper.map(factsOf(root.client('x', { emails: [email] })), fakeConnection()).status
    return { ...told, by }
  }

  test('is not read again, and its warnings are told again', async () => {
    let reads = 0
    const files = new UsersFiles((wanted) => {
      reads++
      return readWhereItHoldsNobodyUp(wanted)
    })
    const file = temporaryFile('users.csv', 'user,certificate\nada,email:a@b.c\nbob,email:a@b.c\n')
    expect((await attached(files, file)).warnings).toHaveLength(1)
    const again = await attached(files, file)
    expect(again.warnings).toHaveLength(1)
    expect(again.by('a@b.c')).toBe('mapped')
    expect(reads).toBe(1)
  })

  test('and one that has is', async () => {
    const files = new UsersFiles()
    const file = temporaryFile('users.csv', 'user,certificate\nada,email:a@b.c\n')
    expect((await attached(files, file)).by('a@b.c')).toBe('mapped')
    writeFileSync(file, 'user,certificate\nada,email:x@b.c\n')
    const changed = await attached(files, file)
    expect([changed.by('a@b.c'), changed.by('x@b.c')]).toEqual(['unmapped', 'mapped'])
  })
})

describe('a file of users is refused', () => {
  test.each<[string, string | Buffer, RegExp]>([
    ['when it is empty', '', /^: holds no user; write a line/],
    ['with nothing but names of columns', 'user,certificate\n', /holds no user/],
    ['without the names of columns', 'ada,email:ada@example.com\n', /^: must begin with a line that names its columns/],
    ['without a column that it needs', 'user,groups\nada,a\n', /must begin with a line/],
    ['with a column that nobody knows', 'user,certificate,password\nada,email:a@b.c,x\n', /must begin with a line/],
    ['with a column twice', 'user,certificate,user\nada,email:a@b.c,x\n', /must begin with a line/],
    ['with __proto__ as a column', 'user,certificate,__proto__\nada,email:a@b.c,x\n', /must begin with a line/],
    ['with too few values', 'user,certificate\nada\n', /^2: has more or fewer values/],
    ['with a DN that is not quoted', 'user,certificate\nada,dn:CN=ada,O=Acme\n', /^2: has more or fewer values.*quote/],
    [
      'with an open quote',
      'user,certificate\nada,"email:a@b.c\nbob,email:b@b.c\n',
      /opens a quote that is never closed/,
    ],
    ['with text after a quote', 'user,certificate\nada,"email:a@b.c"x\n', /^2: has text after a closing quote/],
    ['with a quote inside', 'user,certificate\nada,em"ail:a@b.c\n', /^2: has a quote in the middle/],
    [
      'with a huge line',
      `user,certificate\nada,${'x'.repeat(100_000)}\n`,
      /has a line that is longer than users_file_max_entry/,
    ],
    ['with a huge first line', `${'x'.repeat(100_000)}\n`, /has a line that is longer than users_file_max_entry/],
    ['with a line without a user', 'user,certificate\n,email:a@b.c\n', /^2: has no user/],
    ['with a line without a certificate', 'user,certificate\nada,\n', /^2: has no certificate/],
    ['with a rule of no type', 'user,certificate\nada,email:a@b.c\nbob,bob@b.c\n', /^3: names no type/],
    ['with a control character', 'user,certificate\n"a\nb",email:a@b.c\n', /^3: holds control characters/],
    [
      'in another encoding',
      Buffer.from('user,certificate\nad\xe4,email:a@b.c\n', 'latin1'),
      /^2: holds control characters or is not UTF-8/,
    ],
    [
      'with a comma in a group',
      'user,certificate,groups\nada,email:a@b.c,"a,b"\n',
      /^2: has an empty group, or one with a comma/,
    ],
  ])('%s', async (_, content, expected) => {
    const { problems } = await read(content)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(expected)
  })

  test('where rules need an issuer', async () => {
    const { problems } = await read('user,certificate\nada,email:a@b.c\n', { trusted: [root, other] })
    expect(problems).toEqual([expect.stringMatching(/^2: does not say who must have issued.*add issuer/)])
  })

  test('where more than fifty users have the same certificate', async () => {
    const written = (count: number) =>
      Array.from(
        { length: count },
        (_, i) => `- { user: u${i}, certificate: ["email:team@b.c", "email:u${i}@b.c"] }\n`,
      ).join('')
    expect((await read(written(50), { name: 'users.yaml' })).problems).toEqual([])
    const { problems } = await read(written(52), { name: 'users.yaml' })
    expect(problems).toEqual(
      [51, 52].map((line) => expect.stringMatching(`^${line}: names a certificate that 50 rules`)),
    )
  })

  test('with a thousand mistakes, of which twenty are told', async () => {
    const { problems } = await read(`user,certificate\n${'ada,nothing\n'.repeat(5000)}`)
    expect(problems).toHaveLength(21)
    expect(problems[0]).toMatch(/^: has more than 1000 mistakes/)
    expect(problems.at(-1)).toBe(': and 982 more')
  })
})

test('a rule that an earlier line has already is told', async () => {
  const { warnings } = await read('user,certificate\nada,email:a@b.c\nbob,email:a@B.C\n')
  expect(warnings).toEqual([expect.stringMatching(/^3: can never match: .*users\.csv:2 names the same certificates$/)])
})
