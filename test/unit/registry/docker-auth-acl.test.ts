// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what users write in their acl.
import { describe, expect, test } from '@jest/globals'
import { createAclRights } from '../../../src/registry/docker-auth-acl.ts'
import type { Judgement, Subject } from '../../../src/registry/rights.ts'
import { parseScope, type Resource } from '../../../src/registry/scope.ts'
import { createAddressSet } from '../../../src/routing/addresses.ts'

const rightsOf = (acl: readonly unknown[]) => createAclRights(acl, (network) => createAddressSet([network]))
const as = (name: string | undefined, groups: readonly string[] = [], address = '192.0.2.1'): Subject => ({
  user: name === undefined ? undefined : { id: name, name, groups, customId: undefined },
  certificate: undefined,
  address,
  service: 'registry.test',
})
const granted = (acl: readonly unknown[], subject: Subject, scope: string) =>
  (rightsOf(acl).judge(subject, parseScope(scope) as Resource, undefined) as Judgement).granted

/** In the manner of docker_auth's own example file. */
const ACL = [
  { match: { ip: '127.0.0.0/8' }, actions: ['*'], comment: 'everything from here' },
  { match: { account: 'admin' }, actions: ['*'] },
  { match: { account: 'test', name: 'test-*' }, actions: ['pull'] },
  { match: { account: '/.+/', name: '${account}/*' }, actions: ['*'] },
  { match: { account: '/^(.+)@test\\.com$/', name: '${account:1}/*' }, actions: ['push'] },
  { match: { name: '${labels:group}/**' }, actions: ['pull'] },
  { match: { name: 'team/*', labels: { groups: 'dev' } }, actions: ['pull', 'push'] },
  { match: { account: '', name: 'public/[a-c]?' }, actions: ['pull'] },
  { match: { account: 'banned' }, actions: [] },
  { match: { account: '/.+/', type: 'registry', name: 'catalog' }, actions: ['*'] },
]

describe('who gets what', () => {
  test.each([
    ['the address', as('x', [], '127.0.0.1'), 'repository:a/b:push,delete', ['push', 'delete']],
    ['an account', as('admin'), 'repository:a/b:pull', ['pull']],
    ['a glob, and only what the entry gives', as('test'), 'repository:test-1:pull,push', ['pull']],
    ['a glob that stops at a slash', as('test'), 'repository:test-1/x:pull', []],
    ['the own name', as('ada'), 'repository:ada/x:pull,push', ['pull', 'push']],
    ['the own name, one segment only', as('ada'), 'repository:ada/x/y:pull', []],
    ['a name that looks like a pattern', as('*'), 'repository:ada/x:pull', []],
    ['what an expression caught', as('eve@test.com'), 'repository:eve/x:pull,push', ['push']],
    ['a label in the name', as('bob', ['ops']), 'repository:ops/x:pull', ['pull']],
    [
      'a label that a replacement would read as the variable',
      as('bob', ['$&', 'ops']),
      'repository:ops/x:pull',
      ['pull'],
    ],
    ['a label to match', as('bob', ['dev']), 'repository:team/x:push', ['push']],
    ['nobody', as(undefined), 'repository:public/ab:pull,push', ['pull']],
    ['nobody, a class that does not fit', as(undefined), 'repository:public/zb:pull', []],
    ['the catalog', as('ada'), 'registry:catalog:*', ['*']],
    ['nobody and the catalog', as(undefined), 'registry:catalog:*', []],
  ])('%s', (_what, subject, scope, expected) => {
    expect(granted(ACL, subject, scope)).toEqual(expected)
  })

  test('a group of an expression that caught nothing is empty', () => {
    const acl = [{ match: { account: '/^ada(-.+)?$/', name: 'own${account:1}' }, actions: ['pull'] }]
    expect(granted(acl, as('ada'), 'repository:own:pull')).toEqual(['pull'])
    expect(granted(acl, as('ada-x'), 'repository:own-x:pull')).toEqual(['pull'])
  })

  test('the first entry that matches decides, also against', () => {
    const acl = [{ match: { account: 'eve' }, actions: [] }, { actions: ['*'] }]
    expect(granted(acl, as('eve'), 'repository:a:pull')).toEqual([])
    expect(granted(acl, as('ada'), 'repository:a:pull')).toEqual(['pull'])
    expect(granted(acl.toReversed(), as('eve'), 'repository:a:pull')).toEqual(['pull'])
  })

  test('a request for * where less is allowed gets nothing, as in docker_auth', () => {
    expect(granted([{ match: { account: 'ada' }, actions: ['pull'] }], as('ada'), 'repository:a:*')).toEqual([])
  })

  test('expressions are not anchored', () => {
    const acl = [{ match: { name: '/team/' }, actions: ['pull'] }]
    expect(granted(acl, as('ada'), 'repository:my-team-2/x:pull')).toEqual(['pull'])
  })

  test('the entry is named', () => {
    const judgement = rightsOf(ACL).judge(
      as('x', [], '127.0.0.1'),
      parseScope('repository:a:pull') as Resource,
      undefined,
    )
    expect((judgement as Judgement).reasons).toEqual([
      { action: 'pull', granted: true, rule: 'acl 1 (everything from here)' },
    ])
  })
})

describe('a pattern means what it means in Go', () => {
  test.each([
    ['/\\Ateam\\/.+\\z/', 'team/a', 'my-team/a'],
    ['/^(?P<group>[a-z]+)\\/[\\w.-]+$/', 'team/a.b', 'team'],
    ['/(?i)^TEAM[a[]?\\//', 'team/a', 'x'],
    ['team/[\\d]', 'team/d', 'team/5'],
    ['team/[^a-c]', 'team/d', 'team/b'],
  ])('%s', (name, fitting, other) => {
    // An entry that refuses, ahead of one that allows, as people write them.
    const acl = [{ match: { name }, actions: [] }, { actions: ['*'] }]
    expect(granted(acl, as('ada'), `repository:${fitting}:pull`)).toEqual([])
    expect(granted(acl, as('ada'), `repository:${other}:pull`)).toEqual(['pull'])
  })

  test.each([
    ...[
      '/[[:alpha:]]+/',
      '/[]a]/',
      '/[^]a]/',
      '/\\pL/',
      '/\\Qa.b\\E/',
      '/(?i:a)/',
      '/(?m)^a/',
      '/\\x{41}/',
      '/(a)\\1/',
      '/[\\b]/',
    ],
    ...['/(?=a)/', '/(?!a)/', '/(?<=a)b/', '/(?<!a)b/', '/[a[]x(?=a)/', '/a\\/', '[]a]', '[a-]', '[a'],
  ])('%s, which does not in JavaScript or means nothing, is refused', (name) => {
    expect(() => rightsOf([{ match: { name }, actions: [] }])).toThrow('a name that is no pattern')
  })
})

test.each([
  ['text', 'is no map'],
  [{ match: [] }, 'a match that is no map'],
  [{ match: { user: 'x' } }, 'matches "user"'],
  [{ match: { name: 5 } }, 'a name that is no text'],
  [{ match: { name: '/(/' } }, 'a name that is no pattern'],
  [{ match: { name: '[a' } }, 'a name that is no pattern'],
  [{ match: { ip: 'here' } }, 'an ip that is neither'],
  [{ actions: 'pull' }, 'actions that are no list'],
])('%j is refused', (entry, message) => {
  expect(() => rightsOf([{}, entry])).toThrow(message)
  expect(() => rightsOf([{}, entry])).toThrow('entry 2')
})
