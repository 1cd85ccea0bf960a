// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what users write in a configuration.
import { describe, expect, jest, test } from '@jest/globals'
import { type CertificateField, createCertificateDemand } from '../../../src/registry/certificate-demand.ts'
import { createRights, type Judgement, type RightsRule, type Subject } from '../../../src/registry/rights.ts'
import { parseScope, type Resource } from '../../../src/registry/scope.ts'
import { createAddressSet } from '../../../src/routing/addresses.ts'
import { readCertificate } from '../../../src/tls-cert-utils/certificate.ts'
import { nameOf } from '../../support/names.ts'
import { authority } from '../../support/pki.ts'

const rule = (fields: Partial<RightsRule>): RightsRule => ({
  name: 'rule',
  effect: 'allow',
  users: [],
  groups: [],
  anonymous: false,
  certificate: [],
  addresses: undefined,
  repositories: [],
  tags: [],
  catalog: false,
  actions: ['pull'],
  ...fields,
})

const as = (name: string | undefined, groups: readonly string[] = [], more: Partial<Subject> = {}): Subject => ({
  user: name === undefined ? undefined : { id: name, name, groups, customId: undefined },
  certificate: undefined,
  address: '192.0.2.1',
  service: 'registry.test',
  ...more,
})

function judge(rules: readonly RightsRule[], subject: Subject, scope: string, tag?: string): Judgement {
  return createRights(rules).judge(subject, parseScope(scope) as Resource, tag) as Judgement
}

const granted = (...of: Parameters<typeof judge>) => judge(...of).granted

describe('names', () => {
  test.each([
    ['team/app', 'team/app', true],
    ['team/app', 'team/app2', false],
    ['team/app', 'team/app/more', false],
    ['team/*', 'team/app', true],
    ['team/*', 'team/app/more', false],
    ['team/**', 'team/app/more', true],
    ['team/**', 'team', false],
    ['team/**', 'myteam/app', false],
    ['**', 'anything/at/all', true],
    ['**/app', 'a/b/app', true],
    ['team/app-*', 'team/app-1', true],
    ['team/app-*', 'team/app-1/more', false],
    ['te.m/app', 'team/app', false],
    ['host:5000/app', 'host:5000/app', true],
    ['~team/(a|b)', 'team/a', true],
    ['~team/(a|b)', 'team/abc', false],
    ['~team/(a|b)', 'my/team/a', false],
  ])('%s and %s: %s', (pattern, name, fits) => {
    const found = granted([rule({ repositories: [pattern] })], as('ada'), `repository:${name}:pull`)
    expect(found).toEqual(fits ? ['pull'] : [])
  })

  test('cost no expression for a group of which a name holds nothing: users may have thousands', () => {
    const rights = createRights([rule({ repositories: ['${group}/app-*'] })])
    const groups = Array.from({ length: 1000 }, (_, i) => `group-${i}.`)
    const tested = jest.spyOn(RegExp.prototype, 'test')
    const judge = (name: string) =>
      (rights.judge(as('ada', groups), parseScope(`repository:${name}:pull`) as Resource, '') as Judgement).granted
    const granted = ['group-7./app-1', 'group-7x/app-1', 'other/app-1'].map(judge)
    const ofGroups = tested.mock.contexts.filter((expression) => String(expression).includes('group'))
    tested.mockRestore()
    expect(granted).toEqual([['pull'], [], []])
    expect(ofGroups).toHaveLength(1)
  })

  test('variables are quoted and stand for one segment', () => {
    const rules = [rule({ repositories: ['home/${user}/**', 'group/${group}/**'], actions: ['push'] })]
    expect(granted(rules, as('ada'), 'repository:home/ada/x:pull')).toEqual(['pull'])
    expect(granted(rules, as('a.a'), 'repository:home/aba/x:pull')).toEqual([])
    expect(granted(rules, as('.*'), 'repository:home/ada/x:pull')).toEqual([])
    expect(granted(rules, as('ada/x'), 'repository:home/ada/x/y:pull')).toEqual([])
    expect(granted(rules, as(''), 'repository:home//x:pull')).toEqual([])
    expect(granted(rules, as('ada', ['dev', 'ops']), 'repository:group/ops/x:push')).toEqual(['pull', 'push'])
    expect(granted(rules, as('ada', []), 'repository:group/ops/x:push')).toEqual([])
    expect(granted(rules, as(undefined), 'repository:home/undefined/x:pull')).toEqual([])
  })

  test('what denies takes a name with a slash as it is', () => {
    const rules = [rule({ repositories: ['**'] }), rule({ effect: 'deny', repositories: ['home/${user}/**'] })]
    expect(granted(rules, as('a/b'), 'repository:home/a/b/c:pull')).toEqual([])
  })
})

describe('who', () => {
  const pulls = (fields: Partial<RightsRule>, subject: Subject) =>
    granted([rule({ repositories: ['**'], ...fields })], subject, 'repository:a:pull').length > 0

  test('without users and groups everybody who has said who they are, and nobody else', () => {
    expect(pulls({}, as('ada'))).toBe(true)
    expect(pulls({}, as(undefined))).toBe(false)
    expect(pulls({ anonymous: true }, as(undefined))).toBe(true)
    expect(pulls({ anonymous: true }, as('ada'))).toBe(true)
  })

  test('users and groups, where both are named both', () => {
    expect(pulls({ users: ['ada'] }, as('ada'))).toBe(true)
    expect(pulls({ users: ['ada'] }, as('Ada'))).toBe(false)
    expect(pulls({ groups: ['dev'] }, as('bob', ['dev']))).toBe(true)
    expect(pulls({ groups: ['dev'] }, as('bob', ['ops']))).toBe(false)
    expect(pulls({ users: ['ada'], groups: ['dev'] }, as('ada', ['ops']))).toBe(false)
    expect(pulls({ users: ['ada'], groups: ['dev'] }, as('ada', ['ops', 'dev']))).toBe(true)
    expect(pulls({ users: ['ada'], anonymous: true }, as(undefined))).toBe(false)
  })

  test('addresses', () => {
    const addresses = createAddressSet(['10.0.0.0/8'])
    expect(pulls({ addresses }, as('ada', [], { address: '10.1.2.3' }))).toBe(true)
    expect(pulls({ addresses }, as('ada', [], { address: '11.1.2.3' }))).toBe(false)
  })

  test('fields of the certificate, whole', () => {
    const subject = nameOf(['O', 'Example'], ['OU', 'build'], ['CN', 'ada'])
    const names = { emails: ['ada@example.com'], hosts: ['ada.test'], uris: ['spiffe://td/ada'] }
    const { der } = authority('clients').client('ada', { subject, ...names })
    const certificate = readCertificate(der)
    const demand = (field: CertificateField, value: string) => ({
      certificate: [createCertificateDemand(field, [value])],
    })
    const ada = as('ada', [], { certificate })
    expect(pulls(demand('ou', 'build'), ada)).toBe(true)
    expect(pulls(demand('ou', 'buil'), ada)).toBe(false)
    expect(pulls(demand('email', '*@example.com'), ada)).toBe(true)
    const others: [CertificateField, string][] = [
      ['dns', 'ada.test'],
      ['uri', 'spiffe://td/ada'],
      ['o', 'Example'],
      ['issuer', 'CN=clients'],
      ['subject', 'CN=ada,OU=build,O=Example'],
    ]
    for (const [field, value] of others) {
      expect(pulls(demand(field, value), ada)).toBe(true)
      expect(pulls(demand(field, `not ${value}`), ada)).toBe(false)
    }
    expect(pulls(demand('cn', 'ada'), as('ada'))).toBe(false)
    const both = (...fields: ReturnType<typeof demand>[]) => ({
      certificate: fields.flatMap((field) => field.certificate),
    })
    expect(pulls(both(demand('ou', 'build'), demand('cn', 'ada')), ada)).toBe(true)
    expect(pulls(both(demand('ou', 'build'), demand('cn', 'bob')), ada)).toBe(false)
    const asks = (fields: Partial<RightsRule>) => createRights([rule(fields), rule({})]).byCertificate
    expect(asks(demand('ou', 'build'))).toBe(true)
    expect(asks({ ...demand('ou', 'build'), effect: 'deny' })).toBe(false)
    expect(asks({})).toBe(false)
  })
})

describe('actions', () => {
  test('are the union of what allows, less what denies, in any order', () => {
    const rules = [
      rule({ name: 'a', users: ['ada'], repositories: ['team/**'], actions: ['pull'] }),
      rule({ name: 'b', groups: ['dev'], repositories: ['team/app'], actions: ['push'] }),
      rule({ name: 'c', effect: 'deny', groups: ['dev'], repositories: ['team/app'], actions: ['delete'] }),
      rule({ name: 'd', repositories: ['**'], actions: ['*'] }),
    ]
    for (const each of [rules, rules.toReversed()]) {
      expect(granted(each, as('ada', ['dev']), 'repository:team/app:delete,push,pull')).toEqual(['push', 'pull'])
    }
  })

  test('push brings pull, and a request for * means all that is allowed', () => {
    const rules = [rule({ repositories: ['**'], actions: ['push'] })]
    expect(granted(rules, as('ada'), 'repository:a:push')).toEqual(['pull', 'push'])
    expect(granted(rules, as('ada'), 'repository:a:*')).toEqual(['pull', 'push'])
  })

  test('* in a rule means all of them, and no other action brings another', () => {
    const all = [rule({ repositories: ['**'], actions: ['*'] })]
    for (const asked of ['*', 'pull,push,delete'])
      expect(granted(all, as('ada'), `repository:a:${asked}`)).toEqual(['pull', 'push', 'delete'])
    const deletes = [rule({ repositories: ['**'], actions: ['delete'] })]
    expect(granted(deletes, as('ada'), 'repository:a:*')).toEqual(['delete'])
  })

  test('unknown types and actions get nothing', () => {
    const rules = [rule({ repositories: ['**'], actions: ['*'], catalog: true })]
    expect(granted(rules, as('ada'), 'repository:a:admin')).toEqual([])
    expect(granted(rules, as('ada'), 'thing:a:pull')).toEqual([])
    expect(granted(rules, as('ada'), 'registry:other:*')).toEqual([])
  })

  test('the catalog has to be named', () => {
    expect(granted([rule({ repositories: ['**'], actions: ['*'] })], as('ada'), 'registry:catalog:*')).toEqual([])
    expect(granted([rule({ catalog: true })], as('ada'), 'registry:catalog:*')).toEqual(['*'])
    const denied = [rule({ catalog: true }), rule({ effect: 'deny', users: ['ada'], catalog: true })]
    expect(granted(denied, as('ada'), 'registry:catalog:*')).toEqual([])
  })

  test('the rule that decided is told', () => {
    const rules = [
      rule({ name: 'allows', repositories: ['**'], actions: ['push'] }),
      rule({ name: 'denies', effect: 'deny', repositories: ['a'], actions: ['push'] }),
    ]
    expect(judge(rules, as('ada'), 'repository:a:push,delete').reasons).toEqual([
      { action: 'pull', granted: true, rule: 'allows' },
      { action: 'push', granted: false, rule: 'denies' },
      { action: 'delete', granted: false, rule: undefined },
    ])
  })
})

describe('tags', () => {
  const allows = [rule({ repositories: ['**'], tags: ['v*'], actions: ['push'] })]
  const denies = [
    rule({ repositories: ['**'], actions: ['push'] }),
    rule({ effect: 'deny', repositories: ['**'], tags: ['v*'], actions: ['push'] }),
  ]

  test('a request for a tag is judged by it', () => {
    expect(granted(allows, as('ada'), 'repository:a:push', 'v1')).toEqual(['pull', 'push'])
    expect(granted(allows, as('ada'), 'repository:a:push', 'latest')).toEqual([])
    expect(granted(denies, as('ada'), 'repository:a:push', 'v1')).toEqual(['pull'])
    expect(granted(denies, as('ada'), 'repository:a:push', 'latest')).toEqual(['pull', 'push'])
  })

  test('a request without a tag may be part of one that is allowed', () => {
    expect(granted(allows, as('ada'), 'repository:a:push', '')).toEqual(['pull', 'push'])
    expect(granted(denies, as('ada'), 'repository:a:push', '')).toEqual(['pull', 'push'])
  })

  test('a token, which cannot say a tag, gets what holds for every tag', () => {
    expect(granted(allows, as('ada'), 'repository:a:push')).toEqual([])
    expect(granted(denies, as('ada'), 'repository:a:push')).toEqual(['pull'])
  })
})
