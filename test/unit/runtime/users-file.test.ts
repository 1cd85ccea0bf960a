import { describe, expect, test } from '@jest/globals'
import type { Problem } from '../../../src/errors.ts'
import { createStrictMapper } from '../../../src/identity/mapping/strict.ts'
import { createUsers } from '../../../src/identity/users.ts'
import { readUsers } from '../../../src/runtime/users-file.ts'
import { factsOf } from '../../support/facts.ts'
import { fakeConnection } from '../../support/fake-connection.ts'
import { temporaryFile } from '../../support/folder.ts'
import { type Authority, authority } from '../../support/pki.ts'

const root = authority('root')
const other = authority('other')

async function read(content: string | Buffer, trusted: readonly Authority[] = [root]) {
  const file = temporaryFile('users.csv', content)
  const known = trusted.map((each) => factsOf(each))
  const mapper = createStrictMapper({ rules: [], users: createUsers([]), trusted: known })
  const found = { problems: [] as Problem[], warnings: [] as Problem[] }
  const issuers = (name: string) => known.filter(({ subject }) => subject === name)
  await readUsers({ file, mapper, issuers }, found)
  const told = (list: Problem[]) =>
    list.map(({ source, line, message }) => {
      expect(source).toBe(file)
      return `${line ?? ''}: ${message}`
    })
  return { mapper, problems: told(found.problems), warnings: told(found.warnings) }
}

async function userOf(content: string, email = 'ada@example.com') {
  const { mapper, problems } = await read(content)
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
    const { mapper, problems } = await read(`user,certificate,issuer\nada,email:ada@example.com,"${name}"\n`, [
      root,
      other,
    ])
    expect(problems).toEqual([])
    const by = (who: Authority) =>
      mapper.map(factsOf(who.client('x', { emails: ['ada@example.com'] })), fakeConnection()).status
    expect([by(other), by(root)]).toEqual(['mapped', 'unmapped'])
  })

  test('in slices between which others have their turn', async () => {
    const rows = Array.from({ length: 20_000 }, (_, i) => `user${i},email:user${i}@example.com`)
    let turns = 0
    let reading = true
    const count = () => {
      turns++
      if (reading) setImmediate(count)
    }
    setImmediate(count)
    const mapping = await userOf(['user,certificate', ...rows].join('\n'), 'user19999@example.com')
    reading = false
    expect(mapping?.user.name).toBe('user19999')
    expect(turns).toBeGreaterThan(50)
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
    ['with a huge line', `user,certificate\nada,${'x'.repeat(100_000)}\n`, /has a line of more than 65536/],
    ['with a huge first line', `${'x'.repeat(100_000)}\n`, /has a line of more than 65536/],
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
    const { problems } = await read('user,certificate\nada,email:a@b.c\n', [root, other])
    expect(problems).toEqual([expect.stringMatching(/^2: does not say who must have issued.*add issuer/)])
  })

  test('with a thousand mistakes, of which twenty are told', async () => {
    const { problems } = await read(`user,certificate\n${'ada,nothing\n'.repeat(5000)}`)
    expect(problems).toHaveLength(22)
    expect(problems[0]).toMatch(/^: has more than 1000 mistakes/)
    expect(problems.at(-1)).toBe(': and 981 more')
  })
})

test('a rule that an earlier line has already is told', async () => {
  const { warnings } = await read('user,certificate\nada,email:a@b.c\nbob,email:a@B.C\n')
  expect(warnings).toEqual([expect.stringMatching(/^3: can never match: .*users\.csv:2 names the same certificates$/)])
})
